package peerset

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// Of one /24 or /64 two nodes are dialed or dialed peers at a time, of a /48 four;
// private addresses are not counted.
func TestDialedByNetwork(t *testing.T) {
	for _, c := range []struct {
		name string
		addr func(i int) string
		want int
	}{
		{"IPv4 /24", func(i int) string { return fmt.Sprintf("80.1.1.%d:30303", i+1) }, 2},
		{"IPv6 /64", func(i int) string { return fmt.Sprintf("[2a00:1:2:3::%x]:30303", i+1) }, 2},
		{"IPv6 /48", func(i int) string { return fmt.Sprintf("[2a00:1:2:%x::1]:30303", i+1) }, 4},
		{"private /24", func(i int) string { return fmt.Sprintf("10.0.0.%d:30303", i+1) }, 8},
	} {
		s := New(id(100), Limits{Peers: 50, Dialed: 8, Pending: 50}, netaddr.List{}, rng(1))
		now := at
		for pass := range 2 { // the limits hold for dials and for the peers they lead to
			for i := range 8 {
				_ = s.Offer(now, Candidate{Node: madeNode(100*pass+i, c.addr(10*pass+i)), Source: SourceV4})
			}
			var begun []ID
			for range 60 {
				n, _ := s.NextDial(now)
				if n != nil {
					begun = append(begun, n.ID())
				}
				now = now.Add(time.Second)
			}
			if pass == 0 && len(begun) != c.want {
				t.Errorf("%s: %d nodes are dialed at once, want %d", c.name, len(begun), c.want)
			}
			if pass == 1 && len(begun) != 0 {
				t.Errorf("%s: %d more nodes are dialed beside as many peers, want none", c.name, len(begun))
			}
			for _, id := range begun {
				ep, _ := s.Explain(now, id).Node.TCPEndpoint()
				if _, err := s.Add(now, Conn{ID: id, Addr: ep}); err != nil {
					t.Errorf("%s: Add = %v", c.name, err)
				}
			}
			checkSet(t, s)
		}
		err := s.Offer(now, Candidate{Node: madeNode(999, c.addr(99)), Source: SourceV4})
		if full := errors.Is(err, ErrTooManyInNet); full != (c.want < 8) {
			t.Errorf("%s: Offer beside %d peers = %v", c.name, c.want, err)
		}
		if c.want < 8 {
			if vs := s.Explain(now, madeNode(999, c.addr(99)).ID()).Verdicts; len(vs) != 1 || vs[0].Gate != GateQuota {
				t.Errorf("%s: verdicts = %v, want quota", c.name, vs)
			}
		}
	}
}

// A node that turns out to be in a network that is full is refused.
func TestAdmitChecksTheNetwork(t *testing.T) {
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	add(t, s, at, id(1), "80.1.1.1:1", false)
	add(t, s, at, id(2), "80.1.1.2:1", false)
	n := madeNode(1, "81.1.1.1:30303") // so its record says
	if err := s.Offer(at, Candidate{Node: n, Source: SourceV4}); err != nil {
		t.Fatal(err)
	}
	dial(t, s, at)
	for addr, want := range map[string]error{"80.1.1.3:30303": ErrTooManyInNet, "81.1.1.1:30303": nil} {
		if err := s.Admit(at, Conn{ID: n.ID(), Addr: addrPort(addr)}); !errors.Is(err, want) {
			t.Errorf("Admit at %s = %v, want %v", addr, err, want)
		}
	}
}

// Whoever offers many nodes of one network does not keep others of its source out.
func TestCandidatesByNetwork(t *testing.T) {
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	for i := range 200 {
		_ = s.Offer(at, Candidate{Node: madeNode(i, fmt.Sprintf("90.9.9.%d:30303", i+1)), Source: SourceV4})
	}
	if n := len(s.dialer.queue(SourceV4).waiting); n != waitingScale*crowdHost {
		t.Errorf("%d candidates of one network wait, want %d", n, waitingScale*crowdHost)
	}
	if err := s.Offer(at, Candidate{Node: madeNode(300, "80.1.1.1:30303"), Source: SourceV4}); err != nil {
		t.Errorf("Offer of a node of another network = %v", err)
	}
	for i := range 200 {
		_ = s.Offer(at, Candidate{Node: madeNode(1000+i, fmt.Sprintf("70.%d.9.1:30303", i+1)), Source: SourceV4})
	}
	if n := len(s.dialer.queue(SourceV4).waiting); n != maxWaiting {
		t.Errorf("%d candidates wait, want %d", n, maxWaiting)
	}
	if err := s.Offer(at, Candidate{Node: madeNode(2000, "60.1.1.1:30303"), Source: SourceV5}); err != nil {
		t.Errorf("Offer of another source beside a full one = %v", err)
	}
}

// Two nodes at one public address are not dialed within 35 s, one in a network whose
// other node closed the connection at once not within five minutes; a static node
// is, because the operator knows it.
func TestAddressesRest(t *testing.T) {
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	a, b, c := madeNode(1, "80.1.1.1:30303"), madeNode(2, "80.1.1.1:30304"), madeNode(3, "80.1.1.2:30303")
	offer := func(now time.Time, n ...int) {
		for _, i := range n {
			_ = s.Offer(now, Candidate{Node: []*enode.Node{a, b, c}[i], Source: SourceV4})
		}
	}
	offer(at, 0, 1)
	first := dial(t, s, at)
	wantWake(t, s, at, redialAfter)
	s.DialDone(at, first, CauseUnreachable)
	now := at.Add(redialAfter)
	if second := dial(t, s, now); second == first {
		t.Errorf("NextDial after 35s = %v, want the other node", second)
	} else {
		s.DialDone(now, second, CauseDropped)
	}
	offer(now, 2)
	wantWake(t, s, now, redialAfter+droppedAfter)
	s.AddStatic(now, c)
	if got := dial(t, s, now); got != c.ID() {
		t.Errorf("NextDial = %v, want the static node in the network at rest", got)
	}
}
