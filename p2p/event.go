package p2p

import (
	"time"

	"parley/enode"
)

// An EventType says what happened.
type EventType string

// The types of events. The message events need Config.EnableMsgEvents.
const (
	EventAdd     EventType = "add"     // a peer was added
	EventDrop    EventType = "drop"    // a peer was removed; Error says why
	EventMsgSend EventType = "msgsend" // a message was queued for a peer
	EventMsgRecv EventType = "msgrecv" // a message arrived from a peer
	EventLost    EventType = "lost"    // the reader was too slow: Lost events are missing here
)

// An Event tells of a peer that came or went, or of a message. Its JSON form is
// that of the admin API's peerEvents subscription.
type Event struct {
	Type     EventType `json:"type"`
	Peer     enode.ID  `json:"peer"`
	Error    string    `json:"error,omitempty"`    // drop: the reason in words
	Protocol string    `json:"protocol,omitempty"` // messages: name of the sub-protocol
	MsgCode  *uint64   `json:"msg_code,omitempty"` // messages
	MsgSize  *uint32   `json:"msg_size,omitempty"` // messages: payload in bytes
	Local    string    `json:"local,omitempty"`    // our address of the connection
	Remote   string    `json:"remote,omitempty"`   // the peer's

	Time     time.Time  `json:"-"`
	Reason   DiscReason `json:"-"` // drop: the reason of the Disconnect, DiscNetworkError if there was none
	ByRemote bool       `json:"-"` // drop: the other side asked for it
	Inbound  bool       `json:"-"`
	Name     string     `json:"-"` // the peer's client name
	Err      error      `json:"-"` // drop: the cause, for errors.Is and As
	Lost     int        `json:"-"` // lost: how many events are missing
}
