package p2p

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// asideAfter is how many dials in a row a family of addresses must lose to the
	// other before it is set aside: some nodes tell of an address that does not work,
	// but not many of them one after the other.
	asideAfter = 4

	// asideFor is how long it is tried last then. The first dial after that gives it
	// its turn again, which shows whether it works by now.
	asideFor = 10 * time.Minute
)

// families knows whether one of the two families of addresses, IPv6 or IPv4, does
// not work from here: a host may have an IPv6 address and no way out with it. The
// zero value knows nothing.
type families struct {
	mu    sync.Mutex // guards the fields below
	lost  [2]int     // dials in a row that the other family won, by familyOf
	until [2]time.Time
}

const (
	ipv6 = iota
	ipv4
)

func familyOf(ep netip.AddrPort) int {
	if ep.Addr().Is4() {
		return ipv4
	}
	return ipv6
}

// order returns the endpoints of one node in the order in which to try them: IPv6
// and IPv4 by turns, IPv6 first, and within a family as they come. A family that is
// set aside comes last.
// https://www.rfc-editor.org/rfc/rfc8305#section-4
func (f *families) order(now time.Time, eps []netip.AddrPort) []netip.AddrPort {
	var by [2][]netip.AddrPort
	for _, ep := range eps {
		by[familyOf(ep)] = append(by[familyOf(ep)], ep)
	}
	if len(by[ipv6]) == 0 || len(by[ipv4]) == 0 {
		return eps
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.aside(now, ipv6):
		return append(by[ipv4], by[ipv6]...)
	case f.aside(now, ipv4):
		return append(by[ipv6], by[ipv4]...)
	}
	ordered := make([]netip.AddrPort, 0, len(eps))
	for i := range max(len(by[ipv6]), len(by[ipv4])) {
		for _, of := range by {
			if i < len(of) {
				ordered = append(ordered, of[i])
			}
		}
	}
	return ordered
}

// aside reports whether a family is to be tried last. Caller holds mu.
func (f *families) aside(now time.Time, family int) bool {
	switch {
	case f.lost[family] < asideAfter:
		return false
	case now.Before(f.until[family]):
		return true
	}
	f.until[family] = now.Add(asideFor) // this dial is the probe
	return false
}

// works notes that there was an answer from a family.
func (f *families) works(family int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost[family] = 0
}

// loses notes that a family got no answer where the other one did.
func (f *families) loses(now time.Time, family int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost[family] < asideAfter {
		if f.lost[family]++; f.lost[family] == asideAfter {
			f.until[family] = now.Add(asideFor)
		}
	}
}
