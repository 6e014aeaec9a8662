// Package reach judges from evidence whether strangers get through to this node,
// for each family of addresses and each transport.
//
// It is told of what came in unasked from public addresses, and of what was
// answered when this node asked. The first shows that it is reachable. The second
// shows that it is connected, so that where nobody comes for long enough, it is not
// reachable.
package reach

import (
	"net/netip"
	"time"

	"parley/internal/netaddr"
)

const (
	// evidenceLife is how long somebody who came in counts. It is longer than
	// the life of an address at most providers, and of a lease of a mapping.
	evidenceLife = 6 * time.Hour

	// silence is how long nobody must have come before that says something. A
	// node whose record is known gets packets from strangers each minute, and
	// connections each few minutes.
	silence = time.Hour

	// company is how many hosts, in networks of their own, must have answered
	// during the silence: with fewer, hardly anybody knows of this node.
	company = 16
)

// A Transport is TCP or UDP.
type Transport uint8

// The transports.
const (
	TCP Transport = iota
	UDP
)

// A State says whether strangers get through.
type State uint8

// The states.
const (
	Unknown State = iota // too little is known
	Yes                  // somebody did, not long ago
	No                   // many answer when asked, and nobody came for long
)

// String returns unknown, yes or no.
func (s State) String() string {
	switch s {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "unknown"
}

// A Book holds the evidence. The zero value has none.
type Book struct {
	paths [4]path
}

// A path is one family and transport.
type path struct {
	came  time.Time                  // when a stranger last came in; zero if never
	asked map[netip.Prefix]time.Time // networks that answered, and when last
	since time.Time                  // when the first of asked answered with nobody having come since
}

// pathOf returns what addr belongs to, nil if it says nothing because it is not
// public.
func (b *Book) pathOf(t Transport, addr netip.Addr) *path {
	addr = netaddr.Normalize(addr)
	if netaddr.ClassOf(addr) != netaddr.Public {
		return nil
	}
	return b.path(t, addr.Is6())
}

func (b *Book) path(t Transport, ipv6 bool) *path {
	i := 2 * int(t)
	if ipv6 {
		i++
	}
	return &b.paths[i]
}

// Came tells that somebody came in whom this node had not asked: a TCP connection,
// or a datagram that came through no hole, see Holes. It reports whether that
// counts.
func (b *Book) Came(now time.Time, t Transport, from netip.Addr) bool {
	p := b.pathOf(t, from)
	if p == nil {
		return false
	}
	p.came, p.asked, p.since = now, nil, time.Time{}
	return true
}

// Answered tells that a host answered this node: it accepted a connection, or
// replied to a datagram.
func (b *Book) Answered(now time.Time, t Transport, from netip.Addr) {
	p := b.pathOf(t, from)
	if p == nil {
		return
	}
	if p.asked == nil {
		p.asked, p.since = make(map[netip.Prefix]time.Time), now
	}
	network := netaddr.NetKey(netaddr.Normalize(from))
	for n, at := range p.asked {
		if now.Sub(at) > evidenceLife {
			delete(p.asked, n)
		}
	}
	if _, known := p.asked[network]; known || len(p.asked) < company {
		p.asked[network] = now
	}
}

// State returns what the evidence says of a family and a transport.
func (b *Book) State(now time.Time, t Transport, ipv6 bool) State {
	p := b.path(t, ipv6)
	if !p.came.IsZero() && now.Sub(p.came) <= evidenceLife {
		return Yes
	}
	recent := 0
	for _, at := range p.asked {
		if now.Sub(at) <= evidenceLife {
			recent++
		}
	}
	if recent >= company && now.Sub(p.since) >= silence {
		return No
	}
	return Unknown
}
