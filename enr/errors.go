package enr

import (
	"errors"
	"fmt"
)

// Reasons why a record cannot be made, or is refused, besides malformed RLP
// (sentinels of package rlp) and text.
var (
	// ErrTooLarge: the encoded record is longer than [SizeLimit].
	ErrTooLarge = errors.New("record is larger than 300 bytes")

	// ErrKeyOrder: the keys of a record are not sorted.
	ErrKeyOrder = errors.New("keys are not sorted")

	// ErrDuplicateKey: two entries have the same key.
	ErrDuplicateKey = errors.New("duplicate key")

	// ErrScheme: the record has no "id" entry or its value is not "v4".
	ErrScheme = errors.New("identity scheme is not v4")

	// ErrPublicKey: the "secp256k1" entry is missing or is no compressed key.
	ErrPublicKey = errors.New("no valid secp256k1 entry")

	// ErrSignature: the signature is not 64 bytes long or not made by the key in
	// the record.
	ErrSignature = errors.New("invalid signature")
)

// ErrNotFound is wrapped by the [*EntryError] that [Record.Load] returns for a
// key that the record does not have.
var ErrNotFound = errors.New("not in the record")

// An EntryError says what is wrong with one entry: that it is missing, cannot be
// encoded or cannot be decoded.
type EntryError struct {
	Key string
	Err error
}

// Error returns the key and the cause.
func (e *EntryError) Error() string { return fmt.Sprintf("enr: entry %q: %v", e.Key, e.Err) }

// Unwrap returns the cause.
func (e *EntryError) Unwrap() error { return e.Err }
