package peerset

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"parley/internal/netaddr"
)

const (
	// settling is how long a new inbound peer is safe from giving way, so that it
	// can show what it is worth.
	settling = 2 * time.Minute

	// evictEvery is the least time between two peers that give way: whoever has
	// many networks cannot turn all of them over at once.
	evictEvery = time.Minute
)

// A resident is what counts when one inbound peer must give way.
type resident struct {
	id      ID
	net     netip.Prefix // zero: an address to which limits by network do not apply
	since   time.Time
	latency time.Duration // of a ping; zero if not known
	value   float64       // how useful it was; zero if it was not
}

// chooseVictim returns which inbound peer gives way to a newcomer of the given
// network, or false if all stay.
//
// A quarter of them each is safe because they have the lowest latency, were the
// most useful or have been here longest: an attacker may be best at one of these,
// hardly at all of them at once. So is whoever is the only one of its network, on
// an exempt address, or new. Of the others, the youngest of the network with the most peers
// goes, but only if the newcomer makes the peers more diverse: its network must
// have fewer, with the newcomer, than the other now has. So a full node cannot be
// turned over from few networks, and one with peers from everywhere stays as it
// is.
//
// The idea is Bitcoin Core's.
func chooseVictim(now time.Time, peers []resident, newcomer netip.Prefix) (ID, bool) {
	size := make(map[netip.Prefix]int)
	largest := 0
	for i := range peers {
		if net := peers[i].net; net.IsValid() {
			size[net]++
			largest = max(largest, size[net])
		}
	}
	joined := size[newcomer] + 1
	if joined >= largest {
		return ID{}, false
	}
	rest := slices.Clone(peers)
	byID := func(a, b resident) int { return a.id.Compare(b.id) }
	quarter := (len(peers) + 3) / 4
	protect := func(better func(a, b resident) int, applies func(resident) bool) {
		slices.SortFunc(rest, func(a, b resident) int { return cmp.Or(better(a, b), byID(a, b)) })
		n := 0
		for n < min(quarter, len(rest)) && applies(rest[n]) {
			n++
		}
		rest = rest[n:]
	}
	always := func(resident) bool { return true }
	unknownLast := func(d time.Duration) time.Duration {
		if d <= 0 {
			return time.Hour
		}
		return d
	}
	protect(func(a, b resident) int { return cmp.Compare(unknownLast(a.latency), unknownLast(b.latency)) },
		func(r resident) bool { return r.latency > 0 })
	protect(func(a, b resident) int { return cmp.Compare(b.value, a.value) }, func(r resident) bool { return r.value > 0 })
	protect(func(a, b resident) int { return a.since.Compare(b.since) }, always)

	rest = slices.DeleteFunc(rest, func(r resident) bool {
		return !r.net.IsValid() || size[r.net] < 2 || now.Sub(r.since) < settling
	})
	if len(rest) == 0 {
		return ID{}, false
	}
	victim := slices.MinFunc(rest, func(a, b resident) int {
		return cmp.Or(cmp.Compare(size[b.net], size[a.net]), b.since.Compare(a.since), byID(a, b))
	})
	if joined >= size[victim.net] {
		return ID{}, false
	}
	return victim.id, true
}

// An evictor makes room among the inbound peers.
type evictor struct {
	last time.Time // when somebody last gave way
}

// victim returns the inbound peer that would give way to c.
func (s *Set) victim(now time.Time, c Conn) (ID, bool) {
	if !s.evict.last.IsZero() && now.Sub(s.evict.last) < evictEvery {
		return ID{}, false
	}
	residents := make([]resident, 0, s.inbound)
	for id, p := range s.peers { // chooseVictim sorts
		if p.countsInbound && !s.privileged(id) {
			residents = append(residents, resident{id: id, net: groupOf(p.addr.Addr()), since: p.since, latency: p.latency, value: p.worth(now)})
		}
	}
	return chooseVictim(now, residents, groupOf(c.Addr.Addr()))
}

// groupOf returns the network by which inbound peers are told apart, zero for an
// address to which limits by network do not apply.
func groupOf(addr netip.Addr) netip.Prefix {
	if netaddr.Exempt(addr) {
		return netip.Prefix{}
	}
	return netaddr.NetKey(addr)
}

// youngest returns the youngest of the peers for which f is true.
func (s *Set) youngest(f func(*peer) bool) (youngest ID, ok bool) {
	var best *peer
	for id, p := range s.peers {
		if !f(p) || s.privileged(id) {
			continue
		}
		if best == nil || cmp.Or(best.since.Compare(p.since), id.Compare(youngest)) < 0 {
			youngest, best = id, p
		}
	}
	return youngest, best != nil
}

// bumped returns the peer that gives way to a static node when all slots are
// taken: the youngest inbound one or, without any, the youngest dialed one.
func (s *Set) bumped() (ID, bool) {
	if id, ok := s.youngest(func(p *peer) bool { return p.countsInbound }); ok {
		return id, true
	}
	return s.youngest(func(p *peer) bool { return p.countsDialed })
}

// SetLatency notes how long a ping of a peer took at best.
func (s *Set) SetLatency(id ID, d time.Duration) {
	if p := s.peers[id]; p != nil {
		p.latency = d
	}
}

// Reward notes that a peer was of use. Points halve every 30 minutes, like those of
// Penalize; only how peers compare matters.
func (s *Set) Reward(now time.Time, id ID, points float64) {
	if p := s.peers[id]; p != nil && points > 0 {
		p.value = p.worth(now) + min(points, maxReward)
		p.valued = now
	}
}

// maxReward bounds what a peer is rewarded with at once.
const maxReward = 1e6

// worth returns the points of Reward that are left.
func (p *peer) worth(now time.Time) float64 {
	if p.value == 0 {
		return 0
	}
	return p.value * math.Exp2(-float64(now.Sub(p.valued))/float64(scoreHalfLife))
}
