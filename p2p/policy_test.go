package p2p

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/enode"
)

var errRule = errors.New("rule 7")

// A judge is a Policy that objects to one kind of question, and remembers all.
type judge struct {
	against Ask
	mu      sync.Mutex // guards asked
	asked   []Question
}

func (j *judge) Check(q Question) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked = append(j.asked, q)
	if q.Ask == j.against {
		return errRule
	}
	return nil
}

// about returns the questions of one kind.
func (j *judge) about(a Ask) []Question {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.asked), func(q Question) bool { return q.Ask != a })
}

// offering is a protocol whose source knows the given nodes.
func offering(nodes ...*enode.Node) Protocol {
	p := idleProtocol()
	p.DialCandidates = func(context.Context) iter.Seq[*enode.Node] { return slices.Values(nodes) }
	return p
}

// Each gate asks the policy, with what is known there, and does as it says: nobody
// becomes a peer, and Explain and the counts name the policy.
func TestPolicyAtEachGate(t *testing.T) {
	for _, c := range []struct {
		ask     Ask
		inbound bool
	}{{AskAccept, true}, {AskAdmit, true}, {AskAdmit, false}, {AskOffer, false}, {AskDial, false}} {
		direction := map[bool]string{true: "inbound", false: "dialed"}[c.inbound]
		t.Run(string(c.ask)+" "+direction, func(t *testing.T) {
			inWorld(t, func(w *world) {
				strict := &judge{against: c.ask}
				other := w.server(2, nil)
				s := w.server(1, func(cfg *Config) {
					cfg.Policy = strict
					if !c.inbound {
						cfg.Protocols = []Protocol{offering(other.node())}
					}
				})
				if c.inbound {
					if err := other.AddPeer(s.node()); err != nil {
						t.Fatal(err)
					}
				}
				w.pass(20 * time.Second)
				if s.PeerCount() != 0 {
					t.Error("whom the policy refused is a peer")
				}
				if s.Stats().Refused[GatePolicy] == 0 {
					t.Error("no refusal is counted at the gate policy")
				}
				if v := s.lastVerdict(other.node().ID()); c.ask != AskAccept && (v.Gate != GatePolicy || !errors.Is(v.Err, errRule)) {
					t.Errorf("verdict %s, %v; want policy, %v", v.Gate, v.Err, errRule)
				}
				asked := strict.about(c.ask)
				if len(asked) == 0 {
					t.Fatal("it was not asked")
				}
				q := asked[0]
				if q.Inbound != c.inbound {
					t.Errorf("Inbound = %v", q.Inbound)
				}
				if known := q.ID == other.node().ID(); known != (c.ask != AskAccept) {
					t.Errorf("ID = %v", q.ID)
				}
				if known := q.Node != nil; known == c.inbound {
					t.Errorf("Node = %v", q.Node)
				}
				if known := q.Source == "protocol:idle"; known != (c.ask == AskOffer) {
					t.Errorf("Source = %q", q.Source)
				}
				if known := q.Addr.Addr() == other.host.Addr(); known != (c.ask == AskAccept || c.ask == AskAdmit) {
					t.Errorf("Addr = %v", q.Addr)
				}
				if known := q.Hello != nil && q.Hello.Name == "test/2"; known != (c.ask == AskAdmit) {
					t.Errorf("Hello = %v", q.Hello)
				}
			})
		})
	}
}

// A dry run refuses nobody, at no gate, and counts each objection once.
func TestPolicyDryRun(t *testing.T) {
	for _, ask := range []Ask{AskOffer, AskDial, AskAdmit} {
		t.Run(string(ask), func(t *testing.T) {
			inWorld(t, func(w *world) {
				rule := &judge{against: ask}
				other := w.server(2, nil)
				s := w.server(1, func(c *Config) {
					c.Policy = DryRun(rule)
					c.Protocols = []Protocol{offering(other.node())}
				})
				w.eventually(30*time.Second, "the node is a peer", func() bool { return s.PeerCount() == 1 })
				if st, n := s.Stats(), len(rule.about(ask)); st.PolicyDryRuns != uint64(n) || n == 0 || st.Refused[GatePolicy] != 0 {
					t.Errorf("%d objections counted of %d, %d refusals; want all of them, and none", st.PolicyDryRuns, n, st.Refused[GatePolicy])
				}
			})
		})
	}
	t.Run("accept", func(t *testing.T) {
		inWorld(t, func(w *world) {
			rule := &judge{against: AskAccept}
			s := w.server(1, func(c *Config) { c.Policy = DryRun(rule) })
			s.stranger(2).join()
			if st := s.Stats(); st.PolicyDryRuns != 1 || st.Peers != 1 {
				t.Errorf("%d objections counted, %d peers; want 1 of each", st.PolicyDryRuns, st.Peers)
			}
		})
	})
}

// A rule on trial beside one in force is only counted, unless what it says is joined
// with what is for real.
func TestPolicyDryRunBesideRules(t *testing.T) {
	trial := DryRun(PolicyFunc(func(Question) error { return errRule }))
	s := &Server{cfg: Config{Policy: trial}}
	if o := s.opinion(Question{}); !o.DryRun || !errors.Is(o.Err, errRule) {
		t.Errorf("opinion = %+v, want a dry run of %v", o, errRule)
	}
	s.cfg.Policy = PolicyFunc(func(q Question) error { return errors.Join(errors.New("banned here"), trial.Check(q)) })
	if o := s.opinion(Question{}); o.DryRun || o.Err == nil {
		t.Errorf("opinion = %+v, want it for real", o)
	}
}

// A static node that the policy refuses to dial is not contacted, and is dialed when
// the policy has no objection any more.
func TestPolicyRefusalPasses(t *testing.T) {
	inWorld(t, func(w *world) {
		rule := &judge{against: AskDial}
		other := w.server(2, nil)
		s := w.server(1, func(c *Config) { c.Policy = rule })
		if err := s.AddPeer(other.node()); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		if n := other.Stats().Accepted; n != 0 {
			t.Errorf("%d connections to a node that must not be dialed", n)
		}
		rule.mu.Lock()
		rule.against = ""
		rule.mu.Unlock()
		w.eventually(10*time.Minute, "the static node is a peer", func() bool { return s.PeerCount() == 1 })
	})
}
