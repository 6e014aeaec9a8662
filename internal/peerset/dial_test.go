package peerset

import (
	"errors"
	"fmt"
	"net/netip"
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
		{CauseUnreachable, []time.Duration{35 * time.Second, 50 * time.Second, 50 * time.Second}},
		{CauseTooManyPeers, []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, 30 * time.Minute}},
		{CauseUseless, []time.Duration{35 * time.Second, 70 * time.Second, 140 * time.Second}},
		{CauseEnded, []time.Duration{35 * time.Second, 70 * time.Second, 140 * time.Second, 280 * time.Second, 300 * time.Second}},
		{CauseRefused, []time.Duration{35 * time.Second, 70 * time.Second, 140 * time.Second}},
		{CauseSelf, []time.Duration{time.Hour, time.Hour}},
		{CauseAlreadyConnected, []time.Duration{4 * time.Second, 4 * time.Second}},
	} {
		n := node(t, 1, "80.1.1.1:30303")
		s := New(ID{}, roomy, netaddr.List{}, rng(1)) // lower than the node
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
	s := New(ID{}, roomy, netaddr.List{}, rng(1))
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
	if got := s.Explain(at, n.ID()).Failures; got != 1 {
		t.Errorf("Failures = %d, want 1", got)
	}
	now = now.Add(time.Minute)
	s.Remove(now, n.ID(), CauseUnreachable)
	wantWake(t, s, now, now.Sub(at)+2*time.Second)
	if got := s.Explain(at, n.ID()).Failures; got != 0 {
		t.Errorf("Failures after a minute of connection = %d, want 0", got)
	}
}

// Two sides whose connections met wait for different times.
func TestCrossedDialsPart(t *testing.T) {
	if low, high := CauseAlreadyConnected.pause(1, true, true), CauseAlreadyConnected.pause(1, true, false); low == high || max(low, high) > 10*time.Second {
		t.Errorf("pauses are %v and %v, want different ones below 10s", low, high)
	}
}

// What is of no use is refused with its reason, and counted by source and gate.
func TestOfferRefuses(t *testing.T) {
	list, err := netaddr.ParseList("80.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	s := New(id(100), Limits{Peers: 10, Dialed: 2, Pending: 5}, list, rng(1))
	add(t, s, at, node(t, 3, "").ID(), "80.3.1.1:1", true)
	filtered, objection := errors.New("another fork"), errors.New("not one of ours")
	if err := s.Offer(at, Candidate{Node: node(t, 2, "80.2.1.1:1"), Source: SourceV4}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ban(at, Ban{Net: netip.MustParsePrefix("80.9.0.0/16")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		c    Candidate
		want error
		gate Gate
	}{
		{"without endpoint", Candidate{Node: node(t, 99, "")}, ErrNoEndpoint, GateRecord},
		{"outside", Candidate{Node: node(t, 99, "81.1.1.1:1")}, ErrRestricted, GateNetRestrict},
		{"filtered", Candidate{Node: node(t, 99, "80.1.1.1:1"), Filtered: filtered}, filtered, GateRecord},
		{"against the policy", Candidate{Node: node(t, 99, "80.1.1.1:1"), Policy: Opinion{Err: objection}}, objection, GatePolicy},
		{"banned", Candidate{Node: node(t, 99, "80.9.1.1:1")}, ErrBanned, GateBan},
		{"that waits", Candidate{Node: node(t, 2, "80.2.1.1:1")}, ErrAlreadyDialing, GateSource},
		{"that is a peer", Candidate{Node: node(t, 3, "80.3.1.1:1")}, ErrAlreadyConnected, GateSource},
	} {
		c.c.Source = SourceV5
		before := s.Funnels()[SourceV5].Refused[c.gate]
		if err := s.Offer(at, c.c); !errors.Is(err, c.want) {
			t.Errorf("Offer of a node %s = %v, want %v", c.name, err, c.want)
		}
		if got := s.Funnels()[SourceV5].Refused[c.gate]; got != before+1 {
			t.Errorf("a node %s: %d refusals by %s, want %d", c.name, got, c.gate, before+1)
		}
	}
	if err := s.Offer(at, Candidate{Node: node(t, 4, "80.4.1.1:1"), Policy: Opinion{Err: objection, DryRun: true}}); err != nil {
		t.Errorf("Offer with a dry run of the policy = %v, want nil", err)
	}
	if s.DryRuns() != 1 {
		t.Errorf("DryRuns = %d, want 1", s.DryRuns())
	}
}

// Candidates fill the dialed share and no more.
func TestDialsFillTheShare(t *testing.T) {
	s := New(id(100), Limits{Peers: 10, Dialed: 2, Pending: 50}, netaddr.List{}, rng(1))
	if got := s.Wanted(at, SourceV4); got != minWaiting {
		t.Errorf("Wanted = %d, want %d", got, minWaiting)
	}
	for i := range byte(minWaiting) {
		if err := s.Offer(at, Candidate{Node: node(t, 1+i, fmt.Sprintf("80.1.%d.1:30303", i)), Source: SourceV4}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Wanted(at, SourceV4); got != 0 {
		t.Errorf("Wanted with enough candidates = %d, want 0", got)
	}
	if got := s.Wanted(at, SourceV5); got != minWaiting {
		t.Errorf("Wanted of another source = %d, want %d", got, minWaiting)
	}
	first, second := dial(t, s, at), dial(t, s, at)
	wantWake(t, s, at, slow) // then they hold no slot any more
	s.DialDone(at, first, CauseUnreachable)
	third := dial(t, s, at)
	now := at.Add(slow)
	late := dial(t, s, now)
	add(t, s, now, second, "80.1.201.1:30303", false)
	add(t, s, now, third, "80.1.202.1:30303", false)
	if n, _ := s.NextDial(now); n != nil {
		t.Fatal("a dynamic dial although the share is full")
	}
	if err := s.Admit(now, Conn{ID: late, Addr: addrPort("80.1.203.1:30303")}); !errors.Is(err, ErrTooManyPeers) {
		t.Errorf("Admit of one dial too many = %v, want ErrTooManyPeers", err)
	}
	s.DialDone(now, late, CauseNoRoom)
	if s.InFlight() != 0 || s.Wanted(now, SourceV5) != 0 {
		t.Errorf("InFlight = %d, Wanted = %d; want none", s.InFlight(), s.Wanted(now, SourceV5))
	}
	s.Remove(now, second, CauseEnded)
	if n, _ := s.NextDial(now); n == nil {
		t.Error("no dial although a place is free and a candidate waits")
	}
}

// Paused, nobody is dialed and nobody wanted.
func TestPause(t *testing.T) {
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	s.AddStatic(at, node(t, 1, "80.1.1.1:30303"))
	s.Pause(true)
	if n, wake := s.NextDial(at); n != nil || !wake.IsZero() || s.Wanted(at, SourceV4) != 0 {
		t.Errorf("NextDial while paused = %v, wake %v, Wanted = %d; want none", n, wake, s.Wanted(at, SourceV4))
	}
	s.Pause(false)
	dial(t, s, at)
}

// A static node that cannot be dialed is explained once, not at every look.
func TestStaticThatCannotBeDialed(t *testing.T) {
	list, err := netaddr.ParseList("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	s := New(id(100), roomy, list, rng(1))
	n := node(t, 1, "80.1.1.1:30303")
	s.AddStatic(at, n)
	for range 5 {
		if got, _ := s.NextDial(at); got != nil {
			t.Fatal("a node outside the permitted networks is dialed")
		}
	}
	vs := s.Explain(at, n.ID()).Verdicts
	if len(vs) != 1 || vs[0].Gate != GateNetRestrict || vs[0].Count != 1 {
		t.Errorf("verdicts = %+v, want one of netrestrict", vs)
	}
}

// No more than Limits.Pending dials are in flight, and static nodes are bounded.
func TestDialBounds(t *testing.T) {
	s := New(ID{}, Limits{Peers: 50, Dialed: 25, Pending: 3}, netaddr.List{}, rng(1))
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

// What is remembered of dynamic nodes is bounded, and what waits is not forgotten.
func TestTargetsAreBounded(t *testing.T) {
	s := New(ID{}, roomy, netaddr.List{}, rng(1))
	first := node(t, 1, "80.1.1.1:30303")
	if err := s.Offer(at, Candidate{Node: first, Source: SourceDNS}); err != nil {
		t.Fatal(err)
	}
	d := &s.dialer
	for i := range 3 * maxTargets {
		id := ID{0: 9, 1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}
		d.targets[id] = &target{node: first, place: d.recent.PushBack(id)}
		d.trim()
	}
	if n := len(d.targets); n != maxTargets || d.recent.Len() != n {
		t.Errorf("%d nodes are remembered, %d in order; want %d", n, d.recent.Len(), maxTargets)
	}
	if got := dial(t, s, at); got != first.ID() {
		t.Errorf("NextDial = %v, want the candidate that waited", got)
	}
}

// Nodes that were dialed or connected before are dialed five a second at most,
// however many of them are lost at once; first dials do not wait for them.
func TestRedialsAreApart(t *testing.T) {
	s := New(ID{}, Limits{Peers: 50, Dialed: 10, Pending: 50}, netaddr.List{}, rng(1))
	const old = 12
	for i := range byte(old) {
		if err := s.AddStatic(at, node(t, 1+i, fmt.Sprintf("10.0.0.%d:30303", 1+i))); err != nil {
			t.Fatal(err)
		}
	}
	for range old {
		add(t, s, at, dial(t, s, at), "10.0.0.1:30303", false)
	}
	now := at.Add(time.Hour)
	for i := range byte(old) {
		s.Remove(now, node(t, 1+i, "10.0.0.1:30303").ID(), CauseUnreachable)
	}
	now = now.Add(time.Minute)
	began := now
	for i := range old {
		dial(t, s, now)
		if i == 3 { // one that was never dialed need not wait
			if err := s.AddStatic(now, node(t, 100, "10.0.1.1:30303")); err != nil {
				t.Fatal(err)
			}
			if got := dial(t, s, now); got != node(t, 100, "10.0.1.1:30303").ID() {
				t.Errorf("NextDial = %v, want the new node", got)
			}
		}
		n, wake := s.NextDial(now)
		if n != nil {
			t.Fatalf("dial %d: another one at once", i)
		}
		if i < old-1 {
			if wake.Sub(now) != redialGap {
				t.Fatalf("dial %d: wake after %v, want %v", i, wake.Sub(now), redialGap)
			}
			now = wake
		}
	}
	if d := now.Sub(began); d != (old-1)*redialGap {
		t.Errorf("%d dials took %v, want %v", old, d, (old-1)*redialGap)
	}

	for i := range maxMet + 100 {
		s.dialer.pace.meet(ID{0: byte(i >> 8), 1: byte(i), 2: 1})
	}
	if n := len(s.dialer.pace.met); n != maxMet || len(s.dialer.pace.order) != n {
		t.Errorf("%d nodes are remembered, want %d", n, maxMet)
	}
}

// Of the addresses that a host name leads to, each is judged by itself.
func TestPermit(t *testing.T) {
	list, err := netaddr.ParseList("80.1.0.0/16, 2a00::/16")
	if err != nil {
		t.Fatal(err)
	}
	s := New(id(100), roomy, list, rng(1))
	if _, err := s.Ban(at, Ban{Net: netip.MustParsePrefix("80.1.7.0/24")}); err != nil {
		t.Fatal(err)
	}
	const good, good6, outside, banned = "80.1.1.1", "2a00::1", "81.1.1.1", "80.1.7.1"
	for _, c := range []struct {
		addrs, want []string
		err         error
	}{
		{[]string{good, good6}, []string{good, good6}, nil},
		{[]string{outside, banned, good6}, []string{good6}, nil},
		{[]string{outside}, nil, ErrRestricted},
		{[]string{banned}, nil, ErrBanned},
		{[]string{banned, outside}, nil, ErrBanned},
	} {
		var addrs []netip.Addr
		for _, text := range c.addrs {
			addrs = append(addrs, netip.MustParseAddr(text))
		}
		got, err := s.Permit(at, id(1), addrs)
		if fmt.Sprint(got) != fmt.Sprint(c.want) || !errors.Is(err, c.err) {
			t.Errorf("Permit(%v) = %v, %v; want %v, %v", c.addrs, got, err, c.want, c.err)
		}
	}
	s.Trust(node(t, 1, ""))
	if got, _ := s.Permit(at, node(t, 1, "").ID(), []netip.Addr{netip.MustParseAddr(banned)}); len(got) != 1 {
		t.Error("a ban of its network meets a trusted node")
	}
}
