package p2p

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"parley/rlp"
	"parley/rlpx"
)

// A Msg is one message of a sub-protocol.
//
// ReadMsg hands a message over: Payload belongs to the receiver until Release.
// Release is optional (without it the collector takes the buffer), but after it
// neither Payload nor anything that aliases it may be used. WriteMsg copies what
// it needs before it returns.
type Msg struct {
	Code       uint64    // inside the protocol, counted from 0
	Payload    []byte    // one RLP value, uncompressed
	ReceivedAt time.Time // when the last byte arrived; zero on a message to send

	loan rlpx.Loan // what Release gives back; none on a message to send
}

// Size returns the length of the payload in bytes.
func (m *Msg) Size() int { return len(m.Payload) }

// Decode decodes the payload into the value that v points to, as rlp.Decode
// does. The result does not alias the payload, except where it is of type
// rlp.Raw.
func (m *Msg) Decode(v any) error {
	if err := rlp.Decode(m.Payload, v); err != nil {
		return fmt.Errorf("p2p: message %#x of %d bytes: %w", m.Code, len(m.Payload), err)
	}
	return nil
}

// Reader returns a reader over the payload.
func (m *Msg) Reader() *bytes.Reader { return bytes.NewReader(m.Payload) }

// Release gives the payload's buffer back and sets Payload to nil. Copies of the
// Msg share the buffer; releasing more than one of them does no harm.
func (m *Msg) Release() {
	m.Payload = nil
	m.loan.Release()
	m.loan = rlpx.Loan{}
}

// A MsgReader reads messages. ReadMsg blocks until there is one. When the
// connection has ended, its error tells how: it wraps the DiscReason that was
// given, and io.EOF if the other side closed without one.
type MsgReader interface {
	ReadMsg() (Msg, error)
}

// A MsgWriter writes messages. WriteMsg blocks while the connection's queue is
// full, at most 20 seconds; nil means queued or written. It is safe for
// concurrent use.
type MsgWriter interface {
	WriteMsg(Msg) error
}

// A MsgReadWriter is what a Protocol.Run talks through. One goroutine may read;
// any number may write.
type MsgReadWriter interface {
	MsgReader
	MsgWriter
}

// Send encodes v as RLP and writes it as a message with the given code.
func Send(w MsgWriter, code uint64, v any) error {
	payload, err := rlp.Encode(v)
	if err != nil {
		return fmt.Errorf("p2p: send message %#x: %w", code, err)
	}
	return w.WriteMsg(Msg{Code: code, Payload: payload})
}

// SendItems writes a message whose payload is the list of the given items.
func SendItems(w MsgWriter, code uint64, items ...any) error {
	return Send(w, code, items)
}

// ErrUnexpectedMsg is wrapped by ExpectMsg's error when a message is not the one
// that was expected.
var ErrUnexpectedMsg = errors.New("p2p: unexpected message")

// ExpectMsg reads one message and reports an error unless it has the given code
// and its payload is the encoding of want. A nil want accepts any payload. It is
// meant for tests.
func ExpectMsg(r MsgReader, code uint64, want any) error {
	msg, err := r.ReadMsg()
	if err != nil {
		return err
	}
	defer msg.Release()
	if msg.Code != code {
		return fmt.Errorf("%w: code %#x, want %#x", ErrUnexpectedMsg, msg.Code, code)
	}
	if want == nil {
		return nil
	}
	payload, err := rlp.Encode(want)
	if err != nil {
		return fmt.Errorf("p2p: expect message %#x: %w", code, err)
	}
	if !bytes.Equal(payload, msg.Payload) {
		return fmt.Errorf("%w: code %#x with payload %x, want %x", ErrUnexpectedMsg, code, msg.Payload, payload)
	}
	return nil
}

// ErrPipeClosed is returned by a MsgPipe's ends after Close.
var ErrPipeClosed = fmt.Errorf("p2p: message pipe closed: %w", io.EOF)
