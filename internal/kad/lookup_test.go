package kad

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"parley/enode"

	"pgregory.net/rapid"
)

// A world is a network in which every node knows others as a table does.
type world struct {
	nodes []*enode.Node
	ids   []enode.ID
	table map[enode.ID]*Table
}

// newWorld makes a network of n honest nodes, each in its own /24. Each knows some
// by chance and those nearest to itself.
func newWorld(n int, seed uint64) *world {
	w := &world{table: make(map[enode.ID]*Table)}
	for i := range n {
		w.nodes = append(w.nodes, node(int(seed)+i, apart(i)))
		w.ids = append(w.ids, w.nodes[i].ID())
	}
	near := slices.Clone(w.nodes)
	for i, id := range w.ids {
		rng := newRand(seed + uint64(i))
		table := New(id, Config{}, rng)
		for _, j := range rng.Perm(n)[:min(n, 300)] {
			table.Verified(at, w.nodes[j])
		}
		slices.SortFunc(near, func(a, b *enode.Node) int { return enode.CompareDistance(id, a.ID(), b.ID()) })
		for _, n := range near[:min(n, 40)] {
			table.Verified(at, n)
		}
		w.table[id] = table
	}
	return w
}

// run carries a lookup through. ask answers for a node, or returns false if it
// does not. It returns how many requests were sent.
func run(t testing.TB, l *Lookup, rng *rand.Rand, ask func(n *enode.Node) ([]*enode.Node, bool)) (requests int) {
	t.Helper()
	var pending []*enode.Node
	for {
		for {
			n, ok := l.Next()
			if !ok {
				break
			}
			requests++
			pending = append(pending, n)
		}
		if len(pending) == 0 {
			if !l.Done() {
				t.Fatal("the lookup waits for nobody, and is not done")
			}
			return requests
		}
		if l.Done() {
			t.Fatal("the lookup is done, and waits for somebody")
		}
		// Answers come in any order.
		i := rng.IntN(len(pending))
		n := pending[i]
		pending = slices.Delete(pending, i, i+1)
		if nodes, ok := ask(n); ok {
			l.Answer(n.ID(), nodes)
		} else {
			l.Fail(n.ID())
		}
	}
}

// ask answers as discovery v4 does, from the table of the node asked.
func (w *world) ask(target enode.ID) func(*enode.Node) ([]*enode.Node, bool) {
	return func(n *enode.Node) ([]*enode.Node, bool) { return w.table[n.ID()].Closest(target, 16, true), true }
}

// In a network of 1,000 a lookup finds exactly the 16 nearest nodes, with few
// requests, over one path or several, and when answers get lost.
func TestLookup(t *testing.T) {
	w := newWorld(1000, 0)
	for _, c := range []struct {
		cfg   LookupConfig
		loss  float64
		found float64 // least share of the 16 nearest
		most  float64 // requests for each lookup
	}{
		{LookupConfig{}, 0, 1, 30},
		{LookupConfig{Paths: 3}, 0, 1, 40},
		{LookupConfig{Alpha: 1}, 0, 1, 30},
		{LookupConfig{}, 0.02, 0.999, 30},
		{LookupConfig{}, 0.19, 0.95, 40},
		{LookupConfig{Paths: 3}, 0.19, 0.95, 48},
		{LookupConfig{Tries: 4}, 0.51, 0.90, 64},
	} {
		t.Run(fmt.Sprintf("%d paths, alpha %d, loss %v", max(c.cfg.Paths, 1), c.cfg.Alpha, c.loss), func(t *testing.T) {
			rng := newRand(3)
			const rounds = 100
			found, requests := 0, 0
			for range rounds {
				var target enode.ID
				for i := range target {
					target[i] = byte(rng.Uint32())
				}
				from := w.nodes[rng.IntN(len(w.nodes))]
				others := slices.DeleteFunc(slices.Clone(w.ids), func(id enode.ID) bool { return id == from.ID() })
				seeds := w.table[from.ID()].Closest(target, 16, true)
				answer := w.ask(target)
				l := NewLookup(from.ID(), target, seeds, c.cfg)
				requests += run(t, l, rng, func(n *enode.Node) ([]*enode.Node, bool) {
					if rng.Float64() < c.loss {
						return nil, false
					}
					return answer(n)
				})
				want := nearest(target, 16, others)
				got := ids(l.Result())
				if !slices.IsSortedFunc(got, func(a, b enode.ID) int { return enode.CompareDistance(target, a, b) }) {
					t.Error("the result is not in order of distance")
				}
				for _, id := range got {
					if slices.Contains(want, id) {
						found++
					}
				}
			}
			share, each := float64(found)/(16*rounds), float64(requests)/rounds
			t.Logf("%.4f of the nearest found, %.1f requests each", share, each)
			if share < c.found {
				t.Errorf("%.4f of the nearest nodes were found, want %v", share, c.found)
			}
			if each > c.most {
				t.Errorf("%.1f requests for each lookup, want %v at most", each, c.most)
			}
		})
	}
}

// No more than alpha nodes are asked at a time, and the next one as soon as one
// answers or fails.
func TestLookupAlpha(t *testing.T) {
	nodes := nodesAt(256, 10)
	l := NewLookup(self, enode.ID{}, nodes, LookupConfig{})
	var first []*enode.Node
	for {
		n, ok := l.Next()
		if !ok {
			break
		}
		first = append(first, n)
	}
	if want := nearest(enode.ID{}, 3, ids(nodes)); !slices.Equal(ids(first), want) {
		t.Fatalf("asked %v first, want the nearest three, %v", ids(first), want)
	}
	l.Answer(first[1].ID(), nil)
	if _, ok := l.Next(); !ok {
		t.Error("nobody is asked after an answer")
	}
	if _, ok := l.Next(); ok {
		t.Error("two are asked after one answer")
	}
	l.Fail(first[0].ID())
	l.Fail(first[0].ID())
	if _, ok := l.Next(); !ok {
		t.Error("nobody is asked after a failure")
	}
	if _, ok := l.Next(); ok {
		t.Error("two are asked after one failure")
	}
	// The failed one answers after all.
	l.Answer(first[0].ID(), nil)
	if got := l.Result(); len(got) != 2 || got[0].ID() != first[0].ID() {
		t.Errorf("%d results, want the late answer among 2", len(got))
	}
	if _, ok := l.Next(); ok {
		t.Error("a late answer let another be asked")
	}
}

// F9, G6: what an answer may hold. Who was not asked is not heard, and an answer
// that comes twice counts once.
func TestLookupAnswer(t *testing.T) {
	all := nodesAt(256, 60)
	own := nodesAt(255, 1)[0]
	for _, c := range []struct {
		name  string
		nodes []*enode.Node
		want  int // nodes that are asked after it
	}{
		{"nothing", nil, 0},
		{"nil", []*enode.Node{nil}, 0},
		{"own ID", []*enode.Node{own}, 0},
		{"the one who answers", all[:1], 0},
		{"without endpoint", []*enode.Node{enode.NewV4(pub(3), own.Addr(), 1, 0)}, 0},
		{"the same 12 times", slices.Repeat(all[1:2], 12), 1},
		{"16 nodes", all[1:17], 16},
		{"59 nodes", all[1:60], 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Nearest to the target is the one who answers, so all others are within
			// the width.
			l := NewLookup(own.ID(), all[0].ID(), all[:1], LookupConfig{Width: 16, PerPrefix: -1})
			l.Answer(all[0].ID(), all) // not asked yet
			n, _ := l.Next()
			l.Answer(all[40].ID(), all) // not asked at all
			l.Answer(n.ID(), c.nodes)
			l.Answer(n.ID(), all[20:]) // the second time
			if got := len(l.paths[0].nodes) - 1; got != c.want {
				t.Errorf("%d candidates, want %d", got, c.want)
			}
			requests := run(t, l, newRand(1), func(*enode.Node) ([]*enode.Node, bool) { return nil, true })
			if requests != min(c.want, 15) {
				t.Errorf("%d were asked, want %d", requests, min(c.want, 15))
			}
		})
	}
}

// A lookup of several paths does not use on one what was learned on another, and
// asks nobody twice.
func TestLookupPathsAreDisjoint(t *testing.T) {
	seeds := nodesAt(256, 2)
	target := nodesAt(255, 1)[0].ID()
	slices.SortFunc(seeds, func(a, b *enode.Node) int { return enode.CompareDistance(target, a.ID(), b.ID()) })
	liar, honest := seeds[0], seeds[1]
	truth := nodesAt(254, 4)
	lies := nodesAt(255, 17)[1:] // nearer, and endless
	l := NewLookup(self, target, seeds, LookupConfig{Paths: 2, PerPrefix: -1})
	asked := make(map[enode.ID]int)
	run(t, l, newRand(1), func(n *enode.Node) ([]*enode.Node, bool) {
		asked[n.ID()]++
		switch n.ID() {
		case honest.ID():
			return truth, true
		case liar.ID():
			return lies, true
		default:
			return nil, true
		}
	})
	for _, n := range truth {
		if asked[n.ID()] != 1 {
			t.Errorf("a node named on the honest path was asked %d times, want once", asked[n.ID()])
		}
	}
	for id, times := range asked {
		if times != 1 {
			t.Errorf("%v was asked %d times", id.TerminalString(), times)
		}
	}
}

// Whoever commands two networks and as many IDs as it likes gets at most half of
// a result, and does not make the lookup longer than its bound.
func TestLookupOfManyIDsInTwoNetworks(t *testing.T) {
	w := newWorld(200, 0)
	target := enode.PubkeyID(pub(123_456_789))
	var sybils []*enode.Node
	for i := range 10_000 {
		addr := fmt.Sprintf("90.9.9.%d:%d", i%250+1, i+1)
		if i%2 == 0 {
			addr = fmt.Sprintf("[2a00:9:9:9::%x]:1", i+1)
		}
		sybils = append(sybils, node(10_000_000+i, addr))
	}
	slices.SortFunc(sybils, func(a, b *enode.Node) int { return enode.CompareDistance(target, a.ID(), b.ID()) })
	for _, answers := range []bool{true, false} {
		asked := 0
		l := NewLookup(self, target, append(w.nodes[:8:8], sybils[1600:1608]...), LookupConfig{})
		requests := run(t, l, newRand(1), func(n *enode.Node) ([]*enode.Node, bool) {
			table, honest := w.table[n.ID()]
			if !honest {
				from := 16 * asked
				asked++
				return sybils[from : from+16], answers
			}
			return append(sybils[:3:3], table.Closest(target, 13, true)...), true
		})
		good := 0
		for _, n := range l.Result() {
			if w.table[n.ID()] != nil {
				good++
			}
		}
		if good < 8 || requests > 128 {
			t.Errorf("sybils answer: %v: %d honest of %d, %d requests; want 8 honest at least, 128 requests at most", answers, good, len(l.Result()), requests)
		}
		if !answers && good != 16 {
			t.Errorf("%d honest, want all 16 when the others do not answer", good)
		}
	}
}

// Whoever commands many networks can name ever nearer nodes, but not without end.
func TestLookupIsBounded(t *testing.T) {
	target := enode.PubkeyID(pub(123_456_789))
	var sybils []*enode.Node
	for i := range 8000 {
		sybils = append(sybils, node(i, apart(i)))
	}
	slices.SortFunc(sybils, func(a, b *enode.Node) int { return enode.CompareDistance(target, b.ID(), a.ID()) })
	for _, answers := range []bool{true, false} {
		asked := make(map[enode.ID]bool)
		l := NewLookup(self, target, sybils[:16], LookupConfig{})
		run(t, l, newRand(1), func(n *enode.Node) ([]*enode.Node, bool) {
			asked[n.ID()] = true
			from := min(16*len(asked), len(sybils)-16)
			// The others are not there.
			return sybils[from : from+16], answers || len(asked)%8 == 1
		})
		if len(asked) > 128 {
			t.Errorf("all answer: %v: %d nodes were asked, want 128 at most", answers, len(asked))
		}
		if len(l.paths[0].nodes) > 64 {
			t.Errorf("%d candidates are kept, want 64 at most", len(l.paths[0].nodes))
		}
	}
}

// Whatever others answer, in whatever order: nobody is asked more often than
// Tries, nobody on two paths at once, no more than alpha at a time, and it ends.
func TestLookupProperties(t *testing.T) {
	pool := make([]*enode.Node, 300)
	for i := range pool {
		pool[i] = node(i, apart(i))
		if i%5 == 0 {
			pool[i] = node(i, fmt.Sprintf("90.9.9.%d:1", i%250+1))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, len(pool)-1), func(i int) *enode.Node { return pool[i] }), 0, 20)
		cfg := LookupConfig{
			Alpha: rapid.IntRange(0, 5).Draw(t, "alpha"), Paths: rapid.IntRange(0, 4).Draw(t, "paths"),
			Width: rapid.IntRange(0, 17).Draw(t, "width"), Tries: rapid.IntRange(0, 3).Draw(t, "tries"),
			PerPrefix: rapid.IntRange(-1, 5).Draw(t, "per prefix"),
		}
		target := pool[rapid.IntRange(0, len(pool)-1).Draw(t, "target")].ID()
		own := pool[0].ID()
		l := NewLookup(own, target, some.Draw(t, "seeds"), cfg)
		cfg = cfg.withDefaults()
		asked := make(map[enode.ID]int)
		answered := make(map[enode.ID]bool)
		var pending []*enode.Node
		for step := 0; ; step++ {
			if step > 10*maxQueries*cfg.Width*cfg.Tries {
				t.Fatal("it does not end")
			}
			n, ok := l.Next()
			if ok {
				asked[n.ID()]++
				if asked[n.ID()] > cfg.Tries || n.ID() == own || answered[n.ID()] {
					t.Fatalf("%v is asked the %d. time, of %d, answered %v", n.ID(), asked[n.ID()], cfg.Tries, answered[n.ID()])
				}
				if pending = append(pending, n); len(pending) > cfg.Alpha {
					t.Fatalf("%d are asked at a time, want %d", len(pending), cfg.Alpha)
				}
				continue
			}
			if l.Done() != (len(pending) == 0) {
				t.Fatalf("Done() = %v with %d pending", l.Done(), len(pending))
			}
			if len(pending) == 0 {
				break
			}
			i := rapid.IntRange(0, len(pending)-1).Draw(t, "who")
			n = pending[i]
			pending = slices.Delete(pending, i, i+1)
			if rapid.Bool().Draw(t, "fails") {
				l.Fail(n.ID())
				continue
			}
			answered[n.ID()] = true
			l.Answer(n.ID(), some.Draw(t, "answer"))
		}
		var all []enode.ID
		for _, n := range pool { // in an order that does not change
			if answered[n.ID()] {
				all = append(all, n.ID())
			}
		}
		if got, want := ids(l.Result()), nearest(target, cfg.Width, all); !slices.Equal(got, want) {
			t.Fatalf("the result is %v, want the nearest that answered, %v", got, want)
		}
		if len(asked) > maxQueries*cfg.Width {
			t.Fatalf("%d were asked, want %d at most", len(asked), maxQueries*cfg.Width)
		}
	})
}
