package p2p

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/enode"
	"parley/rlp"
)

const (
	// baseVersion is the p2p version we announce. From 5 on, everything after
	// Hello is compressed with Snappy if both sides have it (EIP-706).
	baseVersion   = 5
	snappyVersion = 5

	// maxHello bounds the payload of Hello and of every other message of the
	// base protocol.
	// https://github.com/ethereum/devp2p/blob/master/rlpx.md#hello-0x00
	maxHello = 2048

	maxCaps    = 64  // capabilities looked at in a Hello
	maxCapName = 8   // bytes
	maxName    = 128 // bytes of a client name that are kept
)

// Hello is the first message on a connection: it says who the other side is and
// what it speaks.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#hello-0x00
type Hello struct {
	Version    uint64          // of the base protocol
	Name       string          // client name, made printable and at most 128 bytes long
	Caps       []Cap           // capabilities, at most 64; unreadable ones are left out
	ListenPort uint64          // legacy: not used
	PublicKey  enode.PublicKey // whose holder proved itself by the connection
}

// ID returns the node ID of the other side.
func (h *Hello) ID() enode.ID { return enode.PubkeyID(h.PublicKey) }

// Why a Hello is not acceptable.
var (
	errIdentitySize  = errors.New("the node key is not 64 bytes long")
	errIdentityZero  = errors.New("the node key is zero")
	errIdentityOther = errors.New("the node key is not that of the encryption handshake")
)

// append appends the payload of h to b.
func (h *Hello) append(b []byte) ([]byte, error) {
	return rlp.Append(b, &helloItems{
		Version: h.Version, Name: h.Name, Caps: capItems(h.Caps), ListenPort: rlp.AppendUint(nil, h.ListenPort), Key: h.PublicKey[:],
	})
}

type helloItems struct {
	Version    uint64
	Name       string
	Caps       []capItem
	ListenPort rlp.Raw
	Key        []byte
	Rest       []rlp.Raw `rlp:"tail"` // fields of later versions
}

type capItem struct {
	Name    string
	Version uint64
	Rest    []rlp.Raw `rlp:"tail"`
}

func capItems(caps []Cap) []capItem {
	items := make([]capItem, len(caps))
	for i, c := range caps {
		items[i] = capItem{Name: c.Name, Version: uint64(c.Version)}
	}
	return items
}

// parseHello reads the payload of a Hello. The key in it must be the one that
// the connection was made with. An error wraps the DiscReason to answer; the
// Hello that comes with it, if any, has the version, which says how.
func parseHello(payload []byte, key enode.PublicKey) (*Hello, error) {
	var items helloItems
	if err := rlp.Decode(payload, &items); err != nil {
		return nil, &replyError{DiscProtocolError, err}
	}
	h := &Hello{Version: items.Version, Name: cleanName(items.Name), PublicKey: key}
	switch {
	case len(items.Key) != len(key):
		return h, &replyError{DiscInvalidIdentity, fmt.Errorf("%w (%d)", errIdentitySize, len(items.Key))}
	case bytes.Count(items.Key, []byte{0}) == len(items.Key):
		return h, &replyError{DiscInvalidIdentity, errIdentityZero}
	case !bytes.Equal(items.Key, key[:]):
		return h, &replyError{DiscUnexpectedIdentity, errIdentityOther}
	}
	// The port is a relic that nobody reads; whatever it holds is let pass.
	if c := rlp.NewCursor(items.ListenPort); true {
		h.ListenPort, _ = c.Uint64()
	}
	for _, c := range items.Caps {
		if len(h.Caps) == maxCaps {
			break
		}
		capability := Cap{Name: c.Name, Version: uint(c.Version)}
		if validCapName(c.Name) && uint64(capability.Version) == c.Version && !slices.Contains(h.Caps, capability) {
			h.Caps = append(h.Caps, capability)
		}
	}
	return h, nil
}

// A replyError is an error of the other side that is answered with a Disconnect.
type replyError struct {
	reason DiscReason
	err    error
}

func (e *replyError) Error() string   { return e.reason.String() + ": " + e.err.Error() }
func (e *replyError) Unwrap() []error { return []error{e.reason, e.err} }

// validCapName reports whether s may name a capability: 1 to 8 printable ASCII
// characters.
func validCapName(s string) bool {
	return s != "" && len(s) <= maxCapName && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// checkName reports why s cannot be our own client name.
func checkName(s string) error {
	if len(s) > maxName {
		return fmt.Errorf("%d bytes, at most %d", len(s), maxName)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("%q is not printable ASCII", s)
	}
	return nil
}

// cleanName returns a client name that can be shown anywhere: valid UTF-8 of
// printable characters, none of which moves the cursor or changes direction, and
// at most 128 bytes.
func cleanName(s string) string {
	if len(s) > 4*maxName {
		s = s[:4*maxName]
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) > maxName {
		s = s[:maxName]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return s
}
