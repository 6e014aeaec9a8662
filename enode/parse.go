package enode

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"parley/enr"
	"parley/internal/netaddr"
)

const (
	urlScheme = "enode://"

	// maxText is more than any valid text has: a record takes 404 characters, a
	// URL with the longest host name about as many.
	maxText = 512
)

// A ParseError says which part of a text keeps it from being a node.
type ParseError struct {
	Part string // "text", "record", "scheme", "public key", "host", "port", "query"
	Err  error
}

// Error names the part and the cause. It quotes no more than 64 characters of the
// text, all printable ASCII, and none of what should be a key.
func (e *ParseError) Error() string { return fmt.Sprintf("enode: parse: %s: %v", e.Part, e.Err) }

// Unwrap returns the cause.
func (e *ParseError) Unwrap() error { return e.Err }

func fault(part, format string, args ...any) error {
	return &ParseError{Part: part, Err: fmt.Errorf(format, args...)}
}

// Parse reads a node in any of the forms in which people write nodes down:
//
//	enr:<base64>                                             a signed record
//	enode://<key>@<host>:<tcp port>[?discport=<udp port>]    a URL
//	enode://<key>, <key>                                     a key alone
//
// The key is 128 hex digits, X‖Y, and must be on the curve. The host is an IPv4
// address, an IPv6 address in brackets without zone, or a host name, which is
// kept and not looked up. Ports are 0 to 65535, 0 meaning none, and the UDP port
// is that of TCP without discport. White space around the text is ignored; any
// other addition (path, user, fragment, further query) is refused, and so is an
// address at which no host can be.
//
// The error is a [*ParseError].
func Parse(s string) (*Node, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return nil, fault("text", "empty")
	case len(s) > maxText:
		return nil, fault("text", "longer than %d characters", maxText)
	case strings.HasPrefix(s, "enr:"):
		return parseRecord(s)
	case len(s) >= len(urlScheme) && strings.EqualFold(s[:len(urlScheme)], urlScheme):
		return parseURL(s[len(urlScheme):])
	case strings.HasPrefix(s, "enrtree://"):
		return nil, fault("scheme", "an enrtree URL names a list of nodes, not a node")
	case strings.Contains(s, ":"):
		return nil, fault("scheme", "neither enode:// nor enr: at the start")
	}
	return parseURL(s)
}

func parseRecord(s string) (*Node, error) {
	r, err := enr.Parse(s)
	if err != nil {
		return nil, &ParseError{"record", err}
	}
	n, err := New(r)
	if err != nil {
		return nil, &ParseError{"record", err}
	}
	return n, nil
}

// parseURL reads what follows the scheme.
func parseURL(s string) (*Node, error) {
	digits, rest, located := strings.Cut(s, "@")
	pub, err := parseKeyDigits(digits)
	if err != nil {
		return nil, err
	}
	if !located {
		return NewV4(pub, netip.Addr{}, 0, 0), nil
	}
	hostPort, query, queried := strings.Cut(rest, "?")
	host, port, err := splitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	addr, name, err := parseHost(host)
	if err != nil {
		return nil, err
	}
	tcp, err := parsePort("port", port)
	if err != nil {
		return nil, err
	}
	udp := tcp
	if queried {
		if udp, err = parseQuery(query); err != nil {
			return nil, err
		}
	}
	n := NewV4(pub, addr, tcp, udp)
	n.host = name
	return n, nil
}

// parseKeyDigits reads a public key. Its errors quote nothing, because a text of
// the wrong length may be a private key pasted by mistake.
func parseKeyDigits(digits string) (PublicKey, error) {
	var b [64]byte
	if len(digits) != 2*len(b) {
		return PublicKey{}, fault("public key", "%d characters instead of %d hex digits", len(digits), 2*len(b))
	}
	if n, err := hex.Decode(b[:], []byte(digits)); err != nil {
		return PublicKey{}, fault("public key", "not a hex digit in characters %d and %d", 2*n+1, 2*n+2)
	}
	pub, err := ParsePublicKey(b[:])
	if err != nil {
		return PublicKey{}, &ParseError{"public key", err}
	}
	return pub, nil
}

// splitHostPort cuts at the last colon. Brackets stay on the host.
func splitHostPort(s string) (host, port string, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return "", "", fault("port", "missing after %s", clip(s))
	}
	host, port = s[:i], s[i+1:]
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "", "", fault("host", "%s: an IPv6 address must be in brackets", clip(host))
	}
	return host, port, nil
}

// parsePort reads a decimal port. Unlike strconv, it allows no sign.
func parsePort(part, s string) (uint16, error) {
	v, err := strconv.ParseUint(s, 10, 16)
	if err != nil || len(s) > len("65535") {
		return 0, fault(part, "%s is not a number from 0 to 65535", clip(s))
	}
	return uint16(v), nil
}

// parseQuery reads the UDP port from the query, which has nothing else in it.
func parseQuery(query string) (uint16, error) {
	key, value, ok := strings.Cut(query, "=")
	switch {
	case key != "discport":
		return 0, fault("query", "%s is unknown, only discport is", clip(key))
	case !ok:
		return 0, fault("query", "discport without value")
	case strings.Contains(value, "&"):
		return 0, fault("query", "more than discport: %s", clip(value))
	}
	return parsePort("query", value)
}

// parseHost returns an address or a name.
func parseHost(s string) (addr netip.Addr, name string, err error) {
	inner, bracketed := strings.CutPrefix(s, "[")
	if bracketed {
		if inner, bracketed = strings.CutSuffix(inner, "]"); !bracketed {
			return addr, "", fault("host", "%s: no closing bracket", clip(s))
		}
	}
	addr, err = netip.ParseAddr(inner)
	switch {
	case err != nil && bracketed:
		return addr, "", fault("host", "%s is not an IPv6 address", clip(s))
	case err != nil:
		return netip.Addr{}, s, checkName(s)
	case addr.Zone() != "":
		return addr, "", fault("host", "%s: a zone means something on one machine only", clip(s))
	case bracketed && addr.Is4():
		return addr, "", fault("host", "%s: brackets are for IPv6", clip(s))
	case !netaddr.Contactable(addr):
		return addr, "", fault("host", "no node can be at %v", addr)
	}
	return addr, "", nil
}

// checkName returns an error unless s can be a host name: labels of letters,
// digits, hyphens (inside) and underscores (which some container networks use),
// RFC 1123 section 2.1.
func checkName(s string) error {
	const maxName, maxLabel = 253, 63
	name := strings.TrimSuffix(s, ".")
	if name == "" {
		return fault("host", "missing")
	}
	if len(name) > maxName {
		return fault("host", "name longer than %d characters", maxName)
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label, maxLabel); err != nil {
			return fault("host", "%s: %w", clip(s), err)
		}
		last = label
	}
	// Some resolvers take 127.1 or 0x7f.1 for addresses. No top-level domain is
	// a number.
	if numeric(last) {
		return fault("host", "%s is not an IPv4 address", clip(s))
	}
	return nil
}

// numeric reports whether label is a decimal or hexadecimal number.
func numeric(label string) bool {
	if len(label) > 2 && (label[:2] == "0x" || label[:2] == "0X") {
		return strings.Trim(label[2:], "0123456789abcdefABCDEF") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func checkLabel(label string, limit int) error {
	switch {
	case label == "":
		return errors.New("empty label in the name")
	case len(label) > limit:
		return fmt.Errorf("label longer than %d characters", limit)
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("hyphen at an end of a label")
	}
	for _, c := range []byte(label) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c >= 0x80:
			return errors.New("only ASCII; write the name in its xn-- form")
		default:
			return fmt.Errorf("character %s in the name", strconv.QuoteToASCII(string(rune(c))))
		}
	}
	return nil
}

// clip quotes a piece of hostile text for an error message, in at most 64
// characters of printable ASCII.
func clip(s string) string {
	const limit, mark = 64, "..."
	q := strconv.QuoteToASCII(s[:min(len(s), limit)])
	if len(s) <= limit && len(q) <= limit {
		return q
	}
	return q[:min(len(q)-1, limit-len(mark)-1)] + `"` + mark
}
