package peerset

import (
	"time"

	"parley/enode"
)

// A Story is what the Set knows of a node.
type Story struct {
	Node      *enode.Node // nil if only its ID is known
	Source    Source      // that offered it last; empty if none did
	Connected bool
	Static    bool
	Trusted   bool
	Dialing   bool
	Failures  int       // dials that failed in a row
	NextDial  time.Time // zero if it will not be dialed
	Ban       *Ban      // that meets it, nil without one
	Points    float64   // of its score
	Verdicts  []Verdict // oldest first
}

// Explain tells what is known of a node.
func (s *Set) Explain(now time.Time, id ID) Story {
	st := Story{
		Node:      s.trusted[id],
		Connected: s.Connected(id),
		Static:    s.Static(id),
		Trusted:   s.Trusted(id),
		Points:    s.Points(now, id),
		Verdicts:  s.book.read(id),
	}
	if b, ok := s.bans.findID(now, id); ok {
		st.Ban = &b
	}
	if t := s.dialer.targets[id]; t != nil {
		st.Node = t.node
		st.Source = t.source
		st.Dialing = t.dialing
		st.Failures = t.failures
		if t.static && !st.Connected && !t.dialing {
			st.NextDial = t.next
		}
		if b, ok := s.banned(now, id, t.addrs...).(*BanError); ok {
			st.Ban = &b.Ban
		}
		if t.barred != nil { // with no room too, only an event can change it
			st.NextDial = time.Time{}
		}
	}
	if st.Ban != nil && !st.NextDial.IsZero() {
		st.NextDial = st.Ban.Until
	}
	return st
}
