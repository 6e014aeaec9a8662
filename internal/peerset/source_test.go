package peerset

import (
	"fmt"
	"math"
	"testing"
	"time"

	"parley/internal/netaddr"
)

// flood keeps every source full of candidates of networks of their own, dials for
// some rounds and has each dial end as outcome says. It returns the dials by source.
func flood(t *testing.T, s *Set, rounds int, outcome func(Source) Cause, sources ...Source) map[Source]int {
	t.Helper()
	dials := make(map[Source]int)
	of := make(map[ID]Source)
	now, next := at, 0
	for range rounds {
		now = now.Add(time.Second)
		for _, source := range sources {
			for range 3 {
				next++
				n := madeNode(next, fmt.Sprintf("%d.%d.%d.1:30303", 60+next>>16, next>>8&255, next&255))
				if s.Offer(now, Candidate{Node: n, Source: source}) == nil {
					of[n.ID()] = source
				}
			}
		}
		for {
			n, _ := s.NextDial(now)
			if n == nil {
				break
			}
			dials[of[n.ID()]]++
			if cause := outcome(of[n.ID()]); cause >= 0 {
				s.DialDone(now, n.ID(), cause)
				break // one a second
			}
			ep, _ := n.TCPEndpoint()
			if _, err := s.Add(now, Conn{ID: n.ID(), Addr: ep}); err != nil {
				t.Fatal(err)
			}
			s.Remove(now.Add(settled), n.ID(), CauseUnreachable)
			break
		}
		now = now.Add(settled)
	}
	return dials
}

// A source that is dropped leaves no candidate behind, and those of the others stay.
// A node that it named can be offered again.
func TestDropSource(t *testing.T) {
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	ours, theirs := Candidate{Node: madeNode(1, "60.0.1.1:30303"), Source: "a"}, Candidate{Node: madeNode(2, "60.0.2.1:30303"), Source: "b"}
	for _, c := range []Candidate{ours, theirs} {
		if err := s.Offer(at, c); err != nil {
			t.Fatal(err)
		}
	}
	s.DropSource("a")
	now := at.Add(time.Minute)
	if n, _ := s.NextDial(now); n == nil || n.ID() != theirs.Node.ID() {
		t.Errorf("%v is dialed, want the candidate of the other source", n)
	}
	if n, _ := s.NextDial(now); n != nil {
		t.Errorf("%v is dialed, which came from a source that was dropped", n)
	}
	ours.Source = "b"
	if err := s.Offer(now, ours); err != nil {
		t.Errorf("offered again: %v", err)
	}
	if n, _ := s.NextDial(now.Add(time.Minute)); n == nil || n.ID() != ours.Node.ID() {
		t.Errorf("%v is dialed, want the node that was offered again", n)
	}
}

// H6: of the dynamic dials at most a third are of nodes that DNS named, however good
// they look, while others have candidates; every source gets a part.
func TestSourcesAreMixed(t *testing.T) {
	const rounds = 3000
	good := map[Source]bool{SourceDNS: true}
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	dials := flood(t, s, rounds, func(source Source) Cause {
		if good[source] {
			return -1
		}
		return CauseUnreachable
	}, SourceDNS, SourceV4, SourceV5, ProtocolSource("chat"))
	total := 0
	for _, n := range dials {
		total += n
	}
	t.Logf("seed 1: %v", dials)
	if 3*dials[SourceDNS] > total || 4*dials[SourceDNS] < total {
		t.Errorf("%d of %d dials are of DNS, want up to a third", dials[SourceDNS], total)
	}
	for _, source := range []Source{SourceV4, SourceV5, ProtocolSource("chat")} {
		if dials[source] < total/50 {
			t.Errorf("%d of %d dials are of %s, want some", dials[source], total, source)
		}
	}

	// Alone it has all of them.
	s = New(id(100), roomy, netaddr.List{}, rng(1))
	if dials := flood(t, s, 50, func(Source) Cause { return CauseUnreachable }, SourceDNS); dials[SourceDNS] != 50 {
		t.Errorf("%d of 50 dials are of the only source", dials[SourceDNS])
	}
}

// What succeeds is dialed more, and what stops to is dialed less again.
func TestDialsFollowSuccess(t *testing.T) {
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	of := func(best Source) func(Source) Cause {
		return func(source Source) Cause {
			if source == best {
				return -1
			}
			return CauseUnreachable
		}
	}
	dials := flood(t, s, 400, of(SourceV5), SourceV4, SourceV5)
	if dials[SourceV5] < 2*dials[SourceV4]*9/10 {
		t.Errorf("dials %v, want most of the better source", dials)
	}
	dials = flood(t, s, 1500, of(SourceV4), SourceV4, SourceV5)
	if dials[SourceV4] < dials[SourceV5] {
		t.Errorf("dials %v after the sources changed places, want more of the better one", dials)
	}
}

// Protocols cannot make up any number of sources.
func TestSourcesAreBounded(t *testing.T) {
	s := newSet(roomy)
	for i := range 80 {
		n := madeNode(i, fmt.Sprintf("80.1.%d.1:30303", i))
		if err := s.Offer(at, Candidate{Node: n, Source: ProtocolSource(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	checkSet(t, s)
	if got := len(s.dialer.queue(SourceOther).waiting); got != 80-(maxSources-1) {
		t.Errorf("%d candidates of other sources, want %d", got, 80-(maxSources-1))
	}
}

// A network whose nodes never answer is dialed last, and a node that once served
// before one of which nothing is known.
func TestChances(t *testing.T) {
	x := newExperience()
	dead, fresh := netOfLetter('d'), netOfLetter('f')
	for range 20 {
		x.learn(at, features{SourceV4, fresh, classNew}, 1, 0)
		x.learn(at, features{SourceV4, netOfLetter('x'), classNew}, 0, 1)
		x.learn(at, features{SourceV4, dead, classNew}, 0, 1)
		x.learn(at, features{SourceV5, fresh, classServed}, 1, 0)
	}
	l := x.lottery(at, rng(1))
	order := []features{
		{SourceV5, fresh, classServed},
		{SourceV5, netOfLetter('u'), classServed},
		{SourceV4, netOfLetter('u'), classNew},
		{SourceV4, dead, classNew},
	}
	for i := 1; i < len(order); i++ {
		if a, b := l.expected(order[i-1]), l.expected(order[i]); a <= b {
			t.Errorf("chance of %v is %.2f, not above that of %v, %.2f", order[i-1], a, order[i], b)
		}
	}
	// After long enough nothing of it is left.
	l = x.lottery(at.Add(40*halfLife), rng(1))
	if a, b := l.expected(order[0]), l.expected(order[3]); math.Abs(a-b) > 1e-6 {
		t.Errorf("after 40 half-lives the chances are %v and %v, want the same", a, b)
	}
}

// The draws have the mean and variance of the Beta distribution.
func TestBeta(t *testing.T) {
	r := rng(1)
	for _, p := range [][2]float64{{1, 1}, {0.3, 2}, {20, 5}, {0.01, 0.01}} {
		const n = 200_000
		sum, squares := 0., 0.
		for range n {
			x := beta(r, p[0], p[1])
			sum += x
			squares += x * x
		}
		mean, variance := sum/n, squares/n-sum/n*sum/n
		s := p[0] + p[1]
		if want := p[0] / s; math.Abs(mean-want) > 0.005 {
			t.Errorf("beta(%v): mean %v, want %v", p, mean, want)
		}
		if want := p[0] * p[1] / (s * s * (s + 1)); math.Abs(variance-want) > 0.005 {
			t.Errorf("beta(%v): variance %v, want %v", p, variance, want)
		}
	}
}

// A peer that is dropped within 30 s was no success.
func TestShortConnectionIsNoSuccess(t *testing.T) {
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	n := madeNode(1, "80.1.1.1:30303")
	s.Offer(at, Candidate{Node: n, Source: SourceV4})
	dial(t, s, at)
	add(t, s, at, n.ID(), "80.1.1.1:30303", false)
	if got := s.dialer.x.sources[SourceV4]; got.good != 1 || got.bad != 0 {
		t.Errorf("after Add the source has %v to %v, want 1 to 0", got.good, got.bad)
	}
	s.Remove(at.Add(time.Second), n.ID(), CauseUseless)
	if got := s.dialer.x.sources[SourceV4]; math.Abs(got.good) > 1e-3 || math.Abs(got.bad-1) > 1e-3 {
		t.Errorf("after its end a second later it has %v to %v, want 0 to 1", got.good, got.bad)
	}
	if err := s.Offer(at.Add(23*time.Hour), Candidate{Node: n, Source: SourceV4}); err == nil {
		t.Error("a useless node is a candidate again within a day")
	}
}

func BenchmarkNextDial(b *testing.B) {
	s := New(id(100), Limits{Peers: 1000, Dialed: 500, Pending: 50}, netaddr.List{}, rng(1))
	next := 0
	refill := func(now time.Time) {
		for _, source := range []Source{SourceV4, SourceV5, ProtocolSource("a"), ProtocolSource("b")} {
			for s.Wanted(now, source) > 0 {
				next++
				s.Offer(now, Candidate{Node: madeNode(next, fmt.Sprintf("%d.%d.%d.1:30303", 60+next>>16&127, next>>8&255, next&255)), Source: source})
			}
		}
	}
	now := at
	for b.Loop() {
		b.StopTimer()
		now = now.Add(time.Second)
		refill(now)
		b.StartTimer()
		if n, _ := s.NextDial(now); n != nil {
			s.DialDone(now, n.ID(), CauseUnreachable)
		}
	}
}
