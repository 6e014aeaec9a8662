package p2p

import "parley/internal/peerset"

// PeerInfo describes a peer. Its JSON form is that of admin_peers.
type PeerInfo struct {
	ENR     string   `json:"enr,omitempty"` // the peer's record, if known
	Enode   string   `json:"enode"`
	ID      string   `json:"id"` // 64 hex digits
	Name    string   `json:"name"`
	Caps    []string `json:"caps"`
	Network struct {
		LocalAddress  string `json:"localAddress"`
		RemoteAddress string `json:"remoteAddress"`
		Inbound       bool   `json:"inbound"`
		Trusted       bool   `json:"trusted"`
		Static        bool   `json:"static"`
	} `json:"network"`
	Protocols map[string]any `json:"protocols"` // by name, what Protocol.PeerInfo gives, or "unknown"
}

// NodeInfo describes the local node. Its JSON form is that of admin_nodeInfo.
type NodeInfo struct {
	ID    string `json:"id"` // 64 hex digits
	Name  string `json:"name"`
	Enode string `json:"enode"`
	ENR   string `json:"enr"`
	IP    string `json:"ip"`
	Ports struct {
		Discovery int `json:"discovery"`
		Listener  int `json:"listener"`
	} `json:"ports"`
	ListenAddr string         `json:"listenAddr"`
	Protocols  map[string]any `json:"protocols"` // by name, what Protocol.NodeInfo gives, or "unknown"
	P2P        struct {
		Reachable Reachable `json:"reachable"`
	} `json:"p2p"` // not in other programs' admin_nodeInfo
}

// A Funnel counts how far the nodes of a source got: Offered, Refused (by gate),
// Dialed, Connected (over TCP), Hello (exchanged) and Peer.
//
// The sources are "discv4", "discv5", "dns", "db" and "anchor" (remembered from
// before a restart), "protocol:" and the name of a protocol that has its own,
// "static", and "other". Of "inbound", Offered are the connections that came in.
type Funnel = peerset.Funnel

// Stats are the Server's counters since Start. All but the gauges only grow.
type Stats struct {
	Peers, Inbound, Dialed int               // gauges
	PendingIn, PendingOut  int               // gauges: handshakes in flight
	Buffered               int64             // gauge: bytes of messages held for all peers
	BytesIn, BytesOut      uint64            // on TCP
	Accepted, Dials        uint64            // connections accepted, dials started
	Served, DialsOK        uint64            // of them, those that became peers
	Refused                map[Gate]uint64   // by the gate that refused
	Sources                map[string]Funnel // how far the nodes of each source got
	PolicyDryRuns          uint64            // objections of a [DryRun]
	PreEIP8                uint64            // plain auth messages of the time before EIP-8
	Panics                 uint64            // in Protocol.Run
	UnaskedPongs           uint64
	EventsLost             uint64
	Reachable              Reachable // as of now
}
