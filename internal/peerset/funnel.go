package peerset

import "maps"

// A Funnel counts how far the nodes of a source got: those that a source offered,
// or, of SourceInbound, the connections that came in. Each number is of those
// before it.
type Funnel struct {
	Offered   uint64
	Refused   map[Gate]uint64 // by the gate that refused
	Dialed    uint64          // of static nodes too, which nobody offers
	Connected uint64          // TCP
	Hello     uint64          // exchanged
	Peer      uint64
}

// A Stage is how far a connection got.
type Stage int

// The stages.
const (
	StageConnected Stage = iota
	StageHello
	StagePeer // counted by Add
)

// funnel returns the counts of a source. There are few: see maxSources.
func (s *Set) funnel(source Source) *Funnel {
	f := s.book.funnels[source]
	if f == nil {
		f = &Funnel{Refused: make(map[Gate]uint64)}
		s.book.funnels[source] = f
	}
	return f
}

// sourceOf returns the source under which something about a node is counted.
func (s *Set) sourceOf(id ID, inbound bool) Source {
	if inbound {
		return SourceInbound
	}
	if t := s.dialer.targets[id]; t != nil {
		return t.source
	}
	return SourceOther
}

// Reached notes that a connection with a node got as far as stage.
func (s *Set) Reached(id ID, inbound bool, stage Stage) { s.reached(id, inbound, stage) }

func (s *Set) reached(id ID, inbound bool, stage Stage) {
	f := s.funnel(s.sourceOf(id, inbound))
	switch stage {
	case StageConnected:
		f.Connected++
	case StageHello:
		f.Hello++
	case StagePeer:
		f.Peer++
	}
}

// Note keeps a verdict on a node, for Explain and the counts by gate.
func (s *Set) Note(id ID, v Verdict) { s.note(s.sourceOf(id, v.Inbound), id, v) }

func (s *Set) note(source Source, id ID, v Verdict) {
	s.count(source, v.Gate)
	s.book.note(id, v, s.privileged)
}

// Count counts a refusal of somebody who came to us and cannot be named.
func (s *Set) Count(g Gate) { s.count(SourceInbound, g) }

func (s *Set) count(source Source, g Gate) {
	s.book.refused[g]++
	s.funnel(source).Refused[g]++
}

// Refused returns the number of refusals by gate.
func (s *Set) Refused() map[Gate]uint64 { return maps.Clone(s.book.refused) }

// DryRuns returns how often the policy would have refused, had it not been a dry
// run.
func (s *Set) DryRuns() uint64 { return s.book.dryRun }

// Funnels returns the counts of each source.
func (s *Set) Funnels() map[Source]Funnel {
	m := make(map[Source]Funnel, len(s.book.funnels))
	for source, f := range s.book.funnels {
		c := *f
		c.Refused = maps.Clone(f.Refused)
		m[source] = c
	}
	return m
}
