package peerset

import (
	"errors"
	"testing"
	"time"

	"parley/internal/netaddr"
)

var roomy = Limits{Peers: 50, Dialed: 25, Pending: 50}

// dial asks for the next dial and fails the test if there is none.
func dial(t *testing.T, s *Set, now time.Time) ID {
	t.Helper()
	n, wake := s.NextDial(now)
	if n == nil {
		t.Fatalf("NextDial at %v = none, wake in %v", now.Sub(at), wake.Sub(now))
	}
	return n.ID()
}

// wantWake checks that there is nothing to dial until the given time from at.
func wantWake(t *testing.T, s *Set, now time.Time, want time.Duration) {
	t.Helper()
	n, wake := s.NextDial(now)
	if n != nil {
		t.Fatalf("NextDial at %v = %v, want none", now.Sub(at), n.ID())
	}
	if got := wake.Sub(at); got != want {
		t.Fatalf("NextDial at %v wakes at %v, want %v", now.Sub(at), got, want)
	}
}

// A node that refuses us is dialed again, but not before redialAfter, and later
// each time.
func TestNextDialBacksOff(t *testing.T) {
	for _, c := range []struct {
		cause Cause
		want  []time.Duration // pauses after the first, second … failure
	}{
		{CauseUnreachable, []time.Duration{35 * time.Second, 70 * time.Second, 140 * time.Second, 280 * time.Second, 560 * time.Second, 600 * time.Second, 600 * time.Second}},
		{CauseTooManyPeers, []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, 30 * time.Minute}},
		{CauseUseless, []time.Duration{35 * time.Second, 70 * time.Second, 140 * time.Second}},
		{CauseEnded, []time.Duration{35 * time.Second, 70 * time.Second, 140 * time.Second, 280 * time.Second, 300 * time.Second}},
		{CauseSelf, []time.Duration{time.Hour, time.Hour}},
		{CauseAlreadyConnected, []time.Duration{4 * time.Second, 4 * time.Second}},
	} {
		n := node(t, 1, "80.1.1.1:30303")
		s := New(ID{}, roomy, netaddr.List{}) // lower than the node
		s.AddStatic(at, n)
		now := at
		for i, pause := range c.want {
			if got := dial(t, s, now); got != n.ID() {
				t.Fatalf("NextDial = %v, want the static node", got)
			}
			if other, _ := s.NextDial(now); other != nil {
				t.Fatal("a node that is being dialed is dialed again")
			}
			s.DialDone(now, n.ID(), c.cause)
			next := now.Add(pause)
			if _, wake := s.NextDial(now); !wake.Equal(next) {
				t.Fatalf("cause %d, failure %d: wake after %v, want %v", c.cause, i+1, wake.Sub(now), pause)
			}
			now = next
		}
	}
}

// A dial that takes long is followed by the pause that its cause asks for, and a
// short connection counts as a failure; one that lasted makes the slate clean.
func TestRedialAfterConnection(t *testing.T) {
	n := node(t, 1, "80.1.1.1:30303")
	s := New(ID{}, roomy, netaddr.List{})
	s.AddStatic(at, n)
	dial(t, s, at)
	add(t, s, at.Add(time.Second), n.ID(), "80.1.1.1:30303", false)
	if other, wake := s.NextDial(at.Add(time.Hour)); other != nil || !wake.IsZero() {
		t.Fatal("a connected node is to be dialed")
	}
	s.Remove(at.Add(2*time.Second), n.ID(), CauseUseless)
	wantWake(t, s, at.Add(2*time.Second), 37*time.Second)

	now := at.Add(37 * time.Second)
	dial(t, s, now)
	add(t, s, now, n.ID(), "80.1.1.1:30303", false)
	if got := s.Explain(n.ID()).Failures; got != 1 {
		t.Errorf("Failures = %d, want 1", got)
	}
	now = now.Add(time.Minute)
	s.Remove(now, n.ID(), CauseUnreachable)
	wantWake(t, s, now, now.Sub(at)+2*time.Second)
	if got := s.Explain(n.ID()).Failures; got != 0 {
		t.Errorf("Failures after a minute of connection = %d, want 0", got)
	}
}

// Two sides whose connections met wait for different times.
func TestCrossedDialsPart(t *testing.T) {
	if low, high := CauseAlreadyConnected.pause(1, true, true), CauseAlreadyConnected.pause(1, true, false); low == high || max(low, high) > 10*time.Second {
		t.Errorf("pauses are %v and %v, want different ones below 10s", low, high)
	}
}

// Candidates fill the dialed share and no more, and what is of no use is refused
// with its reason.
func TestOfferFillsTheDialedShare(t *testing.T) {
	list, err := netaddr.ParseList("80.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	s := New(id(100), Limits{Peers: 10, Dialed: 2, Pending: 5}, list)
	if got := s.Wanted(); got != 4 {
		t.Errorf("Wanted = %d, want 4", got)
	}
	filtered := errors.New("another fork")
	for _, c := range []struct {
		name     string
		endpoint string
		filtered error
		want     error
	}{
		{"no endpoint", "", nil, ErrNoEndpoint},
		{"outside", "81.1.1.1:1", nil, ErrRestricted},
		{"filtered", "80.1.1.1:1", filtered, filtered},
	} {
		if err := s.Offer(at, node(t, 99, c.endpoint), c.filtered); !errors.Is(err, c.want) {
			t.Errorf("Offer of a node %s = %v, want %v", c.name, err, c.want)
		}
	}
	for i := range byte(4) {
		if err := s.Offer(at, node(t, 1+i, "80.1.1.1:30303"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Offer(at, node(t, 1, "80.1.1.1:30303"), nil); !errors.Is(err, ErrAlreadyDialing) {
		t.Errorf("Offer of a waiting candidate = %v, want ErrAlreadyDialing", err)
	}
	if got := s.Wanted(); got != 0 {
		t.Errorf("Wanted with enough candidates = %d, want 0", got)
	}
	first, second := dial(t, s, at), dial(t, s, at)
	if n, _ := s.NextDial(at); n != nil {
		t.Fatal("a third dynamic dial for two places")
	}
	s.DialDone(at, first, CauseUnreachable)
	third := dial(t, s, at)
	add(t, s, at, second, "80.1.1.1:30303", false)
	add(t, s, at, third, "80.1.1.1:30303", false)
	if n, _ := s.NextDial(at); n != nil {
		t.Fatal("a dynamic dial although the share is full")
	}
	if s.InFlight() != 0 {
		t.Errorf("InFlight = %d, want 0", s.InFlight())
	}
	s.Remove(at, second, CauseEnded)
	if n, _ := s.NextDial(at); n == nil {
		t.Error("no dial although a place is free and a candidate waits")
	}
	if err := s.Offer(at, node(t, 1, "80.1.1.1:30303"), nil); !errors.Is(err, ErrTooSoon) && !errors.Is(err, ErrAlreadyDialing) {
		t.Errorf("Offer of a node that just failed = %v, want ErrTooSoon", err)
	}
}

// A static node that cannot be dialed is explained once, not at every look.
func TestStaticThatCannotBeDialed(t *testing.T) {
	list, err := netaddr.ParseList("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	s := New(id(100), roomy, list)
	n := node(t, 1, "80.1.1.1:30303")
	s.AddStatic(at, n)
	for range 5 {
		if got, _ := s.NextDial(at); got != nil {
			t.Fatal("a node outside the permitted networks is dialed")
		}
	}
	vs := s.Explain(n.ID()).Verdicts
	if len(vs) != 1 || vs[0].Gate != GateNetRestrict || vs[0].Count != 1 {
		t.Errorf("verdicts = %+v, want one of netrestrict", vs)
	}
}

// No more than Limits.Pending dials are in flight, and static nodes are bounded.
func TestDialBounds(t *testing.T) {
	s := New(ID{}, Limits{Peers: 50, Dialed: 25, Pending: 3}, netaddr.List{})
	for i := range byte(10) {
		s.AddStatic(at, node(t, 1+i, "80.1.1.1:30303"))
	}
	for range 3 {
		dial(t, s, at)
	}
	if n, _ := s.NextDial(at); n != nil {
		t.Error("a fourth dial in flight, want at most 3")
	}
	for i := len(s.dialer.static); i < MaxStatic; i++ {
		s.dialer.static = append(s.dialer.static, ID{}) // as if that many were there
	}
	if err := s.AddStatic(at, node(t, 200, "80.1.1.1:30303")); !errors.Is(err, ErrTooManyStatic) {
		t.Errorf("AddStatic above the bound = %v, want ErrTooManyStatic", err)
	}
}

// What is remembered of dynamic nodes is bounded.
func TestTargetsAreBounded(t *testing.T) {
	s := New(ID{}, roomy, netaddr.List{})
	base := node(t, 1, "80.1.1.1:30303")
	for i := range 3 * maxTargets {
		id := ID{0: 9, 1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}
		s.dialer.targets[id] = &target{node: base}
		s.dialer.order = append(s.dialer.order, id)
		s.dialer.trim()
	}
	if n := len(s.dialer.targets); n != maxTargets {
		t.Errorf("%d nodes are remembered, want %d", n, maxTargets)
	}
}
