package enr

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"parley/internal/secp"
	"parley/rlp"
)

// prefix starts the text form of a record.
const prefix = "enr:"

// Unpadded URL-safe base64; bits of the last character that hold no data must be
// zero, so that a record has one text.
var encoding = base64.RawURLEncoding.Strict()

// Parse reads the text form of a record: "enr:" and URL-safe base64 without
// padding. White space around it is ignored, inside it is an error. The record
// itself is held to the rules of [ParseBytes].
func Parse(text string) (*Record, error) {
	text = strings.TrimSpace(text)
	data, ok := strings.CutPrefix(text, prefix)
	switch {
	case !ok:
		return nil, errors.New(`enr: parse: text does not start with "enr:"`)
	case len(data) > encoding.EncodedLen(SizeLimit):
		return nil, parseError(ErrTooLarge)
	case strings.HasSuffix(data, "="):
		return nil, errors.New("enr: parse: base64 with padding")
	case strings.ContainsAny(data, "\r\n"): // the decoder would skip them
		return nil, errors.New("enr: parse: line break in base64")
	}
	b, err := encoding.DecodeString(data)
	if err != nil {
		return nil, errors.New("enr: parse: not URL-safe base64")
	}
	return ParseBytes(b)
}

// ParseBytes reads the RLP encoding of a record and verifies it: at most
// [SizeLimit] bytes and nothing after the list, canonical RLP, sorted keys each of
// which appears once, identity scheme "v4", a compressed public key on the curve,
// and its signature. The error wraps one of the sentinels of this package or of
// package rlp. The record shares no memory with b.
//
// Of values it checks only that each is one item. Nobody knows all keys, and
// refusing a record for the value of an unknown one would divide the network.
func ParseBytes(b []byte) (*Record, error) {
	if len(b) > SizeLimit {
		return nil, parseError(ErrTooLarge)
	}
	r := &Record{}
	sig, content, err := r.scan(b)
	if err != nil {
		return nil, parseError(err)
	}
	// Last, because it costs most by far.
	if len(sig) != 64 || !secp.Verify(r.key, digest(content), [64]byte(sig)) {
		return nil, parseError(ErrSignature)
	}
	r.raw = bytes.Clone(b)
	return r, nil
}

func parseError(err error) error { return fmt.Errorf("enr: parse: %w", err) }

// scan checks everything but the signature, sets the fields of r other than raw,
// and returns the signature and the items that it covers.
func (r *Record) scan(b []byte) (sig, content []byte, err error) {
	outer := rlp.NewCursor(b)
	list, err := outer.List()
	if err != nil {
		return nil, nil, err
	}
	if err := outer.End(); err != nil {
		return nil, nil, err
	}
	if sig, err = list.Bytes(); err != nil {
		return nil, nil, fmt.Errorf("signature: %w", err)
	}
	content = b[len(b)-list.Len():] // the list ends where b does
	if r.seq, err = list.Uint64(); err != nil {
		return nil, nil, fmt.Errorf("sequence number: %w", err)
	}
	r.pairs = len(b) - list.Len()
	id, key, err := scanPairs(list)
	if err != nil {
		return nil, nil, err
	}
	// The scheme comes first: it decides what key and signature look like.
	if !bytes.Equal(id, encodedV4) {
		return nil, nil, ErrScheme
	}
	if r.key, err = parseKey(key); err != nil {
		return nil, nil, err
	}
	return sig, content, nil
}

// encodedV4 is the value of "id" in every record of the v4 scheme.
var encodedV4 = rlp.AppendString(nil, schemeV4)

// scanPairs checks the keys and values that list holds and returns the values of
// "id" and "secp256k1", nil where missing.
func scanPairs(list rlp.Cursor) (id, key rlp.Raw, err error) {
	var last []byte
	for n := 1; list.More(); n++ {
		k, err := list.Bytes()
		if err != nil {
			return nil, nil, fmt.Errorf("key %d: %w", n, err)
		}
		if n > 1 {
			switch bytes.Compare(last, k) {
			case 0:
				return nil, nil, fmt.Errorf("key %d: %w", n, ErrDuplicateKey)
			case 1:
				return nil, nil, fmt.Errorf("key %d: %w", n, ErrKeyOrder)
			}
		}
		last = k
		value, err := list.Raw()
		if err != nil {
			return nil, nil, fmt.Errorf("value %d: %w", n, err)
		}
		switch string(k) {
		case keyID:
			id = value
		case keySecp256k1:
			key = value
		}
	}
	return id, key, nil
}

func parseKey(value rlp.Raw) (secp.PublicKey, error) {
	c := rlp.NewCursor(value)
	var compressed [33]byte
	if err := c.Fixed(compressed[:]); err != nil {
		return secp.PublicKey{}, ErrPublicKey
	}
	pub, err := secp.ParsePublicKey(compressed[:])
	if err != nil {
		return secp.PublicKey{}, fmt.Errorf("%w: %w", ErrPublicKey, err)
	}
	return pub, nil
}

// digest is the hash that the v4 scheme signs: of the items in content as a list.
func digest(content []byte) [32]byte {
	return secp.Keccak256(rlp.AppendList(nil, len(content)), content)
}

// String returns the text form that [Parse] reads, or "" for a zero Record.
func (r *Record) String() string {
	if len(r.raw) == 0 {
		return ""
	}
	return prefix + encoding.EncodeToString(r.raw)
}

// MarshalText returns the text form. A zero Record is an error.
func (r *Record) MarshalText() ([]byte, error) {
	if len(r.raw) == 0 {
		return nil, errEmpty
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads the text form under the rules of [Parse]. It fills only a
// zero Record, because any other is immutable.
func (r *Record) UnmarshalText(text []byte) error {
	if len(r.raw) != 0 {
		return errInUse
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*r = *parsed
	return nil
}
