package p2p

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"parley/enode"
	"parley/enr"
)

// MaxPayload is the largest message payload in bytes, uncompressed: the frame
// header has 24 bits for a size, and the other side refuses more.
const MaxPayload = 1<<24 - 1

// A Protocol is our implementation of a capability: a sub-protocol that the
// Server offers in its Hello and runs with every peer that offers it too.
type Protocol struct {
	// Name and Version identify the capability. Name is 1 to 8 printable ASCII
	// characters. Of several versions of one name, only the highest that both
	// sides have runs on a connection.
	Name    string
	Version uint

	// Length is the number of message codes the protocol uses. Codes are
	// 0..Length-1 inside the protocol; where they lie on the wire is the
	// Server's concern.
	Length uint64

	// Run is called in its own goroutine for each peer that shares the
	// capability. The connection lives until the first of its protocols
	// returns: nil ends it with DiscRequested, a DiscReason with that reason, any
	// other error with DiscSubprotocolError. Run must return when ReadMsg or
	// WriteMsg fail; peer.Context() ends with the connection.
	Run func(peer *Peer, rw MsgReadWriter) error

	// NodeInfo and PeerInfo (optional) give what Server.NodeInfo and Peer.Info
	// show under the protocol's name. The result must encode as JSON; a nil
	// PeerInfo means that the protocol's own handshake is not over.
	NodeInfo func() any
	PeerInfo func(id enode.ID) any

	// DialCandidates (optional) yields nodes that are likely to speak the
	// protocol. It is pulled only while the Server wants more peers, until Stop or
	// RemoveProtocol end its context.
	DialCandidates Source

	// Attributes (optional) are entries for the local node's record.
	Attributes []enr.Entry

	// Filter (optional) looks at a candidate before it is dialed; a non-nil
	// error keeps the Server from dialing it and appears in Explain. Static nodes
	// are dialed whatever it says. It must not block.
	Filter func(*enode.Node) error

	// MaxMsgSize bounds the uncompressed payload of the protocol's messages in
	// bytes. It is compared with the size that a compressed message claims,
	// before anything is inflated. Zero means MaxPayload.
	MaxMsgSize uint32
}

// Cap returns the protocol's capability.
func (p *Protocol) Cap() Cap { return Cap{Name: p.Name, Version: p.Version} }

// check reports what is wrong with the protocol by itself.
func (p *Protocol) check() error {
	switch {
	case !validCapName(p.Name):
		return fmt.Errorf("name %q is not 1 to 8 printable ASCII characters", p.Name)
	case p.Length == 0:
		return fmt.Errorf("%v has no message codes", p.Cap())
	case p.Length > maxProtocolLength:
		return fmt.Errorf("%v has %d message codes, at most %d", p.Cap(), p.Length, maxProtocolLength)
	case p.Run == nil:
		return fmt.Errorf("%v has no Run", p.Cap())
	case p.MaxMsgSize > MaxPayload:
		return fmt.Errorf("%v: MaxMsgSize %d is above %d", p.Cap(), p.MaxMsgSize, MaxPayload)
	}
	return nil
}

// A Source yields candidate nodes until ctx ends or it has no more. It may
// block while it searches.
type Source func(ctx context.Context) iter.Seq[*enode.Node]

// A Cap is a capability as announced in Hello.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#hello-0x00
type Cap struct {
	Name    string
	Version uint
}

// String returns the usual form, such as eth/69.
func (c Cap) String() string { return fmt.Sprintf("%s/%d", c.Name, c.Version) }

// Compare orders capabilities by name, then version.
func (c Cap) Compare(d Cap) int {
	return cmp.Or(cmp.Compare(c.Name, d.Name), cmp.Compare(c.Version, d.Version))
}
