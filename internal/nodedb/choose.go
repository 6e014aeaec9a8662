package nodedb

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// oldAfter is when a node that has not answered gives way to others.
const oldAfter = 24 * time.Hour

// seedsPerPrefix is how many seeds come from one network at most. Whoever
// filled a network with nodes before a restart must not own the start.
const seedsPerPrefix = 2

// old reports whether it has not answered for a day. A clock that was set back
// makes nothing old.
func old(it *item, now time.Time) bool {
	return now.Unix()-it.proven > int64(oldAfter/time.Second)
}

// worth orders items: what has answered within a day before what has not, then
// by score, then by time.
func worth(a, b *item, now time.Time) int {
	oa, ob := old(a, now), old(b, now)
	switch {
	case oa && !ob:
		return -1
	case ob && !oa:
		return 1
	}
	return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.proven, b.proven))
}

// room makes room for one more node at addr, or reports that there is none.
// db.mu is held.
func (db *DB) room(now time.Time, addr netip.Addr) bool {
	if !db.roomInPrefix(now, addr) {
		return false
	}
	if len(db.items) < MaxNodes {
		return true
	}
	// Sorting all of them is worth it only if it makes room for many.
	ids := db.ids()
	slices.SortStableFunc(ids, func(a, b enode.ID) int { return worth(db.items[a], db.items[b], now) })
	for _, id := range ids[:MaxNodes/20] {
		db.forget(id)
		db.touch(id)
	}
	return true
}

// roomInPrefix drops the node of the same network that is worth least, if the network
// is full and that node has answered only once or not for a day: a node that
// has served for long is not displaced by its neighbours. db.mu is held.
func (db *DB) roomInPrefix(now time.Time, addr netip.Addr) bool {
	if netaddr.Exempt(addr) {
		return true
	}
	ids := db.nets[netaddr.NetKey(addr)]
	if len(ids) < MaxPerPrefix {
		return true
	}
	least := slices.MinFunc(ids, func(a, b enode.ID) int { return worth(db.items[a], db.items[b], now) })
	if it := db.items[least]; it.score > 1 && !old(it, now) {
		return false
	}
	db.forget(least)
	db.touch(least)
	return true
}

// count adds a node to its network. db.mu is held, here and below.
func (db *DB) count(id enode.ID, addr netip.Addr) {
	if !netaddr.Exempt(addr) {
		key := netaddr.NetKey(addr)
		db.nets[key] = append(db.nets[key], id)
	}
}

func (db *DB) uncount(id enode.ID, addr netip.Addr) {
	key := netaddr.NetKey(addr)
	ids := slices.DeleteFunc(db.nets[key], func(other enode.ID) bool { return other == id })
	if len(ids) == 0 {
		delete(db.nets, key)
		return
	}
	db.nets[key] = ids
}

// Seeds returns up to n nodes to begin with after a start: half of them those
// with the highest scores, half chosen by rng, those that answered within the
// last day before others, at most two of one network.
func (db *DB) Seeds(now time.Time, n int, rng *rand.Rand) []Entry {
	db.mu.Lock()
	defer db.mu.Unlock()
	ids := db.ids()
	rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	recent := func(a, b enode.ID) int {
		return cmp.Compare(boolInt(old(db.items[a], now)), boolInt(old(db.items[b], now)))
	}
	slices.SortStableFunc(ids, recent) // random among themselves
	best := slices.SortedStableFunc(slices.Values(ids), func(a, b enode.ID) int {
		return cmp.Or(recent(a, b), cmp.Compare(db.items[b].score, db.items[a].score))
	})

	seeds := make([]Entry, 0, min(n, len(ids)))
	chosen := make(map[enode.ID]bool)
	nets := make(map[netip.Prefix]int)
	take := func(ids []enode.ID, limit int) {
		for _, id := range ids {
			if len(seeds) >= limit {
				return
			}
			it := db.items[id]
			if it == nil || chosen[id] {
				continue
			}
			key := netaddr.NetKey(it.endpoint.Addr())
			if !netaddr.Exempt(it.endpoint.Addr()) && nets[key] >= seedsPerPrefix {
				continue
			}
			if e, ok := db.entry(id); ok {
				chosen[id] = true
				nets[key]++
				seeds = append(seeds, e)
			}
		}
	}
	take(best, (n+1)/2)
	take(ids, n)
	return seeds
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
