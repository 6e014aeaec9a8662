package rlpx

import "errors"

// Errors that callers tell apart, with errors.Is. Whatever else ReadMsg and the
// handshakes return comes from the net.Conn below.
var (
	// ErrSelf is returned for a connection with our own key on both ends.
	ErrSelf = errors.New("connected to self")

	// ErrPreEIP8 means that the other side sent a handshake packet in the format
	// that EIP-8 replaced in 2015. It is not answered.
	ErrPreEIP8 = errors.New("handshake in the format before EIP-8")

	// ErrMAC means that bytes were not made by the holder of the secrets, or were
	// changed on the way. The stream cannot be read on.
	ErrMAC = errors.New("bad MAC")

	// ErrTooLarge means that a size is above its limit: of a handshake packet, a
	// frame or a message, as claimed by the other side or handed in by the caller.
	ErrTooLarge = errors.New("too large")

	// ErrMalformed means that authentic bytes break the rules of the format: a
	// handshake body, a frame of size zero, a message code, a Snappy body.
	ErrMalformed = errors.New("malformed")
)

// A HandshakeError says at which step a handshake failed. The other side sees
// the connection close and nothing else, whatever the step.
type HandshakeError struct {
	Step Step
	Err  error
}

// A Step is a part of the handshake.
type Step string

// The steps of a handshake. The initiator goes through SendAuth, ReadAck and
// OpenAck, the recipient through ReadAuth, OpenAuth and SendAck.
const (
	StepSendAuth Step = "send auth"
	StepReadAuth Step = "read auth"
	StepOpenAuth Step = "open auth"
	StepSendAck  Step = "send ack"
	StepReadAck  Step = "read ack"
	StepOpenAck  Step = "open ack"
)

func (e *HandshakeError) Error() string {
	return "rlpx: " + string(e.Step) + ": " + e.Err.Error()
}

// Unwrap returns the cause: one of this package's errors or the connection's.
func (e *HandshakeError) Unwrap() error { return e.Err }
