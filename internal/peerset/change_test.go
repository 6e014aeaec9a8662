package peerset

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// Smaller limits drop nobody, name those above them, the youngest first, and let
// nobody in until there is room; trusted peers are not meant.
func TestSetLimits(t *testing.T) {
	s := newSet(Limits{Peers: 6, Dialed: 3, Pending: 10})
	trusted := madeNode(1, "80.9.1.1:1")
	s.Trust(trusted)
	add(t, s, at, trusted.ID(), "80.9.1.1:1", true)
	for i := range byte(3) {
		add(t, s, at.Add(time.Duration(i)*time.Second), id(1+i), fmt.Sprintf("80.%d.1.1:1", i), true)
		add(t, s, at.Add(time.Duration(i)*time.Second), id(11+i), fmt.Sprintf("81.%d.1.1:1", i), false)
	}
	for _, c := range []struct {
		l    Limits
		want []ID
	}{
		{Limits{Peers: 6, Dialed: 3, Pending: 10}, nil},
		{Limits{Peers: 5, Dialed: 2, Pending: 10}, []ID{id(13)}},
		{Limits{Peers: 4, Dialed: 2, Pending: 10}, []ID{id(3), id(13)}},
		{Limits{Peers: 4, Dialed: 1, Pending: 10}, []ID{id(13), id(12)}},
		{Limits{}, []ID{id(3), id(2), id(1), id(13), id(12), id(11)}},
	} {
		if over := s.SetLimits(c.l); !slices.Equal(over, c.want) {
			t.Errorf("SetLimits(%+v) = %v, want %v", c.l, over, c.want)
		}
		if s.Limits() != c.l || len(s.peers) != 7 {
			t.Errorf("limits %+v and %d peers after SetLimits(%+v)", s.Limits(), len(s.peers), c.l)
		}
	}
	if err := s.Admit(at, Conn{ID: id(50), Inbound: true}); !errors.Is(err, ErrTooManyPeers) {
		t.Errorf("Admit above the limits = %v, want ErrTooManyPeers", err)
	}
	checkSet(t, s)
}

// Narrower networks name the peers outside; candidates outside are dropped when
// their turn comes, and static nodes wait, with a verdict.
func TestSetRestrict(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	add(t, s, at, id(2), "81.1.1.1:1", true)
	add(t, s, at, id(1), "81.2.1.1:1", true)
	add(t, s, at, id(3), "80.1.1.1:1", true)
	waiting, static := madeNode(1, "81.3.1.1:30303"), madeNode(2, "81.4.1.1:30303")
	s.Offer(at, Candidate{Node: waiting, Source: SourceV4})
	s.AddStatic(at, static)
	list, err := netaddr.ParseList("80.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	if outside := s.SetRestrict(list); !slices.Equal(outside, []ID{id(1), id(2)}) {
		t.Errorf("SetRestrict = %v, want the two outside", outside)
	}
	if n, _ := s.NextDial(at); n != nil {
		t.Errorf("NextDial = %v, which is outside", n)
	}
	for _, n := range []*enode.Node{waiting, static} {
		if vs := s.Explain(at, n.ID()).Verdicts; len(vs) != 1 || vs[0].Gate != GateNetRestrict {
			t.Errorf("verdicts = %v, want netrestrict", vs)
		}
	}
	s.SetRestrict(netaddr.List{})
	if got := dial(t, s, at); got != static.ID() {
		t.Errorf("NextDial = %v, want the static node", got)
	}
}

// The anchors are the most useful dialed peer and the one that lasted longest, in two
// networks; after a restart they are dialed before other candidates.
func TestAnchors(t *testing.T) {
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	nodes := make([]*enode.Node, 8)
	for i, addr := range []string{"80.1.1.1", "80.2.1.1", "80.1.1.2", "80.3.1.1", "80.4.1.1", "80.5.1.1"} {
		nodes[i] = madeNode(i, addr+":30303")
		now := at.Add(time.Duration(i) * 10 * time.Minute)
		if i == 4 {
			s.AddStatic(now, nodes[i])
		} else if err := s.Offer(now, Candidate{Node: nodes[i], Source: SourceV4}); err != nil {
			t.Fatal(err)
		}
		dial(t, s, now)
		add(t, s, now, nodes[i].ID(), addr+":30303", false)
	}
	now := at.Add(time.Hour)
	want := func(ids ...*enode.Node) {
		t.Helper()
		if got := s.Anchors(now); !slices.Equal(got, ids) {
			t.Errorf("Anchors = %v, want %v", got, ids)
		}
	}
	want(nodes[0], nodes[1]) // by age; the third is in the network of the first
	s.Reward(now, nodes[4].ID(), 100)
	want(nodes[0], nodes[1]) // a static node is dialed anyway
	s.Reward(now, nodes[3].ID(), 10)
	want(nodes[3], nodes[0])

	again := New(id(100), roomy, netaddr.List{}, rng(1))
	for i := range 20 {
		again.Offer(at, Candidate{Node: madeNode(100+i, fmt.Sprintf("70.%d.1.1:30303", i)), Source: SourceV4})
	}
	again.SetAnchors(at, append(s.Anchors(now), nodes[5]))
	for _, n := range s.Anchors(now) {
		if got := dial(t, again, at); got != n.ID() {
			t.Errorf("NextDial after a restart = %v, want the anchor", got)
		}
	}
	if got := dial(t, again, at); got == nodes[5].ID() {
		t.Error("a third anchor is dialed")
	}
	if again.Explain(at, nodes[3].ID()).Source != SourceAnchor {
		t.Error("the source of an anchor is not told")
	}
}

// The funnel of a source tells how far its nodes got.
func TestFunnel(t *testing.T) {
	s := New(id(100), roomy, netaddr.List{}, rng(1))
	n, m := madeNode(1, "80.1.1.1:30303"), madeNode(2, "80.2.1.1:30303")
	s.Offer(at, Candidate{Node: n, Source: SourceV5})
	s.Offer(at, Candidate{Node: m, Source: SourceV5})
	s.Offer(at, Candidate{Node: m, Source: SourceDNS})
	a, b := dial(t, s, at), dial(t, s, at)
	s.Reached(a, false, StageConnected)
	s.Reached(a, false, StageHello)
	s.Note(b, Verdict{Time: at, Gate: GateDial, Err: errors.New("connection refused")})
	s.DialDone(at, b, CauseUnreachable)
	ep, _ := s.Explain(at, a).Node.TCPEndpoint()
	add(t, s, at, a, ep.String(), false)
	accept(t, s, at, "81.1.1.1:1")
	s.Accept(at, addrPort("81.1.1.1:1"), Opinion{})

	for source, want := range map[Source]string{
		SourceV5:      "{2 map[dial:1] 2 1 1 1}",
		SourceDNS:     "{1 map[source:1] 0 0 0 0}",
		SourceInbound: "{2 map[history:1] 0 1 0 0}",
	} {
		if got := fmt.Sprint(s.Funnels()[source]); got != want {
			t.Errorf("funnel of %s: %s, want %s", source, got, want)
		}
	}
	if got := fmt.Sprint(s.Refused()); got != "map[dial:1 history:1 source:1]" {
		t.Errorf("Refused = %s", got)
	}
}

// The policy's objection refuses at each gate; a dry run only counts it.
func TestPolicy(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	no := errors.New("not today")
	for _, dry := range []bool{false, true} {
		o := Opinion{Err: no, DryRun: dry}
		_, gate, accepted := s.Accept(at, addrPort("10.0.0.1:1"), o)
		admitted := s.Admit(at, Conn{ID: id(1), Inbound: true, Policy: o})
		offered := s.Offer(at, Candidate{Node: madeNode(1, "80.1.1.1:30303"), Source: SourceV4, Policy: o})
		for name, err := range map[string]error{"Accept": accepted, "Admit": admitted, "Offer": offered} {
			if dry && err != nil || !dry && (!errors.Is(err, no) || !errors.Is(err, ErrPolicy) || GateOf(err) != GatePolicy) {
				t.Errorf("%s, dry run %v: %v", name, dry, err)
			}
		}
		if !dry && gate != GatePolicy {
			t.Errorf("Accept refuses at %s, want policy", gate)
		}
	}
	if s.DryRuns() != 3 || s.Refused()[GatePolicy] != 2 {
		t.Errorf("%d dry runs and %d refusals are counted, want 3 and 2 (Admit's are counted by Note)", s.DryRuns(), s.Refused()[GatePolicy])
	}
}
