package p2p

import "fmt"

// A DiscReason says why a connection ended, in the numbers of the base
// protocol. It is an error, so that a Protocol.Run can return it and a dropped
// peer's error can be asked for it:
//
//	if reason, ok := errors.AsType[p2p.DiscReason](err); ok { … }
//
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#disconnect-0x01
type DiscReason uint8

// The reasons of the base protocol.
const (
	DiscRequested           DiscReason = 0x00
	DiscNetworkError        DiscReason = 0x01
	DiscProtocolError       DiscReason = 0x02 // breach of protocol: bad message, wrong code
	DiscUselessPeer         DiscReason = 0x03
	DiscTooManyPeers        DiscReason = 0x04
	DiscAlreadyConnected    DiscReason = 0x05
	DiscIncompatibleVersion DiscReason = 0x06
	DiscInvalidIdentity     DiscReason = 0x07
	DiscQuitting            DiscReason = 0x08 // client quitting
	DiscUnexpectedIdentity  DiscReason = 0x09
	DiscSelf                DiscReason = 0x0a
	DiscReadTimeout         DiscReason = 0x0b
	DiscSubprotocolError    DiscReason = 0x10

	// DiscInvalid stands for a Disconnect message that names no reason we
	// know or cannot be read. It is never sent.
	DiscInvalid DiscReason = 0xff
)

var reasonText = [...]string{
	DiscRequested:           "disconnect requested",
	DiscNetworkError:        "network error",
	DiscProtocolError:       "breach of protocol",
	DiscUselessPeer:         "useless peer",
	DiscTooManyPeers:        "too many peers",
	DiscAlreadyConnected:    "already connected",
	DiscIncompatibleVersion: "incompatible p2p protocol version",
	DiscInvalidIdentity:     "invalid node identity",
	DiscQuitting:            "client quitting",
	DiscUnexpectedIdentity:  "unexpected identity",
	DiscSelf:                "connected to self",
	DiscReadTimeout:         "read timeout",
	DiscSubprotocolError:    "subprotocol error",
}

// String returns the reason in words. It is safe for every value.
func (r DiscReason) String() string {
	switch {
	case int(r) < len(reasonText) && reasonText[r] != "":
		return reasonText[r]
	case r == DiscInvalid:
		return "invalid disconnect reason"
	}
	return fmt.Sprintf("unknown disconnect reason %#02x", uint8(r))
}

// Error returns String.
func (r DiscReason) Error() string { return r.String() }
