package peerset

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"parley/internal/netaddr"
)

// accept asks for one address and returns the entry, failing on a refusal.
func accept(t *testing.T, s *Set, now time.Time, addr string) Entry {
	t.Helper()
	e, gate, err := s.Accept(now, addrPort(addr), Opinion{})
	if err != nil {
		t.Fatalf("Accept(%s) = %s: %v", addr, gate, err)
	}
	return e
}

// One address gets in once in 30 s, whatever its port and form; after that it
// may have up to 8 peers.
func TestAcceptHistory(t *testing.T) {
	s := newSet(Limits{Peers: 100, Dialed: 10, Pending: 50})
	s.Leave(accept(t, s, at, "80.1.1.1:1000").Ticket)
	for _, form := range []string{"80.1.1.1:2000", "[::ffff:80.1.1.1]:3000"} {
		if _, gate, err := s.Accept(at.Add(29*time.Second), addrPort(form), Opinion{}); gate != GateHistory || !errors.Is(err, ErrTooSoon) {
			t.Errorf("Accept(%s) after 29s = %s, %v; want history, ErrTooSoon", form, gate, err)
		}
	}
	now := at
	for i := range maxPeersHost {
		now = now.Add(inboundAfter)
		e := accept(t, s, now, "80.1.1.1:1000")
		add(t, s, now, id(byte(i)), "80.1.1.1:1000", true)
		s.Leave(e.Ticket)
	}
	now = now.Add(inboundAfter)
	if _, gate, err := s.Accept(now, addrPort("80.1.1.1:9"), Opinion{}); gate != GateQuota || !errors.Is(err, ErrTooManyFromHost) {
		t.Errorf("Accept beside %d peers of one address = %s, %v; want quota, ErrTooManyFromHost", maxPeersHost, gate, err)
	}
	s.Remove(now, id(0), CauseEnded)
	accept(t, s, now, "80.1.1.1:9")
}

// A network has 16 handshakes in flight and 16 peers, an IPv6 /64 counts as one
// host and a /48 as one network, and other networks do not suffer.
func TestAcceptByNetwork(t *testing.T) {
	for _, c := range []struct {
		name       string
		addr       func(i int) string
		other      string
		wantInside int
	}{
		{"IPv4 /24", func(i int) string { return fmt.Sprintf("80.1.1.%d:1", i) }, "80.1.2.1:1", 16},
		{"IPv6 /48", func(i int) string { return fmt.Sprintf("[2a00:1:2:%x::1]:1", i) }, "[2a00:1:3::1]:1", 16},
		{"IPv6 /64", func(i int) string { return fmt.Sprintf("[2a00:1:2:3::%x]:1", i) }, "[2a00:1:2:4::1]:1", 1},
	} {
		s := newSet(Limits{Peers: 100, Dialed: 10, Pending: 1000})
		in := 0
		for i := range 200 {
			if _, _, err := s.Accept(at, addrPort(c.addr(i)), Opinion{}); err == nil {
				in++
			}
		}
		if in != c.wantInside {
			t.Errorf("%s: %d of 200 connections let in, want %d", c.name, in, c.wantInside)
		}
		accept(t, s, at, c.other)
	}
}

// Private addresses and those of static and trusted nodes are held against
// nobody; the total still holds.
func TestAcceptExempt(t *testing.T) {
	s := newSet(Limits{Peers: 100, Dialed: 10, Pending: 40})
	s.Trust(node(t, 1, "80.1.1.1:30303"))
	s.AddStatic(at, node(t, 2, "80.1.1.2:30303"))
	for i := range 10 {
		for _, a := range []string{"127.0.0.1", "192.168.1.1", "80.1.1.1", "80.1.1.2"} {
			e := accept(t, s, at, fmt.Sprintf("%s:%d", a, 1000+i))
			s.Heard(e.Ticket)
		}
	}
	if _, gate, err := s.Accept(at, addrPort("127.0.0.1:1"), Opinion{}); gate != GateQuota || !errors.Is(err, ErrTooManyPending) {
		t.Errorf("Accept of the 41st handshake = %s, %v; want quota, ErrTooManyPending", gate, err)
	}
}

// When all slots are taken, the oldest connection that has sent nothing gives
// way, and one that has sent something does not.
func TestAcceptEvictsTheSilent(t *testing.T) {
	s := newSet(Limits{Peers: 100, Dialed: 10, Pending: 3})
	var tickets []Ticket
	for i := range 3 {
		tickets = append(tickets, accept(t, s, at, fmt.Sprintf("10.0.0.%d:1", i)).Ticket)
	}
	s.Heard(tickets[0])
	if e := accept(t, s, at, "10.0.0.9:1"); e.Evict != tickets[1] {
		t.Errorf("Evict = %d, want the oldest silent one, %d", e.Evict, tickets[1])
	}
	if s.Pending() != 3 {
		t.Errorf("Pending = %d, want 3", s.Pending())
	}
	s.Leave(tickets[1]) // the evicted one ends: its slot is gone already
	if s.Pending() != 3 {
		t.Errorf("Pending = %d after the evicted one left, want 3", s.Pending())
	}
}

// Handshakes are let through at 200 a second after a burst of 50; the others
// wait their turn.
func TestAcceptPace(t *testing.T) {
	s := newSet(Limits{Peers: 100, Dialed: 10, Pending: 1000})
	var last time.Duration
	for i := range 250 {
		last = accept(t, s, at, fmt.Sprintf("10.0.0.1:%d", i+1)).Wait
		if i < handshakeBurst && last != 0 {
			t.Fatalf("handshake %d waits %v, want no wait", i, last)
		}
	}
	if last != time.Second {
		t.Errorf("the 250th handshake waits %v, want 1s", last)
	}
	if w := accept(t, s, at.Add(2*time.Second), "10.0.0.1:9999").Wait; w != 0 {
		t.Errorf("after two seconds a handshake waits %v, want no wait", w)
	}
}

// However many addresses come, the state stays bounded.
func TestAcceptStateIsBounded(t *testing.T) {
	s := newSet(Limits{Peers: 100, Dialed: 10, Pending: 50})
	now := at
	for i := range 100_000 {
		now = now.Add(time.Millisecond / 10)
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(60 + i>>18), byte(i >> 10), byte(i >> 2), byte(i)}), 1)
		if e, _, err := s.Accept(now, addr, Opinion{}); err == nil {
			s.Leave(e.Ticket)
		}
	}
	d := &s.door
	if len(d.seen) > maxHistory || len(d.seenQ) > maxHistory || len(d.hosts)+len(d.nets) != 0 || d.order.Len() != 0 {
		t.Errorf("state holds %d+%d addresses, %d hosts, %d networks, %d connections; want at most %d, and none",
			len(d.seen), len(d.seenQ), len(d.hosts), len(d.nets), d.order.Len(), maxHistory)
	}
}

// Outside of the permitted networks nobody gets in.
func TestAcceptRestricted(t *testing.T) {
	list, err := netaddr.ParseList("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	s := New(id(100), Limits{Peers: 10, Dialed: 5, Pending: 10}, list, rng(1))
	accept(t, s, at, "10.1.2.3:1")
	if _, gate, err := s.Accept(at, addrPort("80.1.1.1:1"), Opinion{}); gate != GateNetRestrict || !errors.Is(err, ErrRestricted) {
		t.Errorf("Accept from outside = %s, %v; want netrestrict, ErrRestricted", gate, err)
	}
}

// crowds are ways to come from many IPv6 addresses: of one /64, of /64s of one /48, and
// of networks of their own.
var crowds = []struct {
	name string
	addr func(i int) netip.Addr
}{
	{"64", func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x26, 6, 12: byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
	}},
	{"48", func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0x26, 6, 6: byte(i >> 8), byte(i)}) }},
	{"all", func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x26, 6, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
	}},
}

// A5: to refuse one of 50,000 addresses of one network allocates nothing, however many
// came before.
func TestA5RefusalAllocatesNothing(t *testing.T) {
	for _, c := range crowds[:2] {
		s := newSet(Limits{Peers: 100, Dialed: 10, Pending: 50})
		i, refused := 0, 0
		next := func() {
			if _, _, err := s.Accept(at, netip.AddrPortFrom(c.addr(i), 1), Opinion{}); err != nil {
				refused++
			}
			i++
		}
		for range 25_000 {
			next()
		}
		if n := testing.AllocsPerRun(25_000, next); n != 0 {
			t.Errorf("one /%s: %v allocations for a refusal, want none", c.name, n)
		}
		if refused < 49_000 {
			t.Errorf("one /%s: %d of %d were refused", c.name, refused, i)
		}
	}
}

// BenchmarkAccept lets in or refuses connections from many addresses: of IPv4, and of
// IPv6 while the first who came are in their handshakes. For A5 it is to take no more
// than 2 µs.
func BenchmarkAccept(b *testing.B) {
	run := func(name string, pending int, addr func(i int) netip.Addr) {
		b.Run(name, func(b *testing.B) {
			s := newSet(Limits{Peers: 100, Dialed: 10, Pending: 50})
			now := at
			i := 0
			for ; i < pending; i++ {
				s.Accept(now, netip.AddrPortFrom(addr(i), 1), Opinion{})
			}
			for b.Loop() {
				i++
				now = now.Add(time.Microsecond)
				if e, _, err := s.Accept(now, netip.AddrPortFrom(addr(i), 1), Opinion{}); err == nil {
					s.Leave(e.Ticket)
				}
			}
		})
	}
	run("v4", 0, func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(60 + i>>24), byte(i >> 16), byte(i >> 8), byte(i)})
	})
	for _, c := range crowds {
		run(c.name, 16, c.addr)
	}
}
