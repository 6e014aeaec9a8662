package discover

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/simnet"
)

// Fifty nodes that know only the first find each other within a minute, and
// lookups return the nearest there are.
func TestNetwork(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			nodes, want := 50, 32
			if raceEnabled && kind.name != "v5" {
				nodes, want = 20, 16 // signatures take ten times as long
			}
			inWorld(t, simnet.Link{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond}, func(w *world) {
				for range nodes {
					w.add(kind.set)
				}
				start := time.Now()
				for _, h := range w.list {
					for h.live() < want && time.Since(start) < time.Minute {
						w.wait(time.Second)
					}
				}
				for i, h := range w.list {
					if n := h.live(); n < want {
						t.Errorf("node %d has %d live nodes after a minute, want %d", i, n, want)
					}
				}
				t.Logf("tables are filled after %v", time.Since(start))
				w.wait(5 * time.Second)
				hits := 0
				for i := range 5 {
					target := testKey(t, 1000+i).Public()
					h := w.list[i*nodes/5+nodes/16]
					near := w.nearest(enode.PubkeyID(target), h)
					got, err := h.Lookup(w.context(time.Minute), target)
					if err != nil {
						t.Fatal(err)
					}
					for _, n := range got {
						if slices.Contains(near, n.ID()) {
							hits++
						}
					}
				}
				if hits < 76 {
					t.Errorf("lookups found %d of the 80 nearest nodes, want 76", hits)
				}
				t.Logf("lookups found %d of the 80 nearest nodes", hits)
			})
		})
	}
}

// live returns how many live nodes the smaller of the tables has.
func (h *host) live() int {
	v4, v5 := h.Table().Live()
	switch {
	case h.v5 == nil:
		return v4
	case h.v4 == nil:
		return v5
	}
	return min(v4, v5)
}

// nearest returns the 16 nodes nearest to target, without the one that asks.
func (w *world) nearest(target enode.ID, asks *host) []enode.ID {
	var ids []enode.ID
	for _, h := range w.list {
		if h != asks {
			ids = append(ids, h.node.ID())
		}
	}
	slices.SortFunc(ids, func(a, b enode.ID) int { return enode.CompareDistance(target, a, b) })
	return ids[:min(len(ids), 16)]
}

// On a network of 1 ms the first lookup of a fresh node ends within 100 ms.
func TestFirstLookup(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: time.Millisecond}, func(w *world) {
				for range 20 {
					w.add(kind.set)
				}
				w.wait(20 * time.Second)
				const most = 100 * time.Millisecond
				fresh, start := w.add(kind.set), time.Now()
				found, err := fresh.Lookup(w.context(time.Minute), testKey(t, 500).Public())
				if took := time.Since(start); err != nil || len(found) != 16 || took > most {
					t.Errorf("the first lookup found %d nodes in %v, %v; want 16 within %v", len(found), took, err, most)
				} else {
					t.Logf("the first lookup took %v", took)
				}
			})
		})
	}
}

// With a tenth of all packets lost, doubled and out of order, nodes still find each
// other, and a walk meets all of them.
func TestLoss(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			link := simnet.Link{Delay: 20 * time.Millisecond, Jitter: 40 * time.Millisecond, Loss: 0.1, Duplicate: 0.1}
			inWorld(t, link, func(w *world) {
				const nodes = 12
				for range nodes {
					w.add(kind.set)
				}
				met := make(map[enode.ID]bool)
				for n := range w.list[nodes-1].Nodes(w.context(2 * time.Minute)) {
					if met[n.ID()] = true; len(met) == nodes-1 {
						break
					}
				}
				if len(met) != nodes-1 {
					t.Errorf("a walk of 2 minutes met %d nodes, want %d", len(met), nodes-1)
				}
			})
		})
	}
}

// Nodes that are cut off from each other time out, and find each other again.
func TestPartition(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: 10 * time.Millisecond}, func(w *world) {
				a, b := w.add(kind.set), w.add(kind.set)
				w.wait(10 * time.Second)
				w.net.Partition(a.machine, b.machine)
				if _, err := b.Ping(context.Background(), a.node); !errors.Is(err, ErrTimeout) {
					t.Errorf("Ping across the partition: %v, want ErrTimeout", err)
				}
				w.wait(10 * time.Minute)
				w.net.Heal(a.machine, b.machine)
				// The first may join a check of the table that was under way, and lost.
				_, err := b.Ping(context.Background(), a.node)
				if err != nil {
					_, err = b.Ping(context.Background(), a.node)
				}
				if err != nil {
					t.Errorf("Ping after the partition: %v", err)
				}
				w.wait(time.Minute)
				if n := b.live(); n != 1 {
					t.Errorf("%d live nodes a minute after the partition, want 1", n)
				}
			})
		})
	}
}
