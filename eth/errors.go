package eth

import (
	"errors"
	"strings"
)

// Errors that callers may test for with errors.Is. What ends a session wraps one
// of them, or [ErrForkID], [ErrBlockRange] or an error of package rlp, and the
// p2p.DiscReason that is sent.
var (
	// ErrStatusTimeout: the other side's Status did not come within 5 seconds, or
	// within 1 in the mirror mode, where there is then nothing to mirror.
	ErrStatusTimeout = errors.New("eth: no status in time")

	// ErrNoStatus: the first message was another one.
	ErrNoStatus = errors.New("eth: first message is not status")

	// ErrExtraStatus: a second Status came.
	ErrExtraStatus = errors.New("eth: second status")

	// ErrVersionMismatch: Status names another version than the one that was
	// agreed on.
	ErrVersionMismatch = errors.New("eth: version mismatch")

	// ErrNetworkMismatch: the other side is on another network.
	ErrNetworkMismatch = errors.New("eth: network mismatch")

	// ErrGenesisMismatch: the other side's chain begins with another block.
	ErrGenesisMismatch = errors.New("eth: genesis mismatch")

	// ErrMessageSize: a message is larger than [MaxMessageSize], or a Status
	// larger than any can be.
	ErrMessageSize = errors.New("eth: message too large")

	// ErrMessageCode: the version has no message of that code.
	ErrMessageCode = errors.New("eth: no such message")

	// ErrAnnouncement: the lists of an announcement differ in length.
	ErrAnnouncement = errors.New("eth: announcement lists differ in length")

	// ErrAnswer: an answer to our request holds what was not asked for.
	ErrAnswer = errors.New("eth: answer does not fit its request")

	// ErrTooManyRequests: as many requests to that peer are waiting as the
	// configuration allows.
	ErrTooManyRequests = errors.New("eth: too many requests waiting for an answer")

	// ErrNotRequest: the version of the session has no such request.
	ErrNotRequest = errors.New("eth: not a request in this version")

	// ErrPeerGone: the session ended before the answer came.
	ErrPeerGone = errors.New("eth: peer gone")

	// ErrMirror: the operation needs a chain, and the mirror mode has none.
	ErrMirror = errors.New("eth: mirror mode")

	// ErrNoEntry: a node's record has no "eth" entry, so it does not speak eth.
	ErrNoEntry = errors.New("eth: record has no eth entry")
)

// An about error says which message an error is about. Its text has the package's
// name once.
type about struct {
	message string
	err     error
}

func (a *about) Error() string {
	return "eth: " + a.message + ": " + strings.TrimPrefix(a.err.Error(), "eth: ")
}

func (a *about) Unwrap() error { return a.err }
