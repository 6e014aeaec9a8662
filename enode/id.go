// Package enode knows who nodes are and where: IDs and the distance between
// them, keys, nodes with their endpoints, and the texts in which people write
// nodes down.
//
// A [Node] comes from a signed record (package enr), from an enode URL or from a
// key and an address. Nothing here looks anything up: a host name in a URL is
// kept as text for whoever dials.
package enode

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"parley/internal/secp"
)

// An ID names a node: the Keccak-256 hash of its public key, X‖Y.
// https://github.com/ethereum/devp2p/blob/master/enr.md#v4-identity-scheme
type ID [32]byte

// PubkeyID returns the ID of the node with the given key.
func PubkeyID(pub PublicKey) ID { return secp.Keccak256(pub[:]) }

// ParseID reads an ID of 64 hex digits in either case, with or without 0x before
// them.
func ParseID(s string) (ID, error) {
	digits := s
	if strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X") {
		digits = s[2:]
	}
	var id ID
	if len(digits) != 2*len(id) {
		return ID{}, fmt.Errorf("enode: parse ID: %d characters instead of %d hex digits", len(digits), 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return ID{}, errors.New("enode: parse ID: not hexadecimal")
	}
	return id, nil
}

// String returns the 64 hex digits of the ID in lower case, without 0x.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// TerminalString returns the first 16 hex digits, which is enough for a person to
// tell nodes apart. Anybody can make a node whose ID starts like another's, so it
// decides nothing.
func (id ID) TerminalString() string { return hex.EncodeToString(id[:8]) }

// MarshalText returns the text of [ID.String]. It makes IDs readable in JSON, as
// keys of maps too, and in log records.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what [ParseID] reads. On error the ID is left as it was.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}
