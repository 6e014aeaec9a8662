package localnode

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"parley/enr"
	"parley/internal/netaddr"
)

const (
	// minVoters is how many networks must have voted lately before a vote counts,
	// and a winner needs two thirds of them: who holds a few networks cannot move
	// us, nor keep us from moving.
	minVoters = 10

	// maxVotes bounds the networks whose votes are kept, for each family.
	maxVotes = 500

	// voteLife is how long a vote counts.
	voteLife = 30 * time.Minute

	// changeAfter is the time between two changes of an endpoint: each change is
	// a new record that the network has to learn.
	changeAfter = 5 * time.Minute
)

// An election learns the endpoint of one address family from what other nodes
// say it is. Each network (an IPv4 /24 or IPv6 /48) has one vote, its latest.
type election struct {
	votes   map[netip.Prefix]vote
	order   []netip.Prefix // of votes, oldest first
	counts  map[netip.AddrPort]int
	elected netip.AddrPort
	changed time.Time // when elected last changed; zero if never
}

type vote struct {
	endpoint netip.AddrPort
	at       time.Time
}

func newElection() *election {
	return &election{votes: make(map[netip.Prefix]vote), counts: make(map[netip.AddrPort]int)}
}

// cast takes a vote and reports whether the elected endpoint is another one now.
func (e *election) cast(now time.Time, from netip.Addr, endpoint netip.AddrPort) bool {
	key := netaddr.NetKey(from)
	if _, ok := e.votes[key]; ok {
		e.drop(key)
	}
	e.votes[key] = vote{endpoint, now}
	e.order = append(e.order, key)
	e.counts[endpoint]++
	for len(e.order) > maxVotes || now.Sub(e.votes[e.order[0]].at) > voteLife {
		e.drop(e.order[0])
	}
	won := len(e.order) >= minVoters && 3*e.counts[endpoint] >= 2*len(e.order)
	if !won || endpoint == e.elected || !e.changed.IsZero() && now.Sub(e.changed) < changeAfter {
		return false
	}
	e.elected, e.changed = endpoint, now
	return true
}

// drop forgets the vote of a network.
func (e *election) drop(key netip.Prefix) {
	endpoint := e.votes[key].endpoint
	if e.counts[endpoint]--; e.counts[endpoint] == 0 {
		delete(e.counts, endpoint)
	}
	delete(e.votes, key)
	i := slices.Index(e.order, key)
	e.order = slices.Delete(e.order, i, i+1)
}

// Vote takes what the node at from says our UDP endpoint is. Only answers that
// were asked for may be passed in. It reports whether the record changed: then it
// has the elected address and UDP port.
//
// Votes of nodes that are not on the public network do not count, nor do votes
// for an address that is not public, nor any about a family that FixEndpoint or
// FixAddr fixed.
func (l *Local) Vote(now time.Time, from netip.Addr, endpoint netip.AddrPort) (changed bool, err error) {
	from = netaddr.Normalize(from)
	addr := netaddr.Normalize(endpoint.Addr())
	family := addr.Is6()
	switch {
	case netaddr.ClassOf(from) != netaddr.Public || netaddr.ClassOf(addr) != netaddr.Public:
		return false, nil
	case from.Is6() != family || endpoint.Port() == 0 || l.fixed[family]:
		return false, nil
	}
	e := l.elections[family]
	if e == nil {
		e = newElection()
		l.elections[family] = e
	}
	if !e.cast(now, from, netip.AddrPortFrom(addr, endpoint.Port())) {
		return false, nil
	}
	before := l.node
	err = l.Set(UDPEndpoint(e.elected)...)
	return l.node != before, err
}

// FixAddr sets the address of one family, and votes no longer change it. The ports
// stay.
func (l *Local) FixAddr(addr netip.Addr) error { return l.FixEndpoint(addr, 0, 0) }

// FixEndpoint is FixAddr for an address and the ports at which this node is seen
// there. A port of 0 stays as it is.
func (l *Local) FixEndpoint(addr netip.Addr, tcp, udp uint16) error {
	addr = netaddr.Normalize(addr)
	if !netaddr.Contactable(addr) {
		return fmt.Errorf("localnode: nobody can be contacted at the address %v", addr)
	}
	entries := []enr.Entry{enr.IP(addr)}
	if tcp != 0 {
		entries = append(entries, Endpoint(netip.AddrPortFrom(addr, tcp))...)
	}
	if udp != 0 {
		entries = append(entries, UDPEndpoint(netip.AddrPortFrom(addr, udp))...)
	}
	if err := l.Set(entries...); err != nil {
		return err
	}
	l.fixed[addr.Is6()] = true
	return nil
}

// Hold keeps votes from changing the endpoint of a family, that of IPv6 or IPv4, as
// FixEndpoint does, whatever it is now.
func (l *Local) Hold(ipv6 bool) { l.fixed[ipv6] = true }

// Free ends that: votes count again. The endpoint stays until they change it.
func (l *Local) Free(ipv6 bool) { delete(l.fixed, ipv6) }

// UDPEndpoint returns the entries for a UDP endpoint.
func UDPEndpoint(ap netip.AddrPort) []enr.Entry {
	if ap.Addr().Is4() {
		return []enr.Entry{enr.IP4(ap.Addr()), enr.UDP(ap.Port())}
	}
	return []enr.Entry{enr.IP6(ap.Addr()), enr.UDP6(ap.Port())}
}
