// Package simnet is a network in memory for tests: hosts with addresses, links
// with delay, jitter, bandwidth and loss, partitions, black holes, NATs, stream
// connections that fail in the ways TCP fails, and datagrams that get lost,
// doubled and out of order.
//
// It starts no goroutine. What is under way is kept with the time at which it
// arrives, and whoever waits for it arms a timer; so thousands of connections
// cost only their buffers, and inside a testing/synctest bubble the virtual
// clock gives exact times: a Read over a link of 40 ms returns 40 ms after the
// Write. Outside a bubble the same code runs in real time.
//
// Chance comes from the seed given to [New]. Each direction of each connection
// has a source of its own, made from the seed and the two endpoints, so what
// befalls one connection does not depend on what others do.
package simnet

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A Network connects hosts. Its methods are safe for concurrent use.
type Network struct {
	seed  uint64
	epoch time.Time
	done  chan struct{}  // closed by Close
	busy  sync.WaitGroup // dials under way and calls blocked in a connection or listener

	mu      sync.Mutex // guards the fields below; taken before a stream's or listener's
	closed  bool
	hosts   map[netip.Addr]*Host
	link    Link
	links   map[pair]Link
	cuts    map[pair]bool
	streams map[*stream]struct{}
	opened  uint64                   // streams ever opened: the sequence number of the newest
	lucks   map[direction]*rand.Rand // of datagrams
}

// pair names the two hosts of a link in either order.
type pair struct{ a, b *Host }

func between(a, b *Host) pair {
	if a.seq > b.seq {
		a, b = b, a
	}
	return pair{a, b}
}

// New returns an empty network whose links carry everything at once and whole,
// until [Network.SetDefaultLink] or [Network.SetLink] say otherwise.
func New(seed uint64) *Network {
	return &Network{
		seed:    seed,
		epoch:   time.Now(),
		done:    make(chan struct{}),
		hosts:   make(map[netip.Addr]*Host),
		links:   make(map[pair]Link),
		cuts:    make(map[pair]bool),
		streams: make(map[*stream]struct{}),
		lucks:   make(map[direction]*rand.Rand),
	}
}

// Host adds a machine that has the given addresses. It panics if there is none
// or if one is invalid or taken, for that is a mistake in the test. Addresses
// are kept without zone, and an IPv4-mapped one as IPv4.
func (n *Network) Host(addrs ...netip.Addr) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(addrs) == 0 {
		panic("simnet: a host needs an address")
	}
	h := &Host{
		net:       n,
		seq:       len(n.hosts),
		listeners: make(map[netip.AddrPort]*Listener),
		ports:     newPorts(),
		packets:   make(map[uint16]*PacketConn),
		udp:       newPorts(),
	}
	for _, a := range addrs {
		a = plain(a)
		if !a.IsValid() || n.hosts[a] != nil {
			panic(fmt.Sprintf("simnet: address %v is invalid or taken", a))
		}
		h.addrs = append(h.addrs, a)
		n.hosts[a] = h
	}
	return h
}

// SetDefaultLink sets the link of all pairs of hosts that have none of their
// own. A host's connections with itself are not affected.
func (n *Network) SetDefaultLink(l Link) {
	l.check()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link = l
	n.reroute()
}

// SetLink sets the link between a and b, both ways. Open connections take it on
// for what is sent from now on; what is under way arrives as it would have.
// The two hosts may be one: that is its loopback.
func (n *Network) SetLink(a, b *Host, l Link) {
	l.check()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[between(a, b)] = l
	n.reroute()
}

// Partition cuts the link between a and b. Nothing is reported to either side:
// dials go unanswered, and what is under way or sent on open connections is
// held until [Network.Heal], as by a sender that retransmits for ever.
func (n *Network) Partition(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts[between(a, b)] = true
	n.reroute()
}

// Heal ends a partition. What was held sets out again now; a dial that is
// waiting succeeds with its next attempt.
func (n *Network) Heal(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cuts, between(a, b))
	n.reroute()
}

// BlackHole partitions h from every host, itself included.
func (n *Network) BlackHole(h *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h.hole = true
	n.reroute()
}

// Restore ends [Network.BlackHole]. Partitions stay as they are.
func (n *Network) Restore(h *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h.hole = false
	n.reroute()
}

// Close ends every listener and connection and all dials, whose calls return
// an error that is [net.ErrClosed], and returns when none of them is blocked
// in the network any more. Closing again does nothing.
func (n *Network) Close() {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.closed = true
	close(n.done)
	var listeners []*Listener
	for _, h := range n.hosts { // a host comes once for each address; Close can be called again
		listeners = slices.AppendSeq(listeners, maps.Values(h.listeners))
	}
	for _, h := range n.hosts {
		for _, c := range h.packets {
			_ = c.close() // it is open
		}
	}
	for s := range n.streams {
		s.kill()
	}
	clear(n.streams)
	n.mu.Unlock()

	for _, l := range listeners {
		l.Close()
	}
	n.busy.Wait()
}

// Conns returns the ends of all open connections, in the order in which they
// were opened, the dialing end of each first.
func (n *Network) Conns() []*Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	streams := make([]*stream, 0, len(n.streams))
	for s := range n.streams {
		streams = append(streams, s)
	}
	slices.SortFunc(streams, func(a, b *stream) int { return cmp.Compare(a.seq, b.seq) })
	conns := make([]*Conn, 0, 2*len(streams))
	for _, s := range streams {
		conns = append(conns, &s.conns[0], &s.conns[1])
	}
	return conns
}

// direction names one way of a link.
type direction struct{ from, to *Host }

// luck returns the source of chance for datagrams between two hosts. n.mu is
// held.
func (n *Network) luck(from, to *Host) *rand.Rand {
	d := direction{from, to}
	r := n.lucks[d]
	if r == nil {
		r = newRand(n.source(netip.AddrPortFrom(from.addrs[0], 0), netip.AddrPortFrom(to.addrs[0], 0)), 3)
		n.lucks[d] = r
	}
	return r
}

func (n *Network) now() int64 { return int64(time.Since(n.epoch)) }

// route returns the link from a to b and whether it is up. n.mu is held.
func (n *Network) route(a, b *Host) (l Link, up bool) {
	l, ok := n.links[between(a, b)]
	if !ok && a != b {
		l = n.link
	}
	return l, !a.hole && !b.hole && !n.cuts[between(a, b)]
}

// reroute tells all streams what has become of their links. n.mu is held.
func (n *Network) reroute() {
	for s := range n.streams {
		link, up := n.route(s.hosts[0], s.hosts[1])
		s.reroute(link, up)
	}
}

// host returns who has an address, as seen from h: every host has its own
// loopback addresses, unless one was given to a host. n.mu is held.
func (n *Network) host(h *Host, a netip.Addr) *Host {
	if to := n.hosts[plain(a)]; to != nil || !a.Unmap().IsLoopback() {
		return to
	}
	return h
}

// source returns the seed of a connection between two endpoints.
func (n *Network) source(from, to netip.AddrPort) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, n.seed, from, to)
	return h.Sum64()
}

func newRand(seed uint64, lane uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, lane)) }

// plain returns an address as hosts are known by: no zone, IPv4 as IPv4.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
