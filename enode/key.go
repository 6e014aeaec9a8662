package enode

import (
	"encoding/hex"
	"errors"
	"fmt"

	"parley/internal/secp"
)

// A PrivateKey is the secret that makes a node who it is. It is immutable and
// safe for concurrent use, and nothing in package fmt or log/slog prints it. Its
// methods are
//
//	Bytes() []byte                                    // a copy of the secret, 32 bytes, big endian
//	Public() PublicKey                                // computed once
//	Sign(digest [32]byte) (Signature, error)          // r‖s‖v, 65 bytes, RFC 6979, low s
//	ECDH(pub PublicKey) ([32]byte, error)             // X coordinate of the shared point
//	SharedPoint(pub PublicKey) ([33]byte, error)      // the shared point, compressed
//
// Get one from [GenerateKey], [ParsePrivateKey] or [ParseKeyText].
type PrivateKey = secp.PrivateKey

// A PublicKey is a point of secp256k1 as X‖Y, 64 bytes, big endian. It can be
// compared with == and be a map key; the zero value is no key. Its methods are
//
//	Compress() [33]byte                               // 02 or 03, then X
//	IsZero() bool
//
// Get one from [PrivateKey.Public], [ParsePublicKey] or a [Node].
type PublicKey = secp.PublicKey

// GenerateKey returns a new random key.
func GenerateKey() (*PrivateKey, error) { return secp.GenerateKey() }

// ParsePrivateKey reads a key of 32 bytes, big endian, in 1..N-1, N being the
// order of the curve. The error never contains any of b.
func ParsePrivateKey(b []byte) (*PrivateKey, error) { return secp.ParsePrivateKey(b) }

// ParsePublicKey reads a key of 33 bytes (02 or 03 and X), 64 bytes (X‖Y) or 65
// bytes (04 and X‖Y), and checks that it is a point of the curve.
func ParsePublicKey(b []byte) (PublicKey, error) { return secp.ParsePublicKey(b) }

// ErrKeyText is wrapped by every error of [ParseKeyText].
var ErrKeyText = errors.New("enode: parse key text")

const keyTextLen = 64 // hex digits

// ParseKeyText reads the content of a node key file: 64 hex digits in either case,
// then at most two newline characters (\n or \r), and nothing else.
//
// The error says what is wrong, each mistake in its own words, and wraps
// [ErrKeyText]. It never contains any of b, because whatever is in the file may
// be most of a key.
func ParseKeyText(b []byte) (*PrivateKey, error) {
	secret, err := keyDigits(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyText, err)
	}
	if secret == ([32]byte{}) {
		return nil, fmt.Errorf("%w: the key is zero", ErrKeyText)
	}
	key, err := ParsePrivateKey(secret[:])
	if err != nil {
		return nil, fmt.Errorf("%w: the key is not below the order of the curve", ErrKeyText)
	}
	return key, nil
}

func keyDigits(b []byte) (secret [32]byte, err error) {
	digits, newlines := b, 0
	for len(digits) > 0 && (digits[len(digits)-1] == '\n' || digits[len(digits)-1] == '\r') {
		digits = digits[:len(digits)-1]
		newlines++
	}
	switch {
	case len(digits) == 0:
		return secret, errors.New("empty")
	case digits[0] == '0' && len(digits) > 1 && (digits[1] == 'x' || digits[1] == 'X'):
		return secret, errors.New("starts with 0x, which a key file does not have")
	case len(digits) < keyTextLen:
		return secret, fmt.Errorf("%d characters instead of %d hex digits", len(digits), keyTextLen)
	case len(digits) > keyTextLen:
		return secret, fmt.Errorf("more than %d hex digits, or something after them", keyTextLen)
	case newlines > 2:
		return secret, errors.New("more than two newline characters at the end")
	}
	if _, err := hex.Decode(secret[:], digits); err != nil {
		return secret, errors.New("a character that is not a hex digit") // err has the character
	}
	return secret, nil
}

// AppendKeyText appends the 64 hex digits of key to b, in lower case and without
// a newline: the content of a node key file.
func AppendKeyText(b []byte, key *PrivateKey) []byte { return hex.AppendEncode(b, key.Bytes()) }
