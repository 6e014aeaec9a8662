package discv4

import (
	"container/list"
	"net/netip"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

const (
	// bondLife is how long an endpoint proof counts.
	// https://github.com/ethereum/devp2p/blob/master/discv4.md#endpoint-proof
	bondLife = 12 * time.Hour

	// trustLife is how long we count on the other side's proof of our endpoint,
	// with an hour to spare.
	trustLife = bondLife - time.Hour

	// quietTime is for how long a node that bonded with us on its own account is
	// not asked anything that no caller waits for.
	quietTime = time.Second

	// hostBonds is how many bonds one host may have, unless exempt. One with more
	// keys than that is no bigger for it.
	hostBonds = 64

	// toldPause is the least time between two mentions of one place in
	// Output.Proven.
	toldPause = time.Hour

	// never is a time so long ago that nothing of it counts.
	never = -1000 * time.Hour
)

// A place is a node at an endpoint: what a bond is about.
type place struct {
	id enode.ID
	at netip.AddrPort
}

// A bond remembers the endpoint proofs of one place. Times are those of the
// engine.
type bond struct {
	place  place
	proved time.Duration // when it last answered a PING of ours
	ponged time.Duration // when we last answered a PING of its
	quiet  time.Duration // until when it is not asked anything by ourselves
	told   time.Duration // when Output.Proven last had it

	expiration uint64 // of the last request sent to it

	used *list.Element // in bonds.order
}

// bonds holds the bonds, bounded in number: the one not used for longest goes.
type bonds struct {
	most  int
	all   map[place]*bond
	hosts map[uint64]int // bonds of each host
	known map[netip.AddrPort]int
	order list.List // of *bond, the one used last in front
}

// newBonds returns an empty store. It counts each bond in known, by endpoint.
func newBonds(most int, known map[netip.AddrPort]int) bonds {
	return bonds{most: most, all: make(map[place]*bond), hosts: make(map[uint64]int), known: known}
}

// get returns the bond of p if its proof counts, or nil. That is a use of it.
func (s *bonds) get(now time.Duration, p place) *bond {
	b := s.all[p]
	if b == nil {
		return nil
	}
	if now-b.proved > bondLife {
		s.remove(b)
		return nil
	}
	s.order.MoveToFront(b.used)
	return b
}

// prove notes that p answered a PING. It returns nil if its host has too many
// bonds already.
func (s *bonds) prove(now time.Duration, p place) *bond {
	s.expire(now)
	b := s.get(now, p)
	if b == nil {
		host := hostKey(p.at.Addr())
		if s.hosts[host] >= hostBonds && !netaddr.Exempt(p.at.Addr()) {
			return nil
		}
		if len(s.all) >= s.most {
			s.remove(s.oldest())
		}
		b = &bond{place: p, ponged: never, quiet: never, told: never}
		s.all[p] = b
		s.hosts[host]++
		s.known[p.at]++
		b.used = s.order.PushFront(b)
	}
	b.proved = now
	return b
}

// expire removes the bonds unused for so long that no proof can count.
func (s *bonds) expire(now time.Duration) {
	for b := s.oldest(); b != nil && now-b.proved > bondLife; b = s.oldest() {
		s.remove(b)
	}
}

// oldest returns the bond not used for longest, or nil if there is none.
func (s *bonds) oldest() *bond {
	if last := s.order.Back(); last != nil {
		return last.Value.(*bond)
	}
	return nil
}

func (s *bonds) remove(b *bond) {
	s.order.Remove(b.used)
	delete(s.all, b.place)
	uncount(s.hosts, hostKey(b.place.at.Addr()))
	uncount(s.known, b.place.at)
}

func uncount[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}
