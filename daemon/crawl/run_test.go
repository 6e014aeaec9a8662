package crawl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/discover"
	"parley/dnsdisc"
	"parley/enode"
)

// A fakeNetwork answers as nodes do whose tables have 16 nodes at each distance.
// Some nodes do not answer at all.
type fakeNetwork struct {
	nodes  []*enode.Node
	tables map[enode.ID][][]*enode.Node // by logarithmic distance
	dead   map[enode.ID]bool
	lose   int // every so-manieth question is lost; 0 for none

	mu        sync.Mutex // guards the fields below
	out, most int
	asked     int
	last      map[enode.ID]time.Time // when a node answered
	hasty     bool                   // a node was asked too soon after that
}

func newFakeNetwork(t *testing.T, size, dead int) *fakeNetwork {
	f := &fakeNetwork{tables: make(map[enode.ID][][]*enode.Node), dead: make(map[enode.ID]bool), last: make(map[enode.ID]time.Time)}
	for i := range size {
		n := testNode(t, i, 1, 30303)
		f.nodes = append(f.nodes, n)
		f.dead[n.ID()] = i >= size-dead
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range f.nodes {
		table := make([][]*enode.Node, 257)
		for _, i := range rng.Perm(size) {
			other := f.nodes[i]
			if d := enode.LogDistance(n.ID(), other.ID()); d > 0 && len(table[d]) < 16 {
				table[d] = append(table[d], other)
			}
		}
		f.tables[n.ID()] = table
	}
	return f
}

// enter begins a question to n, and returns what ends it.
func (f *fakeNetwork) enter(ctx context.Context, n *enode.Node) error {
	f.mu.Lock()
	f.out++
	f.asked++
	f.most = max(f.most, f.out)
	lost := f.dead[n.ID()] || f.lose > 0 && f.asked%f.lose == 0
	if last, ok := f.last[n.ID()]; ok && time.Since(last) < pause {
		f.hasty = true
	}
	f.mu.Unlock()
	wait := 60 * time.Millisecond
	if lost {
		wait = 700 * time.Millisecond
	}
	defer func() {
		f.mu.Lock()
		f.out--
		f.last[n.ID()] = time.Now()
		f.mu.Unlock()
	}()
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if lost {
		return fmt.Errorf("fake: %w", discover.ErrTimeout)
	}
	return nil
}

func (f *fakeNetwork) RequestENR(ctx context.Context, n *enode.Node) (*enode.Node, error) {
	if err := f.enter(ctx, n); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(f.nodes, func(o *enode.Node) bool { return o.ID() == n.ID() })
	return f.nodes[i], nil
}

func (f *fakeNetwork) FindNode(ctx context.Context, n *enode.Node, distances []uint) (found []*enode.Node, err error) {
	if err := f.enter(ctx, n); err != nil {
		return nil, err
	}
	for _, d := range distances {
		found = append(found, f.tables[n.ID()][d]...)
	}
	return found[:min(len(found), 16)], nil
}

func (f *fakeNetwork) FindNearest(ctx context.Context, n *enode.Node, target enode.PublicKey) (found []*enode.Node, err error) {
	if err := f.enter(ctx, n); err != nil {
		return nil, err
	}
	for _, bucket := range f.tables[n.ID()] {
		for _, o := range bucket {
			at, _ := o.UDPEndpoint()
			found = append(found, enode.NewV4(o.PublicKey(), at.Addr(), 0, at.Port()))
		}
	}
	id := enode.PubkeyID(target)
	slices.SortFunc(found, func(a, b *enode.Node) int { return enode.CompareDistance(id, a.ID(), b.ID()) })
	return found[:min(len(found), 16)], nil
}

// A crawl from one node finds all of a network and gets the record of each that is
// there, although packets are lost. It never has more questions out than it may,
// leaves every node its pause, and keeps below its rate.
func TestRunFindsAll(t *testing.T) {
	for _, tt := range []struct {
		v4     bool
		lose   int
		growth float64 // questions for each node, at most
	}{{v4: true, growth: 10}, {v4: false, lose: 50, growth: 11}} {
		t.Run(fmt.Sprintf("v4=%v", tt.v4), func(t *testing.T) {
			f := newFakeNetwork(t, 600, 60)
			f.lose = tt.lose
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				core := newCore(t, Config{V4: tt.v4, Seeds: f.nodes[:1]})
				shown := 0
				complete, err := Run(context.Background(), core, f, Options{Parallel: 8, Every: time.Second, Show: func(Progress) { shown++ }})
				took := time.Since(start)
				if !complete || err != nil {
					t.Fatalf("complete %v, %v", complete, err)
				}
				set, p := core.NodeSet(), core.Progress(time.Now())
				for _, n := range f.nodes {
					if status, ok := set[n.ID()]; ok == f.dead[n.ID()] || ok && (status.Score != 1 || status.Record != n.Record()) {
						t.Errorf("node %v, dead %v: %+v", n.ID(), f.dead[n.ID()], status)
					}
				}
				if p.Found != 600 || p.Checked != 600 || p.Alive != 540 || p.Left != 0 || p.Estimate.Coverage < 0.999 {
					t.Errorf("%+v", p)
				}
				if f.most > 8 || f.hasty || p.Requests != f.asked {
					t.Errorf("%d questions at a time, too soon %v; %d asked, %d counted", f.most, f.hasty, f.asked, p.Requests)
				}
				if rate := float64(f.asked) / took.Seconds(); rate > 200 {
					t.Errorf("%.0f questions a second", rate)
				}
				if each := float64(f.asked) / 600; each > tt.growth {
					t.Errorf("%.1f questions for each node, want at most %v", each, tt.growth)
				}
				if want := int(took / time.Second); shown < want-1 || shown > want {
					t.Errorf("shown %d times in %v", shown, took)
				}
				t.Logf("%d questions in %v: %s", f.asked, took, &p)
			})
		})
	}
}

// The end of the context ends the crawl at once. What was checked is in the result,
// and what was not is as it was before.
func TestRunInterrupted(t *testing.T) {
	f := newFakeNetwork(t, 100, 0)
	known := dnsdisc.NodeSet{}
	for _, n := range f.nodes {
		known[n.ID()] = statusOf(n, 4)
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		core := newCore(t, Config{Known: known})
		complete, err := Run(ctx, core, f, Options{Parallel: 4})
		if complete || err != nil || time.Since(start) != 500*time.Millisecond || f.out != 0 {
			t.Errorf("complete %v, %v after %v with %d questions out", complete, err, time.Since(start), f.out)
		}
		scores := make(map[int]int)
		for _, status := range core.NodeSet() {
			scores[status.Score]++
		}
		if alive := core.Progress(time.Now()).Alive; alive == 0 || scores[5] != alive || scores[4] != 100-alive {
			t.Errorf("nodes by score: %v, %d alive", scores, alive)
		}
	})
}

// brokenNetwork is one whose service has ended.
type brokenNetwork struct{ fakeNetwork }

func (*brokenNetwork) RequestENR(context.Context, *enode.Node) (*enode.Node, error) {
	return nil, fmt.Errorf("fake: %w", discover.ErrClosed)
}

// If discovery ends, so does the crawl, with an error; no node is held to it.
func TestRunClosed(t *testing.T) {
	n := testNode(t, 1, 1, 1)
	core := newCore(t, Config{Known: dnsdisc.NodeSet{n.ID(): statusOf(n, 4)}})
	complete, err := Run(context.Background(), core, &brokenNetwork{}, Options{})
	if complete || !errors.Is(err, discover.ErrClosed) || core.NodeSet()[n.ID()].Score != 4 {
		t.Errorf("%v, %v, %+v", complete, err, core.NodeSet())
	}
}
