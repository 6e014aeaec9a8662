package dnsdisc

import (
	"errors"
	"fmt"
	"strings"

	"parley/enode"
)

// scheme begins the URL of a list, and a link entry, which is the same text.
const scheme = "enrtree://"

// domainLimit is the longest domain of a list. A name in DNS has at most 253
// characters, and the hash of an entry takes up to 53 of them with its dot.
const domainLimit = 200

// Reasons why a text is no URL of a list.
var (
	ErrScheme = errors.New("the URL does not begin with " + scheme)
	ErrKey    = errors.New("the URL has no valid public key before the @")
	ErrDomain = errors.New("the URL has no valid domain after the @")
)

// A Link says where a list is and who signs it. It is comparable; two Links are
// the same list if and only if they are equal.
// https://github.com/ethereum/devp2p/blob/master/dnsdisc.md#url-scheme
type Link struct {
	Key    enode.PublicKey
	Domain string // in lower case, without the dot of the root
}

// ParseLink reads a URL of the form
//
//	enrtree://<public key>@<domain>
//
// where the key is compressed and in base32 without padding. A dot at the end of the
// domain is dropped and its letters become lower case. The error wraps
// [ErrScheme], [ErrKey] or [ErrDomain].
func ParseLink(url string) (Link, error) {
	rest, ok := strings.CutPrefix(url, scheme)
	if !ok {
		return Link{}, fmt.Errorf("dnsdisc: parse link: %w", ErrScheme)
	}
	key, domain, ok := strings.Cut(rest, "@")
	if !ok || len(key) != b32.EncodedLen(33) {
		return Link{}, fmt.Errorf("dnsdisc: parse link: %w", ErrKey)
	}
	compressed, err := b32.DecodeString(key)
	if err != nil || b32.EncodeToString(compressed) != key {
		return Link{}, fmt.Errorf("dnsdisc: parse link: %w", ErrKey)
	}
	pub, err := enode.ParsePublicKey(compressed)
	if err != nil {
		return Link{}, fmt.Errorf("dnsdisc: parse link: %w", ErrKey)
	}
	name, err := parseDomain(domain)
	if err != nil {
		return Link{}, fmt.Errorf("dnsdisc: parse link: %w", err)
	}
	return Link{Key: pub, Domain: name}, nil
}

// parseDomain returns the one form under which a domain is known. Besides
// letters, digits and hyphens it allows the underscore, which is common in
// names that are no hosts.
func parseDomain(s string) (string, error) {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > domainLimit {
		return "", ErrDomain
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return "", ErrDomain
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return "", ErrDomain
			}
		}
	}
	return strings.ToLower(s), nil
}

// String returns the URL that [ParseLink] reads.
func (l Link) String() string {
	key := l.Key.Compress()
	return scheme + b32.EncodeToString(key[:]) + "@" + l.Domain
}

// MarshalText returns the URL.
func (l Link) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what [ParseLink] reads. On error l is left as it was.
func (l *Link) UnmarshalText(text []byte) error {
	link, err := ParseLink(string(text))
	if err != nil {
		return err
	}
	*l = link
	return nil
}
