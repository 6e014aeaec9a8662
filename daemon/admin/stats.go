package admin

import (
	"parley/eth"
	"parley/p2p"
)

// Stats is the result of p2p_stats: counters since the start, and gauges.
type Stats struct {
	Peers        int               `json:"peers"`
	Inbound      int               `json:"inbound"`
	Dialed       int               `json:"dialed"`
	PendingIn    int               `json:"pendingIn"`  // handshakes in flight
	PendingOut   int               `json:"pendingOut"` // handshakes in flight
	Buffered     int64             `json:"buffered"`   // bytes held for all peers
	BytesIn      uint64            `json:"bytesIn"`
	BytesOut     uint64            `json:"bytesOut"`
	Accepted     uint64            `json:"accepted"` // connections
	Served       uint64            `json:"served"`   // of them, those that became peers
	Dials        uint64            `json:"dials"`
	DialsOK      uint64            `json:"dialsOk"`
	Refused      map[string]uint64 `json:"refused"` // by gate
	Sources      map[string]Funnel `json:"sources"` // how far the nodes of each source got
	PreEIP8      uint64            `json:"preEip8"`
	Panics       uint64            `json:"panics"`
	UnaskedPongs uint64            `json:"unaskedPongs"`
	EventsLost   uint64            `json:"eventsLost"`
	Reachable    p2p.Reachable     `json:"reachable"` // whether strangers get through, now
	Eth          *EthStats         `json:"eth,omitempty"`
}

// A Funnel counts how far the nodes of a source got.
type Funnel struct {
	Offered   uint64            `json:"offered"`
	Refused   map[string]uint64 `json:"refused"` // by gate
	Dialed    uint64            `json:"dialed"`
	Connected uint64            `json:"connected"` // over TCP
	Hello     uint64            `json:"hello"`     // exchanged
	Peer      uint64            `json:"peer"`
}

// EthStats are the counters of the eth protocol.
type EthStats struct {
	Peers               map[uint]int      `json:"peers"`    // now, by version
	Sessions            uint64            `json:"sessions"` // that got past Status
	Refused             map[string]uint64 `json:"refused"`  // the others, by cause
	TransactionMessages uint64            `json:"transactionMessages"`
	Transactions        uint64            `json:"transactions"` // in them
	Announcements       uint64            `json:"announcements"`
	Announced           uint64            `json:"announced"` // transactions in them
	LargeAnnouncements  uint64            `json:"largeAnnouncements"`
	RangeUpdates        uint64            `json:"rangeUpdates"`
	Obsolete            uint64            `json:"obsolete"` // NewBlock, NewBlockHashes
	Answered            map[string]uint64 `json:"answered"` // requests, by name
	Answers             uint64            `json:"answers"`  // to requests of ours
	Unsolicited         uint64            `json:"unsolicited"`
}

// NewEthStats returns the JSON form of s: field for field the same.
func NewEthStats(s eth.Stats) *EthStats { e := EthStats(s); return &e }

// NewStats returns the JSON form of s.
func NewStats(s p2p.Stats) *Stats {
	sources := make(map[string]Funnel, len(s.Sources))
	for name, f := range s.Sources {
		sources[name] = Funnel{Offered: f.Offered, Refused: byName(f.Refused), Dialed: f.Dialed, Connected: f.Connected, Hello: f.Hello, Peer: f.Peer}
	}
	return &Stats{
		Peers: s.Peers, Inbound: s.Inbound, Dialed: s.Dialed,
		PendingIn: s.PendingIn, PendingOut: s.PendingOut,
		Buffered: s.Buffered, BytesIn: s.BytesIn, BytesOut: s.BytesOut,
		Accepted: s.Accepted, Served: s.Served, Dials: s.Dials, DialsOK: s.DialsOK,
		Refused: byName(s.Refused), Sources: sources, PreEIP8: s.PreEIP8, Panics: s.Panics,
		UnaskedPongs: s.UnaskedPongs, EventsLost: s.EventsLost,
		Reachable: s.Reachable,
	}
}

func byName(gates map[p2p.Gate]uint64) map[string]uint64 {
	named := make(map[string]uint64, len(gates))
	for gate, n := range gates {
		named[string(gate)] = n
	}
	return named
}
