package rlp

import (
	"errors"
	"reflect"
	"slices"
	"strings"
)

// Errors that callers may test for with errors.Is. The cursor returns them as
// they are or wrapped; Decode, Encode and Append wrap them in an [Error] that
// says where in the value it happened.
var (
	// ErrCanonical: the input is not the one shortest encoding of its value.
	ErrCanonical = errors.New("rlp: not canonical")

	// ErrTruncated: the input, or the list around an item, ends before the item
	// does. An empty input is truncated too.
	ErrTruncated = errors.New("rlp: input ends inside an item")

	// ErrTrailing: there are bytes after the one item that was expected.
	ErrTrailing = errors.New("rlp: bytes after the item")

	// ErrExpectedString: a list stands where a byte string is required.
	ErrExpectedString = errors.New("rlp: expected a byte string, found a list")

	// ErrExpectedList: a byte string stands where a list is required.
	ErrExpectedList = errors.New("rlp: expected a list, found a byte string")

	// ErrTooFewElements: a list ends before the struct or array does.
	ErrTooFewElements = errors.New("rlp: list has too few elements")

	// ErrTooManyElements: a list goes on after the struct or array is full.
	ErrTooManyElements = errors.New("rlp: list has too many elements")

	// ErrTooLarge: an integer has more bits than its destination.
	ErrTooLarge = errors.New("rlp: integer too large")

	// ErrSize: a byte string has another length than its array.
	ErrSize = errors.New("rlp: byte string of the wrong size")

	// ErrDepth: lists are nested deeper than [MaxDepth].
	ErrDepth = errors.New("rlp: lists nested too deep")

	// ErrMemory: the decoded value would take more memory than allowed; see
	// [Decode].
	ErrMemory = errors.New("rlp: decoded value takes too much memory")

	// ErrNegative: RLP has no negative integers.
	ErrNegative = errors.New("rlp: negative integer")

	// ErrType: a Go type, or a struct tag in it, that has no encoding.
	ErrType = errors.New("rlp: unsupported type")

	// ErrValue: a Go value that has no encoding although its type has: a nil
	// interface, a Raw that is not one item; or a Decode target that is not a
	// non-nil pointer.
	ErrValue = errors.New("rlp: unsupported value")

	// ErrDecoder: a DecodeRLP method did not read exactly one item.
	ErrDecoder = errors.New("rlp: DecodeRLP did not read exactly one item")
)

// An Error says where in a Go value encoding or decoding failed.
type Error struct {
	Op   string // "encode" or "decode"
	Path string // from the type given by the caller, such as Status.ForkID.Hash or Nodes[3].IP
	Err  error  // wraps one of the sentinels above, or comes from an Appender or Decoder
}

func (e *Error) Error() string {
	return "rlp: " + e.Op + " " + e.Path + ": " + strings.TrimPrefix(e.Err.Error(), "rlp: ")
}

func (e *Error) Unwrap() error { return e.Err }

// at adds one step to the path of an error on its way out of a value. Only errors
// that this package made in the same call are extended; an error of a Decoder or
// Appender, even if it is an *Error, is kept whole as the cause.
func at(step string, err error) error {
	if l, ok := err.(*located); ok {
		l.steps = append(l.steps, step)
		return l
	}
	return &located{steps: []string{step}, err: err}
}

// A located error is an Error whose root is not reached yet.
type located struct {
	steps []string // innermost first
	err   error
}

func (l *located) Error() string { return l.err.Error() }

// rooted completes the path of err with the name of the type it began at.
func rooted(op string, root reflect.Type, err error) error {
	e := &Error{Op: op, Path: root.Name(), Err: err}
	if e.Path == "" {
		e.Path = root.String()
	}
	if l, ok := err.(*located); ok {
		slices.Reverse(l.steps)
		e.Path += strings.Join(l.steps, "")
		e.Err = l.err
	}
	return e
}
