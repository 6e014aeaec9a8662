package p2p

import (
	"time"

	"parley/enode"
	"parley/internal/peerset"
)

// A Gate is a place where a connection or a candidate can be refused.
//
// Its values are GateSource, GateRecord, GateNetRestrict, GateRelay,
// GateHistory, GateQuota, GateBan, GatePolicy, GateDial, GateRLPx, GateHello and
// GateProtocol, in the order in which a node meets them.
type Gate = peerset.Gate

// The gates, in the order in which a node meets them.
const (
	GateSource      = peerset.GateSource      // a source offered it and it was not taken
	GateRecord      = peerset.GateRecord      // its record or URL: no key, no endpoint, filtered by a protocol
	GateNetRestrict = peerset.GateNetRestrict // outside Config.NetRestrict
	GateRelay       = peerset.GateRelay       // an address that its teller may not tell
	GateHistory     = peerset.GateHistory     // seen or dialed a moment ago
	GateQuota       = peerset.GateQuota       // too many peers or connections, self, already connected
	GateBan         = peerset.GateBan         // banned
	GatePolicy      = peerset.GatePolicy      // refused by the operator's policy
	GateDial        = peerset.GateDial        // name resolution, TCP
	GateRLPx        = peerset.GateRLPx        // encryption handshake, first frame
	GateHello       = peerset.GateHello       // Hello: identity, capabilities
	GateProtocol    = peerset.GateProtocol    // a sub-protocol, after it had become a peer
)

// A Verdict is what one gate said about a node: Time, Gate, Inbound, Remote,
// Err, Detail (what is known of the other side, such as its client name) and
// Count, the number of times in a row that it said the same.
type Verdict = peerset.Verdict

// An Explanation answers why a node is, or is not, a peer.
type Explanation struct {
	ID        enode.ID
	Node      *enode.Node // as known; nil if it was only seen connecting, or never
	Connected bool
	Static    bool
	Trusted   bool
	Dialing   bool      // a dial is in flight
	Source    string    // that named it last, as in Stats.Sources; empty if none did
	Ban       *Ban      // that meets it; nil without one
	Points    float64   // that Peer.Penalize has left against it
	Failures  int       // dials that failed in a row
	NextDial  time.Time // when it may be dialed again; zero if it will not be
	Verdicts  []Verdict // oldest first; the last few are kept
	Advice    string    // what to do, in a sentence; empty if nothing is wrong
}
