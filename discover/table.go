package discover

import (
	"time"

	"parley/enode"
	"parley/internal/discv4"
	"parley/internal/discv5"
	"parley/internal/kad"
)

// A Table is a copy of what a Service knew at one moment: the buckets of each
// protocol that are not empty, nearest first.
type Table struct {
	V4, V5 []Bucket
}

// A Bucket has the nodes at one distance.
type Bucket struct {
	// Distance is the logarithmic distance from this node; the nearest bucket has
	// all smaller ones too.
	Distance     int
	Entries      []Entry
	Replacements []*enode.Node // wait for a place
}

// An Entry is a node in a table.
type Entry struct {
	Node   *enode.Node
	Added  time.Time // when it got its place
	Live   bool      // proved its endpoint, and did not fail to answer since
	Checks int       // passed since then
}

// Live returns how many nodes of the table are live, in each protocol.
func (t Table) Live() (v4, v5 int) { return live(t.V4), live(t.V5) }

func live(bs []Bucket) (n int) {
	for _, b := range bs {
		for _, e := range b.Entries {
			if e.Live {
				n++
			}
		}
	}
	return n
}

// Table returns a copy of the tables.
func (s *Service) Table() (t Table) {
	s.look(func() {
		if s.v4 != nil {
			t.V4 = bucketsOf(s.v4.Snapshot())
		}
		if s.v5 != nil {
			t.V5 = bucketsOf(s.v5.Table())
		}
	})
	return t
}

func bucketsOf(infos []kad.BucketInfo) []Bucket {
	bs := make([]Bucket, len(infos))
	for i, info := range infos {
		bs[i] = Bucket{Distance: info.Distance, Replacements: info.Replacements}
		for _, e := range info.Entries {
			bs[i].Entries = append(bs[i].Entries, Entry(e))
		}
	}
	return bs
}

// Stats are counters since the Service began, and how much there is of some things
// now.
type Stats struct {
	// ReadErrors counts errors of the socket that the reader survived, WriteErrors
	// packets that could not be sent.
	ReadErrors, WriteErrors uint64

	V4 *StatsV4 // nil if the protocol is not spoken
	V5 *StatsV5
}

// StatsV4 are those of discovery v4. The keys of the maps are a fixed set: names of
// packets in the specification, and reasons.
type StatsV4 struct {
	Received, Sent map[string]uint64 // packets
	Dropped        map[string]uint64 // by reason; some were Received too

	Bonds, Requests, Replays int // now
}

// StatsV5 are those of discovery v5, with maps as in StatsV4.
type StatsV5 struct {
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64

	MessagesIn, MessagesOut map[string]uint64
	Dropped                 map[string]uint64 // packets, by reason

	ChallengesIn, ChallengesOut uint64 // WHOAREYOU acted on, sent
	HandshakesIn, HandshakesOut uint64 // that made a session, sent
	Timeouts                    uint64 // of calls

	Sessions, Calls, Lookups, Talks int // now
}

// Stats returns a copy of the counters.
func (s *Service) Stats() Stats {
	all := Stats{ReadErrors: s.readErrors.Load(), WriteErrors: s.writeErrors.Load()}
	s.look(func() {
		if s.v4 != nil {
			e := s.v4.Stats()
			all.V4 = &StatsV4{
				Received: named[discv4.Kind](e.Received[:]), Sent: named[discv4.Kind](e.Sent[:]),
				Dropped: named[discv4.Drop](e.Dropped[:]),
				Bonds:   e.Bonds, Requests: e.Requests, Replays: e.Replays,
			}
		}
		if s.v5 != nil {
			e := s.v5.Stats()
			all.V5 = &StatsV5{
				PacketsIn: e.PacketsIn, PacketsOut: e.PacketsOut, BytesIn: e.BytesIn, BytesOut: e.BytesOut,
				MessagesIn: named[discv5.Kind](e.MessagesIn[:]), MessagesOut: named[discv5.Kind](e.MessagesOut[:]),
				Dropped:      named[discv5.Drop](e.Dropped[:]),
				ChallengesIn: e.ChallengesIn, ChallengesOut: e.ChallengesOut,
				HandshakesIn: e.HandshakesIn, HandshakesOut: e.HandshakesOut, Timeouts: e.Timeouts,
				Sessions: e.Sessions, Calls: e.Calls, Lookups: e.Lookups, Talks: e.Talks,
			}
		}
	})
	return all
}

// named returns counters by name. Those of the zero value of T count nothing.
func named[T interface {
	~uint8
	String() string
}](counters []uint64) map[string]uint64 {
	m := make(map[string]uint64, len(counters))
	for i, n := range counters {
		if i > 0 {
			m[T(i).String()] += n
		}
	}
	return m
}
