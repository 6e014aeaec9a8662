package netaddr

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// A List is an immutable list of networks, written as prefixes with commas
// between them: "10.0.0.0/8,::1/128". The zero List is empty. It is safe for
// concurrent use.
type List struct {
	prefixes []netip.Prefix // masked; IPv4 never mapped into IPv6
}

// ParseList reads a list of prefixes separated by commas, with spaces around
// them ignored. Bits behind the prefix length are cleared, and a prefix of
// IPv4-mapped addresses becomes the IPv4 prefix it stands for. Text that is empty
// or only space is the empty list; an empty element is an error, and so is an
// address without a length, because a network may have been meant.
func ParseList(text string) (List, error) {
	if strings.TrimSpace(text) == "" {
		return List{}, nil
	}
	var l List
	for s := range strings.SplitSeq(text, ",") {
		p, err := parsePrefix(strings.TrimSpace(s))
		if err != nil {
			return List{}, fmt.Errorf("netaddr: parse list: element %d: %w", len(l.prefixes)+1, err)
		}
		l.prefixes = append(l.prefixes, p)
	}
	return l, nil
}

// ListOf makes a list of prefixes, under the rules of [ParseList].
func ListOf(prefixes ...netip.Prefix) (List, error) {
	var l List
	for i, p := range prefixes {
		p, err := canonical(p)
		if err != nil {
			return List{}, fmt.Errorf("netaddr: list: element %d: %w", i+1, err)
		}
		l.prefixes = append(l.prefixes, p)
	}
	return l, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, errors.New("empty")
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return netip.Prefix{}, fmt.Errorf("%s has no prefix length; a single address is %s/%d", s, s, addr.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a network like 10.0.0.0/8", s)
	}
	return canonical(p)
}

// canonical returns p in the form that [List.Contains] compares with.
func canonical(p netip.Prefix) (netip.Prefix, error) {
	const mapped = 96 // bits before the IPv4 address in ::ffff:0:0/96
	switch {
	case !p.IsValid():
		return netip.Prefix{}, errors.New("invalid prefix")
	case !p.Addr().Is4In6():
		return p.Masked(), nil
	case p.Bits() < mapped:
		// No normalised address is in it, so as a rule it would do nothing.
		return netip.Prefix{}, fmt.Errorf("%v is wider than the IPv4-mapped addresses", p)
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped).Masked(), nil
}

// Contains reports whether addr is in one of the networks of l. The empty list
// contains nothing.
func (l List) Contains(addr netip.Addr) bool {
	addr = Normalize(addr)
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Allows reports whether addr may be used where l restricts what may: the empty
// list restricts nothing, any other allows what it contains.
func (l List) Allows(addr netip.Addr) bool { return l.Empty() || l.Contains(addr) }

// Empty reports whether l has no networks.
func (l List) Empty() bool { return len(l.prefixes) == 0 }

// Prefixes yields the networks of l in the order given.
func (l List) Prefixes() iter.Seq[netip.Prefix] { return slices.Values(l.prefixes) }

// String returns the text that [ParseList] reads.
func (l List) String() string {
	var b strings.Builder
	for i, p := range l.prefixes {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// MarshalText returns the text of [List.String].
func (l List) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText sets l to the list that text holds, under the rules of
// [ParseList]. On error l is left as it was.
func (l *List) UnmarshalText(text []byte) error {
	parsed, err := ParseList(string(text))
	if err == nil {
		*l = parsed
	}
	return err
}
