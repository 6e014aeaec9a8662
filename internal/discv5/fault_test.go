package discv5

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/enode"
)

// town starts n engines that know the first one, and lets them live for a while.
func (w *world) town(n int, d time.Duration) {
	w.t.Helper()
	boot := w.add()
	for range n - 1 {
		w.add(func(c *Config) { c.Bootnodes = []*enode.Node{boot.node} })
	}
	w.run(d, nil)
}

// L1: where packets take 200 to 800 ms, overtake each other, come twice at times
// and get lost, lookups find the 16 nearest nodes, and no table gives up nodes that
// are there.
func TestL1BadNetwork(t *testing.T) {
	for _, c := range []struct {
		loss         float64
		nodes, tries int
		want         int // percent of the 16 nearest nodes that a lookup finds
	}{{0.01, 20, 100, 99}, {0.1, 20, 100, 95}, {0.3, 24, 100, 60}} {
		t.Run(fmt.Sprintf("%.0f%%", 100*c.loss), func(t *testing.T) {
			w := newWorld(t, 40)
			w.delay, w.jitter = 200*time.Millisecond, 600*time.Millisecond
			w.loss, w.twice = c.loss, 0.05
			w.town(c.nodes, time.Minute)
			exact, found, total := 0, 0, 0
			for i := range c.tries {
				h := w.hosts[i%len(w.hosts)]
				target := randomID(w.rng)
				r := w.result(h, h.Lookup(w.now, target))
				var got []enode.ID
				for _, n := range r.Nodes {
					got = append(got, n.ID())
				}
				nearest := w.nearest(target, 16, h)
				if slices.Equal(got, nearest) {
					exact++
				}
				for _, id := range nearest {
					if total++; slices.Contains(got, id) {
						found++
					}
				}
			}
			fewest := c.nodes
			for _, h := range w.hosts {
				_, live := h.table.Len()
				fewest = min(fewest, live)
			}
			t.Logf("%d of the %d nearest nodes found, %d of %d lookups exact, at least %d of %d nodes live", found, total, exact, c.tries, fewest, c.nodes-1)
			if 100*found < c.want*total {
				t.Errorf("lookups found %d of the %d nearest nodes, want %d %%", found, total, c.want)
			}
			if c.loss <= 0.1 && fewest < c.nodes-3 {
				t.Errorf("a table has %d of %d nodes live", fewest, c.nodes-1)
			}
		})
	}
}

// L3: a step of the wall clock changes nothing, in the middle of a handshake either:
// nothing in this protocol is tied to the time of day.
func TestL3ClockStep(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, 365 * 24 * time.Hour, -365 * 24 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			w := newWorld(t, 41)
			w.town(8, 20*time.Second)
			a, b, fresh := w.hosts[3], w.hosts[5], w.add()
			_, before := a.table.Len()
			if before != 7 {
				t.Fatalf("%d live nodes, want 7", before)
			}
			w.delay = 200 * time.Millisecond // calls are looked at before their answer comes
			c := a.Ping(a.time(), b.node)
			a.step = step
			if r := w.result(a, c); r.Err != nil {
				t.Errorf("step in a call: %v", r.Err)
			}
			a.step = 0

			// The clock steps in a handshake, of the side that begins it and of the other.
			for i, h := range []*host{fresh, a} {
				packets := 0
				w.tap = func(from, to netip.AddrPort, _ []byte) {
					if from == fresh.addr || to == fresh.addr {
						if packets++; packets == 2+i {
							h.step = step
						}
					}
				}
				start := w.now
				if i > 0 {
					fresh = w.add()
				}
				if r := w.result(fresh, fresh.Ping(fresh.time(), a.node)); r.Err != nil || w.now.Sub(start) > 4*w.delay {
					t.Errorf("step in the handshake, side %d: %v after %v, want an answer after two round trips", i, r.Err, w.now.Sub(start))
				}
				if packets < 4 {
					t.Errorf("%d packets of the handshake, want 4", packets)
				}
			}
			w.tap = nil
			w.run(10*time.Minute, nil)
			if _, live := a.table.Len(); live < before {
				t.Errorf("ten minutes with a wrong clock: %d live nodes, %d before", live, before)
			}
			a.step = 0
			w.run(10*time.Second, nil)
			for _, x := range []struct{ from, to *host }{{a, b}, {b, a}} {
				if r := w.result(x.from, x.from.Ping(x.from.time(), x.to.node)); r.Err != nil {
					t.Errorf("with the clock right again: %v", r.Err)
				}
			}
		})
	}
}

// L5: a node that was suspended for two minutes pings each node it knows once at most
// in the second after, and half a minute after all are live.
func TestL5Suspended(t *testing.T) {
	w := newWorld(t, 42)
	w.town(24, 30*time.Second)
	h := w.hosts[3]
	_, before := h.table.Len()
	h.asleep = true
	w.run(2*time.Minute, nil)
	unread := len(h.unread)
	pings := make(map[uint64]netip.AddrPort) // by request-id
	w.tap = func(from, to netip.AddrPort, _ []byte) {
		for id, c := range h.calls.open {
			if from == h.addr && c.at.addr == to && c.kind == KindPing {
				pings[id] = to
			}
		}
	}
	w.awake(h)
	w.run(time.Second, nil)
	count, most := make(map[netip.AddrPort]int), 0
	for _, to := range pings {
		count[to]++
		most = max(most, count[to])
	}
	t.Logf("%d packets had come; pings to %d of %d nodes in the second after, at most %d to one", unread, len(count), before, most)
	if most > 1 {
		t.Errorf("%d pings to a node in the second after, want 1 at most", most)
	}
	w.tap = nil
	w.run(29*time.Second, nil)
	if _, live := h.table.Len(); live < before {
		t.Errorf("%d live nodes half a minute after, %d before", live, before)
	}
	other := w.hosts[9]
	if r := w.result(other, other.Ping(w.now, h.node)); r.Err != nil {
		t.Errorf("another node pings it: %v", r.Err)
	}
}
