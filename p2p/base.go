package p2p

import (
	"errors"

	"parley/rlp"
)

// Message codes of the base protocol. Sub-protocols follow after the reserved
// range.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#p2p-capability
const (
	codeHello      = 0x00
	codeDisconnect = 0x01
	codePing       = 0x02
	codePong       = 0x03
	baseLength     = 0x10

	// maxReserved is how many messages with the codes between pong and the end
	// of the range are let pass: they belong to a version that we do not know.
	maxReserved = 8

	// maxProtocolLength bounds Protocol.Length, so that sums of them cannot
	// overflow.
	maxProtocolLength = 1 << 20
)

// emptyList is the payload of ping and pong.
var emptyList = [...]byte{0xc0}

// appendDisconnect appends the payload of a Disconnect: a list of one number.
func appendDisconnect(b []byte, r DiscReason) []byte {
	return rlp.AppendUint(rlp.AppendList(b, rlp.UintSize(uint64(r))), uint64(r))
}

// parseDisconnect reads the reason from a Disconnect. Clients have sent it as a
// list, as a bare number and as nothing at all; what cannot be read as any of
// these is DiscInvalid.
func parseDisconnect(payload []byte) DiscReason {
	c := rlp.NewCursor(payload)
	if !c.More() {
		return DiscRequested
	}
	if kind, _, err := c.Kind(); err != nil {
		return DiscInvalid
	} else if kind == rlp.List {
		list, err := c.List()
		if err != nil {
			return DiscInvalid
		}
		if !list.More() {
			return DiscRequested
		}
		c = list
	}
	v, err := c.Uint(8)
	if err != nil {
		return DiscInvalid
	}
	return DiscReason(v)
}

// An endError tells how a connection ended. It is what ReadMsg and WriteMsg
// return afterwards, and the error of the drop event.
type endError struct {
	reason   DiscReason // that was sent or received; DiscNetworkError if none was
	byRemote bool
	err      error // more than the reason says; may be nil
}

func (e *endError) Error() string {
	text := e.reason.String()
	if e.byRemote {
		text += " (said by the other side)"
	}
	switch {
	case e.err == nil:
		return text
	case !e.byRemote && errors.Is(e.err, e.reason):
		return e.err.Error() // which names the reason
	}
	return text + ": " + e.err.Error()
}

func (e *endError) Unwrap() []error {
	if e.err == nil {
		return []error{e.reason}
	}
	return []error{e.reason, e.err}
}
