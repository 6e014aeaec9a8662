// Package enr implements Ethereum Node Records: signed, numbered lists of
// key/value entries in which a node publishes its public key, its endpoints and
// what it speaks.
//
// The format is EIP-778, https://github.com/ethereum/devp2p/blob/master/enr.md,
// with the "v4" identity scheme, the only one in use.
//
// # Keys
//
// The functions and methods of this package take and return keys of the types
// that package enode names PrivateKey and PublicKey.
package enr

import (
	"bytes"
	"errors"
	"iter"

	"parley/internal/secp"
	"parley/rlp"
)

// SizeLimit is the maximum number of bytes of an encoded record. The limit lets
// records travel in single packets and DNS answers.
const SizeLimit = 300

// A Record is a node record whose signature has been verified. It is made by
// [Sign], [Parse] or [ParseBytes], immutable, and safe for concurrent use.
//
// A record keeps the encoding it was made from, because the signature covers
// exactly those bytes: nothing is encoded again when a record is passed on.
type Record struct {
	raw   []byte // the whole list; no slice of it leaves this package
	pairs int    // where in raw the first key starts
	seq   uint64
	key   secp.PublicKey
}

// Seq returns the sequence number: of two records of one node, the one with the
// higher number is newer.
func (r *Record) Seq() uint64 { return r.seq }

// PublicKey returns the key that signed the record. It identifies the node.
func (r *Record) PublicKey() secp.PublicKey { return r.key }

// Len returns the number of bytes of the RLP encoding, at most [SizeLimit].
func (r *Record) Len() int { return len(r.raw) }

// Bytes returns the RLP encoding in a new slice.
func (r *Record) Bytes() []byte { return bytes.Clone(r.raw) }

// AppendRLP appends the RLP encoding to b. It implements [rlp.Appender], so that
// a *Record can be a field of a message.
func (r *Record) AppendRLP(b []byte) ([]byte, error) {
	if len(r.raw) == 0 {
		return b, errEmpty
	}
	return append(b, r.raw...), nil
}

// DecodeRLP implements [rlp.Decoder] with the checks of [ParseBytes], so that a
// *Record can be a field of a message. It fills only a zero Record, because any
// other is immutable.
func (r *Record) DecodeRLP(c *rlp.Cursor) error {
	if len(r.raw) != 0 {
		return errInUse
	}
	raw, err := c.Raw()
	if err != nil {
		return err
	}
	parsed, err := ParseBytes(raw)
	if err != nil {
		return err
	}
	*r = *parsed
	return nil
}

var (
	errEmpty = errors.New("enr: zero Record has no encoding")
	errInUse = errors.New("enr: decode: the Record already holds one")
)

// Has reports whether the record has an entry with this key.
func (r *Record) Has(key string) bool {
	_, ok := r.value(key)
	return ok
}

// Load decodes the value of the entry with e's key into e, which is a pointer to
// an entry type, such as *[TCP], or comes from [With] with a pointer.
//
// The error is an [*EntryError]. It wraps [ErrNotFound] if the record has no such
// entry, and otherwise says why the value does not fit e. The owner of a record
// may put anything under any key, so a value that does not fit makes neither the
// record invalid nor its other entries.
func (r *Record) Load(e Entry) error {
	key := e.ENRKey()
	value, ok := r.value(key)
	if !ok {
		return &EntryError{Key: key, Err: ErrNotFound}
	}
	// A copy, because what is decoded may keep referring to it.
	if err := decode(bytes.Clone(value), e); err != nil {
		return &EntryError{Key: key, Err: err}
	}
	return nil
}

// Entries yields each key and a copy of its encoded value, in the order of the
// record, which is that of the keys. "id" and "secp256k1" are among them.
func (r *Record) Entries() iter.Seq2[string, rlp.Raw] {
	return func(yield func(string, rlp.Raw) bool) {
		for key, value := range r.pairsOf() {
			if !yield(string(key), bytes.Clone(value)) {
				return
			}
		}
	}
}

// value returns the encoded value under key, a part of r.raw.
func (r *Record) value(key string) (rlp.Raw, bool) {
	for k, value := range r.pairsOf() {
		if string(k) == key {
			return value, true
		}
	}
	return nil, false
}

// pairsOf yields the entries as parts of r.raw. All were read once when r was
// made, so reading them again cannot fail.
func (r *Record) pairsOf() iter.Seq2[[]byte, rlp.Raw] {
	return func(yield func([]byte, rlp.Raw) bool) {
		for c := rlp.NewCursor(r.raw[r.pairs:]); c.More(); {
			key, _ := c.Bytes()
			value, err := c.Raw()
			if err != nil || !yield(key, value) {
				return
			}
		}
	}
}
