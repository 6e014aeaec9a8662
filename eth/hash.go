package eth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A Hash is a 32-byte Keccak-256 hash of a block or a transaction. Its text and
// JSON form is 0x and 64 lower-case hex digits.
type Hash [32]byte

// ParseHash reads 64 hex digits, with or without 0x before them.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if err := parseHex(h[:], s); err != nil {
		return Hash{}, fmt.Errorf("eth: hash: %w", err)
	}
	return h, nil
}

// IsZero reports whether all bytes of h are zero. No block has that hash.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns 0x and 64 hex digits.
func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// short returns enough of the hash for a person to compare two of them.
func (h Hash) short() string { return "0x" + hex.EncodeToString(h[:4]) + "…" }

// MarshalText returns the form of String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what ParseHash does.
func (h *Hash) UnmarshalText(text []byte) error {
	v, err := ParseHash(string(text))
	if err != nil {
		return err
	}
	*h = v
	return nil
}

var errHexDigit = errors.New("not a hex digit")

// parseHex fills dst from exactly 2·len(dst) hex digits. The error does not
// repeat the input, which may be long and hostile.
func parseHex(dst []byte, s string) error {
	s = strings.TrimPrefix(s, "0x")
	if len(s) != 2*len(dst) {
		return fmt.Errorf("%d characters, want %d hex digits", len(s), 2*len(dst))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return errHexDigit
	}
	return nil
}
