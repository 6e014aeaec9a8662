package peerset

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/enode"
	"parley/internal/netaddr"
)

// A call is one call of a Set with its arguments; play returns what came of it, as
// text.
type call struct {
	name string
	play func(s *Set) string
}

// crowded are 40 nodes in few networks, of both families, public and private.
var crowded = func() []*enode.Node {
	var nodes []*enode.Node
	for i := range 40 {
		addr := fmt.Sprintf("80.1.%d.%d:30303", i%3, i+1)
		switch i % 5 {
		case 3:
			addr = fmt.Sprintf("[2a00:1:2:%x::%x]:30303", i%2, i+1)
		case 4:
			addr = fmt.Sprintf("10.0.0.%d:30303", i+1)
		}
		nodes = append(nodes, madeNode(i, addr))
	}
	return nodes
}()

// drawCall draws any call at any time after the last.
func drawCall(t *rapid.T, now *time.Time, tickets *[]Ticket) call {
	*now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 4, 40, 400, 4000}).Draw(t, "pass")) * time.Second)
	at := *now
	n := crowded[rapid.IntRange(0, len(crowded)-1).Draw(t, "node")]
	ep, _ := n.TCPEndpoint()
	yes := rapid.Bool().Draw(t, "yes")
	source := rapid.SampledFrom([]Source{SourceDNS, SourceV4, SourceV5, SourceAnchor, ""}).Draw(t, "source")
	cause := Cause(rapid.IntRange(0, int(CauseNoRoom)).Draw(t, "cause"))
	limits := Limits{
		Peers: rapid.IntRange(0, 12).Draw(t, "peers"), Dialed: rapid.IntRange(0, 6).Draw(t, "dialed"),
		Pending: 4,
	}
	limits.Dialed = min(limits.Dialed, limits.Peers)
	calls := []call{
		{"accept", func(s *Set) string {
			e, gate, err := s.Accept(at, ep, Opinion{DryRun: yes})
			if err == nil {
				*tickets = append(*tickets, e.Ticket)
			}
			return fmt.Sprint(e, gate, err)
		}},
		{"leave", func(s *Set) string {
			for _, ticket := range *tickets {
				s.Leave(ticket)
			}
			return ""
		}},
		{"add", func(s *Set) string { return fmt.Sprint(s.Add(at, Conn{ID: n.ID(), Addr: ep, Inbound: yes})) }},
		{"remove", func(s *Set) string { s.Remove(at, n.ID(), cause); return "" }},
		{"offer", func(s *Set) string { return fmt.Sprint(s.Offer(at, Candidate{Node: n, Source: source})) }},
		{"offer all", func(s *Set) string {
			for _, n := range crowded {
				_ = s.Offer(at, Candidate{Node: n, Source: source})
			}
			return ""
		}},
		{"dial", func(s *Set) string {
			n, wake := s.NextDial(at)
			if n == nil {
				return fmt.Sprint(wake)
			}
			return n.ID().String()
		}},
		{"begin", func(s *Set) string {
			if s.InFlight() >= s.limits.Pending {
				return ""
			}
			return fmt.Sprint(s.Begin(at, n))
		}},
		{"fail all", func(s *Set) string {
			for _, n := range crowded {
				s.DialDone(at, n.ID(), cause)
			}
			return ""
		}},
		{"succeed all", func(s *Set) string {
			text := ""
			for _, n := range crowded {
				if tg := s.dialer.targets[n.ID()]; tg == nil || !tg.dialing {
					continue
				}
				ep, _ := n.TCPEndpoint()
				a, err := s.Add(at, Conn{ID: n.ID(), Addr: ep})
				if err != nil {
					s.DialDone(at, n.ID(), CauseNoRoom)
				}
				text += fmt.Sprint(a, err)
			}
			return text
		}},
		{"static", func(s *Set) string { return fmt.Sprint(s.AddStatic(at, n)) }},
		{"dynamic", func(s *Set) string { s.RemoveStatic(n.ID()); return "" }},
		{"trust", func(s *Set) string { return fmt.Sprint(s.Trust(n)) }},
		{"untrust", func(s *Set) string { s.Untrust(n.ID()); return "" }},
		{"ban", func(s *Set) string { return fmt.Sprint(s.Ban(at, Ban{ID: n.ID(), Until: at.Add(time.Minute)})) }},
		{"ban network", func(s *Set) string { return fmt.Sprint(s.Ban(at, Ban{Net: netaddr.NetKey(ep.Addr())})) }},
		{"unban", func(s *Set) string {
			return fmt.Sprint(s.Unban(n.ID(), netip.Prefix{}), s.Unban(ID{}, netaddr.NetKey(ep.Addr())))
		}},
		{"penalize", func(s *Set) string { return fmt.Sprint(s.Penalize(at, n.ID(), 60, "test")) }},
		{"rate", func(s *Set) string {
			s.SetLatency(n.ID(), time.Millisecond)
			s.Reward(at, n.ID(), float64(cause))
			return ""
		}},
		{"limits", func(s *Set) string { return fmt.Sprint(s.SetLimits(limits)) }},
		{"pause", func(s *Set) string { s.Pause(yes); return "" }},
		{"read", func(s *Set) string {
			anchors := ""
			for _, n := range s.Anchors(at) {
				anchors += n.ID().String()
			}
			st := s.Explain(at, n.ID())
			ban := fmt.Sprint(st.Ban)
			st.Ban = nil // a pointer
			return fmt.Sprint(s.Bans(at), s.Scores(at), st, ban, s.Refused(), s.Funnels(), anchors, s.Wanted(at, source))
		}},
	}
	return calls[rapid.IntRange(0, len(calls)-1).Draw(t, "call")]
}

// After any calls the sums are right and the bounds hold; a Set with the same random
// source that gets the same calls gives the same results.
func TestAnyCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		limits := Limits{Peers: 8, Dialed: 4, Pending: 4}
		a, b := New(id(100), limits, netaddr.List{}, rng(seed)), New(id(100), limits, netaddr.List{}, rng(seed))
		now := at
		var tickets []Ticket
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			c := drawCall(t, &now, &tickets)
			first := c.play(a)
			if again := c.play(b); again != first {
				t.Fatalf("%s gives %q, and %q the second time", c.name, first, again)
			}
			checkSet(t, a)
			if inbound, dialed := a.Counts(); inbound+dialed != len(a.peers) {
				t.Fatalf("%d inbound and %d dialed peers of %d", inbound, dialed, len(a.peers))
			}
		}
	})
}
