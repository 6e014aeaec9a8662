package admin

import "parley/p2p"

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
	PreEIP8      uint64            `json:"preEip8"`
	Panics       uint64            `json:"panics"`
	UnaskedPongs uint64            `json:"unaskedPongs"`
	EventsLost   uint64            `json:"eventsLost"`
}

// NewStats returns the JSON form of s.
func NewStats(s p2p.Stats) *Stats {
	refused := make(map[string]uint64, len(s.Refused))
	for gate, n := range s.Refused {
		refused[string(gate)] = n
	}
	return &Stats{
		Peers: s.Peers, Inbound: s.Inbound, Dialed: s.Dialed,
		PendingIn: s.PendingIn, PendingOut: s.PendingOut,
		Buffered: s.Buffered, BytesIn: s.BytesIn, BytesOut: s.BytesOut,
		Accepted: s.Accepted, Served: s.Served, Dials: s.Dials, DialsOK: s.DialsOK,
		Refused: refused, PreEIP8: s.PreEIP8, Panics: s.Panics,
		UnaskedPongs: s.UnaskedPongs, EventsLost: s.EventsLost,
	}
}
