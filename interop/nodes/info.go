package nodes

import "encoding/json"

// A Peer is an element of the result of admin_peers, in the form that geth has
// and parley keeps.
type Peer struct {
	ENR     string   `json:"enr"`
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
	Protocols map[string]json.RawMessage `json:"protocols"`
}

// Eth returns what the peer's eth protocol says of it. It reports false while
// the Status exchange is under way.
func (p *Peer) Eth() (Eth, bool) {
	var e Eth
	err := json.Unmarshal(p.Protocols["eth"], &e)
	return e, err == nil
}

// Eth is a peer's eth version and block range.
type Eth struct {
	Version         uint   `json:"version"`
	EarliestBlock   uint64 `json:"earliestBlock"`
	LatestBlock     uint64 `json:"latestBlock"`
	LatestBlockHash string `json:"latestBlockHash"`
}

// Info is the result of admin_nodeInfo.
type Info struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Enode      string `json:"enode"`
	ENR        string `json:"enr"`
	IP         string `json:"ip"`
	ListenAddr string `json:"listenAddr"`
	Ports      struct {
		Discovery int `json:"discovery"`
		Listener  int `json:"listener"`
	} `json:"ports"`
	Protocols struct {
		Eth struct {
			Network uint64 `json:"network"`
			Genesis string `json:"genesis"`
			Head    string `json:"head"`
		} `json:"eth"`
	} `json:"protocols"`
}

// An Event is a notification of the subscription peerEvents.
type Event struct {
	Type     string  `json:"type"` // add, drop, msgsend, msgrecv
	Peer     string  `json:"peer"` // 64 hex digits
	Error    string  `json:"error"`
	Local    string  `json:"local"`
	Remote   string  `json:"remote"`
	Protocol string  `json:"protocol"`
	MsgCode  *uint64 `json:"msg_code"`
	MsgSize  *uint32 `json:"msg_size"`
}

// An Explanation is the result of parley's p2p_explain.
type Explanation struct {
	ID        string    `json:"id"`
	Connected bool      `json:"connected"`
	Static    bool      `json:"static"`
	Failures  int       `json:"failures"` // dials in a row
	Verdicts  []Verdict `json:"verdicts"` // oldest first
	Advice    string    `json:"advice"`
}

// A Verdict is what a gate of parley said about a node.
type Verdict struct {
	Gate    string `json:"gate"`
	Inbound bool   `json:"inbound"`
	Error   string `json:"error"`
	Reason  string `json:"reason"` // of the Disconnect, if there was one
	Detail  string `json:"detail"`
	Count   int    `json:"count"`
}
