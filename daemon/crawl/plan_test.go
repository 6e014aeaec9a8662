package crawl

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"parley/enode"
)

// steps writes the steps of a plan: those of several distances as their range.
func steps(p *plan) string {
	text := ""
	for i, s := range p.steps {
		if i > 0 {
			text += " "
		}
		text += fmt.Sprint(s.distances[0])
		if last := s.distances[len(s.distances)-1]; last != s.distances[0] {
			text += fmt.Sprintf("-%d", last)
		}
	}
	return text
}

// Distances at which few nodes are to be expected share a question.
func TestPlanV5(t *testing.T) {
	for size, want := range map[int]string{
		1:      "256-241",
		10:     "256 255-241",
		20:     "256 255 254-241",
		1000:   "256 255 254 253 252 251 250 249-248 247-241",
		20_000: "256 255 254 253 252 251 250 249 248 247 246 245 244-241",
	} {
		if got := steps(newPlan(false, size)); got != want {
			t.Errorf("%d nodes: %s, want %s", size, got, want)
		}
	}
}

// An answer that is full was cut, and the question is divided until it holds one
// distance.
func TestPlanV5Divides(t *testing.T) {
	n := testNode(t, 0, 1, 1)
	p := newPlan(false, 10)
	full, some := make([]*enode.Node, 16), make([]*enode.Node, 3)
	for i, tt := range []struct {
		nodes []*enode.Node
		want  string
	}{
		{full, "255-241"}, {full, "255-248 247-241"}, {full, "255-252 251-248 247-241"}, {some, "251-248 247-241"},
		{full[:12], "251-250 249-248 247-241"}, {full[:11], "249-248 247-241"}, {full, "249 248 247-241"}, {full, "248 247-241"}, {nil, "247-241"}, {nil, ""},
	} {
		more := p.answered(n.ID(), tt.nodes)
		if got := steps(p); got != tt.want || more != (tt.want != "") {
			t.Errorf("after answer %d with %d nodes: %q, %v; want %q", i, len(tt.nodes), got, more, tt.want)
		}
	}
}

// With v4 the first answer decides: everything beyond its reach is asked for.
func TestPlanV4(t *testing.T) {
	n := testNode(t, 0, 1, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	at := func(distances ...uint) (nodes []*enode.Node) {
		for len(nodes) < answerSize {
			for _, d := range distances {
				nodes = append(nodes, enode.NewV4(targetAt(rng, n, d), n.Addr(), 1, 1))
			}
		}
		return nodes[:answerSize]
	}
	for _, tt := range []struct {
		nodes []*enode.Node
		want  string
	}{
		{at(256, 255), "256"},
		{at(254, 253, 250), "256 255 254"},
		{at(247), "256 255 254 253 252 251 250 249 248 247"},
		{at(256)[:8], "256"},
		{at(256)[:7], ""},
		{nil, ""},
	} {
		p := newPlan(true, 1000)
		if got := steps(p); got != "0" {
			t.Fatalf("the first question is %q", got)
		}
		more := p.answered(n.ID(), tt.nodes)
		if got := steps(p); got != tt.want || more != (tt.want != "") {
			t.Errorf("%q, %v; want %q", got, more, tt.want)
		}
	}
	p := newPlan(true, 1000)
	p.answered(n.ID(), at(250))
	p.answered(n.ID(), at(256))
	if got := steps(p); got != "255 254 253 252 251 250" {
		t.Errorf("a full answer is followed by %q", got)
	}
	if p.answered(n.ID(), nil) {
		t.Errorf("after an empty answer it goes on with %q", steps(p))
	}
}

// Neighbours that are told to be very near do not make us search for targets that
// take long to find.
func TestPlanV4Bounded(t *testing.T) {
	n := testNode(t, 0, 1, 1)
	near := make([]*enode.Node, answerSize)
	for i := range near {
		near[i] = n // distance 0
	}
	p := newPlan(true, 1000)
	p.answered(n.ID(), near)
	if got := p.steps[len(p.steps)-1].distances; !slices.Equal(got, []uint{nearestV4}) {
		t.Errorf("the nearest distance asked for is %d, want %d", got, nearestV4)
	}
}

// Targets are where they should be.
func TestTargetAt(t *testing.T) {
	n := testNode(t, 0, 1, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	if targetAt(rng, n, 0) != n.PublicKey() {
		t.Error("distance 0 is not the node itself")
	}
	for d := uint(farthest); d >= nearestV4; d-- {
		if got := enode.LogDistance(n.ID(), enode.PubkeyID(targetAt(rng, n, d))); got != int(d) {
			t.Errorf("distance %d, want %d", got, d)
		}
	}
}
