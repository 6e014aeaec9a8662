package peerset

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// peersOf returns one resident for each network in nets ("-" is an exempt address),
// n minutes old for the n-th from the end, all alike otherwise.
func peersOf(nets string) []resident {
	var peers []resident
	for i, c := range nets {
		r := resident{id: id(byte(i + 1)), since: at.Add(-time.Duration(len(nets)-i+2) * time.Minute)}
		if c != '-' {
			r.net = netOfLetter(byte(c))
		}
		peers = append(peers, r)
	}
	return peers
}

func netOfLetter(c byte) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{80, c, 0, 0}), 24)
}

// The victim is the youngest of the network that has most, unless something speaks
// for it, and only if the newcomer is of a network that has fewer.
func TestChooseVictim(t *testing.T) {
	for _, c := range []struct {
		name     string
		nets     string // of the peers, oldest first
		change   func(p []resident)
		newcomer byte
		want     int // index of the victim; -1: nobody
	}{
		{"youngest of the largest network", "abaaacccaa", nil, 'z', 9},
		{"everybody is the only one of its network", "abcdefgh", nil, 'z', -1},
		{"the only one of its network is safe, though younger", "aaaaaaab", nil, 'z', 6},
		{"exempt addresses are safe", "--------", nil, 'z', -1},
		{"a newcomer of the same network gains nothing", "aaaabbbb", nil, 'a', -1},
		{"nor does one of a network as large with it", "aaaabbbz", nil, 'b', -1},
		{"one of a smaller network does", "aaaaabbz", nil, 'b', 4},
		{"a newcomer on an exempt address does", "aaaaaaaa", nil, '-', 7},
		{"the oldest quarter is safe", "aabcdefg", nil, 'z', -1},
		{"new peers are safe", "aaaaaaaa", func(p []resident) {
			for i := range p {
				p[i].since = at.Add(-settling + time.Second)
			}
		}, 'z', -1},
		{"the fastest quarter is safe", "aaaaaaaa", func(p []resident) {
			p[7].latency, p[6].latency, p[5].latency = 10*time.Millisecond, 20*time.Millisecond, 30*time.Millisecond
		}, 'z', 5},
		{"the most useful quarter is safe", "aaaaaaaa", func(p []resident) { p[7].value, p[6].value, p[5].value = 3, 2, 1 }, 'z', 5},
		{"of no use, unknown latency: nothing speaks for it", "aaaaaaaa", func(p []resident) { p[7].value, p[7].latency = 0, 0 }, 'z', 7},
		{"few peers are all among the best", "aa", func(p []resident) { p[1].value = 1 }, 'z', -1},
		{"nobody", "", nil, 'z', -1},
	} {
		peers := peersOf(c.nets)
		if c.change != nil {
			c.change(peers)
		}
		newcomer := netip.Prefix{}
		if c.newcomer != '-' {
			newcomer = netOfLetter(c.newcomer)
		}
		victim, ok := chooseVictim(at, peers, newcomer)
		want := ID{}
		if c.want >= 0 {
			want = peers[c.want].id
		}
		if ok != (c.want >= 0) || victim != want {
			t.Errorf("%s: victim is %v, %v; want the peer at %d", c.name, victim, ok, c.want)
		}
	}
}

// An attacker with 100 connections from one /24 to a full node keeps none of the
// honest peers out: newcomers from elsewhere take its places, one a minute, down to
// the quarter that is oldest, and it cannot take theirs.
func TestEvictionSpreadsNetworks(t *testing.T) {
	s := newSet(Limits{Peers: 16, Dialed: 0, Pending: 50})
	for i := range byte(8) {
		add(t, s, at, id(i+1), fmt.Sprintf("80.%d.1.1:1", i), true)
	}
	for i := range byte(8) {
		add(t, s, at.Add(time.Second), id(i+101+100), fmt.Sprintf("90.9.9.%d:1", i), true)
	}
	now := at.Add(settling)
	if _, err := s.Add(now, Conn{ID: id(50), Addr: addrPort("81.1.1.1:1"), Inbound: true}); !errors.Is(err, ErrTooManyPeers) {
		t.Errorf("a newcomer within two minutes of the others: Add = %v, want ErrTooManyPeers", err)
	}
	came, gone := 0, 0
	for i := range 20 {
		now = now.Add(evictEvery)
		if err := s.Admit(now, Conn{ID: id(99), Addr: addrPort("90.9.9.99:1"), Inbound: true}); !errors.Is(err, ErrTooManyPeers) {
			t.Fatalf("the attacker takes another place: Admit = %v", err)
		}
		added, err := s.Add(now, Conn{ID: id(byte(60 + i)), Addr: addrPort(fmt.Sprintf("82.%d.1.1:1", i)), Inbound: true})
		if err != nil {
			break
		}
		came++
		if !added.Evicted || added.Victim[31] < 201 {
			t.Fatalf("Add evicts %v, want one of the attacker's", added)
		}
		gone++
		if vs := s.Explain(now, added.Victim).Verdicts; len(vs) != 1 || vs[0].Gate != GateQuota || !errors.Is(vs[0].Err, ErrTooManyPeers) {
			t.Errorf("verdicts on the victim = %v, want that it gave way", vs)
		}
		if err := s.Admit(now, Conn{ID: id(98), Addr: addrPort("83.1.1.1:1"), Inbound: true}); !errors.Is(err, ErrTooManyPeers) {
			t.Errorf("a second replacement within a minute: Admit = %v, want ErrTooManyPeers", err)
		}
		checkSet(t, s)
	}
	if came < 6 || gone != came {
		t.Errorf("%d newcomers, %d of the attacker's 8 left; want at least 6", came, gone)
	}
}

// When all slots are taken, a static node takes that of the youngest inbound peer,
// and of a dialed one only if there is none inbound; never that of another static or
// trusted one.
func TestStaticTakesASlot(t *testing.T) {
	s := newSet(Limits{Peers: 3, Dialed: 2, Pending: 10})
	add(t, s, at, id(1), "80.1.1.1:1", true)
	add(t, s, at.Add(time.Second), id(2), "80.2.1.1:1", false)
	add(t, s, at.Add(2*time.Second), id(3), "80.3.1.1:1", false)
	now := at.Add(time.Minute)
	for i, victim := range []ID{id(1), id(3), id(2)} {
		n := node(t, byte(10+i), fmt.Sprintf("80.1.2.%d:30303", i))
		s.AddStatic(now, n)
		if got := dial(t, s, now); got != n.ID() {
			t.Fatalf("NextDial = %v, want the static node", got)
		}
		added, err := s.Add(now, Conn{ID: n.ID(), Addr: addrPort("80.1.2.3:30303")})
		if err != nil || !added.Evicted || added.Victim != victim {
			t.Errorf("static node %d: Add = %+v, %v; want that %v gives way", i, added, err, victim)
		}
		checkSet(t, s)
	}
	n := node(t, 20, "80.1.2.9:30303")
	s.AddStatic(now, n)
	if got, _ := s.NextDial(now); got != nil {
		t.Error("a static node is dialed though all slots are taken by static nodes")
	}
	if vs := s.Explain(now, n.ID()).Verdicts; len(vs) != 1 || vs[0].Gate != GateQuota {
		t.Errorf("verdicts = %v, want quota", vs)
	}
}
