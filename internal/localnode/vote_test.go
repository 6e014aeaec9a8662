package localnode

import (
	"net/netip"
	"testing"
	"time"

	"parley/enr"
)

var start = time.Unix(1_000_000, 0)

// voter returns an address in the n-th /24.
func voter(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{80, byte(n >> 8), byte(n), 1})
}

var (
	ours   = netip.MustParseAddrPort("90.0.0.1:30303")
	theirs = netip.MustParseAddrPort("66.6.6.6:666")
)

// castAll lets the given voters say the same and returns how often the record
// changed.
func castAll(t *testing.T, l *Local, now time.Time, from, to int, endpoint netip.AddrPort) (changes int) {
	t.Helper()
	for i := from; i < to; i++ {
		changed, err := l.Vote(now, voter(i), endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if changed {
			changes++
		}
	}
	return changes
}

func wantIP(t *testing.T, l *Local, want netip.AddrPort) {
	t.Helper()
	var ip enr.IP4
	var udp enr.UDP
	_ = l.Node().Record().Load(&ip)
	_ = l.Node().Record().Load(&udp)
	if got := netip.AddrPortFrom(netip.Addr(ip), uint16(udp)); got != want {
		t.Errorf("the record says %v, want %v", got, want)
	}
}

// Ten networks elect the endpoint, nine do not.
func TestVoteNeedsTenNetworks(t *testing.T) {
	l := newLocal(t)
	if n := castAll(t, l, start, 0, 9, ours); n != 0 {
		t.Errorf("%d changes after nine votes, want none", n)
	}
	for range 100 { // the same network again and again
		if changed, _ := l.Vote(start, voter(3).Next(), ours); changed {
			t.Fatal("one network voted twice")
		}
	}
	if n := castAll(t, l, start, 9, 10, ours); n != 1 {
		t.Errorf("%d changes after the tenth vote, want 1", n)
	}
	wantIP(t, l, ours)
	if l.Node().Seq() != 8 {
		t.Errorf("sequence number %d, want 8: one change", l.Node().Seq())
	}
}

// F8: twelve addresses of an attacker among honest voters, one of them that
// changes its mind 20,000 times: the record stays, and what is kept is bounded.
func TestF8EndpointVoteAttack(t *testing.T) {
	l := newLocal(t)
	castAll(t, l, start, 0, 30, ours)
	before := l.Node()
	now := start.Add(10 * time.Minute)
	if n := castAll(t, l, now, 100, 112, theirs); n != 0 {
		t.Errorf("%d changes by 12 votes against 30, want none", n)
	}
	for i := range 20_000 {
		now = now.Add(time.Millisecond)
		endpoint := netip.AddrPortFrom(netip.AddrFrom4([4]byte{66, 6, byte(i >> 8), byte(i)}), 1)
		if changed, err := l.Vote(now, voter(100), endpoint); changed || err != nil {
			t.Fatalf("statement %d: %v, %v", i, changed, err)
		}
	}
	if l.Node() != before {
		t.Error("the record changed")
	}
	for i := range 5000 {
		if _, err := l.Vote(now, voter(1000+i), theirs); err != nil {
			t.Fatal(err)
		}
	}
	if e := l.elections[false]; len(e.votes) > maxVotes || len(e.order) > maxVotes || len(e.counts) > maxVotes {
		t.Errorf("%d votes in %d places with %d counts are kept, want at most %d", len(e.votes), len(e.order), len(e.counts), maxVotes)
	}
}

// Two thirds win, and a change is followed by another one after five minutes at
// the earliest; old votes do not count.
func TestVoteMajorityAndPause(t *testing.T) {
	l := newLocal(t)
	castAll(t, l, start, 0, 12, ours)
	wantIP(t, l, ours)

	if n := castAll(t, l, start.Add(5*time.Minute-time.Second), 0, 12, theirs); n != 0 {
		t.Errorf("%d changes within five minutes, want none", n)
	}
	wantIP(t, l, ours)
	now := start.Add(5 * time.Minute)
	if changed, _ := l.Vote(now, voter(0), theirs); !changed {
		t.Error("no change after five minutes")
	}
	wantIP(t, l, theirs)

	now = now.Add(voteLife + time.Second) // all of that is forgotten
	castAll(t, l, now, 100, 106, theirs)
	if e := l.elections[false]; len(e.votes) != 6 {
		t.Errorf("%d votes count after half an hour, want the six new ones", len(e.votes))
	}
	if n := castAll(t, l, now, 106, 117, ours); n != 0 {
		t.Errorf("%d changes by 11 of 17 votes, want none", n)
	}
	if n := castAll(t, l, now, 117, 118, ours); n != 1 {
		t.Errorf("%d changes by 12 of 18 votes, which are two thirds; want 1", n)
	}
	wantIP(t, l, ours)
}

// What cannot be true or comes from where it does not count changes nothing.
func TestVotesThatDoNotCount(t *testing.T) {
	l := newLocal(t)
	for i := range 50 {
		for _, c := range []struct{ from, says string }{
			{"10.0.0.1", "90.0.0.1:1"},
			{"127.0.0.1", "90.0.0.1:1"},
			{"", "10.0.0.1:30303"},
			{"", "127.0.0.1:30303"},
			{"", "224.0.0.1:30303"},
			{"", "90.0.0.1:0"},
			{"", "[2a00::1]:30303"},
		} {
			from := voter(i)
			if c.from != "" { // each in a network of its own
				b := netip.MustParseAddr(c.from).As4()
				b[2] = byte(i)
				from = netip.AddrFrom4(b)
			}
			if changed, err := l.Vote(start, from, netip.MustParseAddrPort(c.says)); changed || err != nil {
				t.Fatalf("%v says %s: %v, %v; want nothing", from, c.says, changed, err)
			}
		}
	}
	static := netip.MustParseAddr("90.0.0.9")
	if err := l.FixEndpoint(static, 30303, 30303); err != nil {
		t.Fatal(err)
	}
	if n := castAll(t, l, start, 0, 50, ours); n != 0 {
		t.Errorf("%d changes of a fixed address, want none", n)
	}
	// The other family is learned all the same.
	six := netip.MustParseAddrPort("[2a00:1::1]:30303")
	changes := 0
	for i := range 20 {
		from := netip.AddrFrom16([16]byte{0x2a, 0, 1, byte(i), 0, 1})
		if changed, _ := l.Vote(start, from, six); changed {
			changes++
		}
	}
	var ip6 enr.IP6
	if err := l.Node().Record().Load(&ip6); err != nil || netip.Addr(ip6) != six.Addr() || changes != 1 {
		t.Errorf("ip6 = %v, %v after %d changes; want %v after 1", netip.Addr(ip6), err, changes, six.Addr())
	}
}

// An address that is known from elsewhere stays, with the ports that were there,
// whatever others say of it.
func TestFixAddr(t *testing.T) {
	l := newLocal(t)
	if err := l.Set(UDPEndpoint(netip.MustParseAddrPort("127.0.0.1:30301"))...); err != nil {
		t.Fatal(err)
	}
	if err := l.FixAddr(netip.MustParseAddr("::ffff:90.0.0.9")); err != nil {
		t.Fatal(err)
	}
	if n := castAll(t, l, start, 0, 50, netip.MustParseAddrPort("90.0.0.1:30303")); n != 0 {
		t.Errorf("%d changes of a fixed address, want none", n)
	}
	if ep, _ := l.Node().UDPEndpoint(); ep != netip.MustParseAddrPort("90.0.0.9:30301") {
		t.Errorf("endpoint %v, want 90.0.0.9:30301", ep)
	}
	if l.Node().Record().Has("tcp") {
		t.Error("the record has a TCP port")
	}
	if err := l.FixEndpoint(netip.MustParseAddr("90.0.0.9"), 1234, 0); err != nil {
		t.Fatal(err)
	}
	tcp, _ := l.Node().TCPEndpoint()
	if udp, _ := l.Node().UDPEndpoint(); tcp.Port() != 1234 || udp.Port() != 30301 {
		t.Errorf("endpoints %v and %v, want the ports 1234 and 30301", tcp, udp)
	}
	for _, bad := range []string{"0.0.0.0", "::", "224.0.0.1"} {
		if err := l.FixAddr(netip.MustParseAddr(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	if err := l.FixAddr(netip.Addr{}); err == nil {
		t.Error("no address was accepted")
	}
}

// Votes count while nothing else is known: not while the endpoint is held, and again
// when it is free.
func TestHoldAndFree(t *testing.T) {
	l := newLocal(t)
	first, second := netip.MustParseAddrPort("90.0.0.1:30303"), netip.MustParseAddrPort("90.0.0.2:30303")
	l.Hold(false)
	if n := castAll(t, l, start, 0, 50, first); n != 0 {
		t.Errorf("%d changes of an endpoint that is held, want none", n)
	}
	if err := l.FixEndpoint(first.Addr(), 0, first.Port()); err != nil {
		t.Fatal(err)
	}
	l.Free(false)
	if ep, _ := l.Node().UDPEndpoint(); ep != first {
		t.Errorf("the endpoint is %v when it is free, want %v still", ep, first)
	}
	if n := castAll(t, l, start, 50, 100, second); n != 1 {
		t.Errorf("%d changes of an endpoint that is free, want 1", n)
	}
	if ep, _ := l.Node().UDPEndpoint(); ep != second {
		t.Errorf("the endpoint is %v, want %v", ep, second)
	}
}
