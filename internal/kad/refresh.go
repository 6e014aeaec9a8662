package kad

import (
	"time"

	"parley/enode"
)

// few is the number of live nodes below which the table is being filled.
const few = 3 * BucketSize

// alone bounds the pause between refreshes while no node is live.
const alone = 30 * time.Second

// refresh remembers when what was looked for.
type refresh struct {
	buckets [buckets]uint64 // number of the last refresh of each, 0 for none
	count   uint64          // refreshes so far
	last    time.Time       // when the last one began
	live    int             // nodes live at that time
	pause   time.Duration   // after it, while few nodes are live

	own      time.Time     // when the own neighbourhood is due
	ownPause time.Duration // until it is due again
}

// NextRefresh returns the target of the lookup that should start now, and the
// zero time; or any ID and the time at which to ask again, which may become earlier with
// any other call.
//
// The target is a random ID in the bucket whose last refresh is longest ago, of
// those that can hold a node; for the nearest of them it is this node's own ID.
// That one comes first of all, because it fills an empty table best. Of buckets
// that were never refreshed the farthest is first, because there most nodes are, and
// whoever makes IDs near ours should not keep us busy among them.
//
// While fewer than 48 nodes are live, refreshes follow each other after
// Config.RefreshFast, and each that found no more doubles the pause up to
// Config.RefreshSlow, or 30 seconds if no node is live. Otherwise the pause is
// RefreshSlow. From then on this node's own ID comes in between, at once and after
// pauses that double from RefreshFast to RefreshSlow: who is nearest to a target
// only those around it know, and in a network that has just started they did not
// when the ID was looked for first.
func (t *Table) NextRefresh(now time.Time) (target enode.ID, wake time.Time) {
	r := &t.refresh
	if r.count > 0 {
		due := r.last.Add(t.refreshPause())
		if t.live >= few {
			if !r.own.After(now) {
				t.ownRefresh(now)
				return t.self, time.Time{}
			}
			due = earlier(due, r.own)
		}
		if due.After(now) {
			return enode.ID{}, due
		}
	}
	switch {
	case t.live > r.live || t.live >= few || r.count == 0:
		r.pause = t.cfg.RefreshFast
	default:
		r.pause = min(2*r.pause, t.cfg.RefreshSlow)
	}
	nearest := t.nearest()
	chosen := nearest
	if r.count > 0 {
		for i := nearest; i < buckets; i++ {
			if r.buckets[i] <= r.buckets[chosen] {
				chosen = i
			}
		}
	}
	r.count++
	r.buckets[chosen], r.last, r.live = r.count, now, t.live
	if chosen == nearest {
		t.ownRefresh(now)
		return t.self, time.Time{}
	}
	return t.randomAt(lowest + chosen), time.Time{}
}

// ownRefresh notes that this node's own ID is looked for now.
func (t *Table) ownRefresh(now time.Time) {
	r := &t.refresh
	r.ownPause = min(max(2*r.ownPause, t.cfg.RefreshFast), t.cfg.RefreshSlow)
	r.own = now.Add(r.ownPause)
}

// refreshPause returns how long to wait after the last refresh.
func (t *Table) refreshPause() time.Duration {
	switch {
	case t.live >= few:
		return t.cfg.RefreshSlow
	case t.live == 0:
		return min(t.refresh.pause, max(alone, t.cfg.RefreshFast))
	default:
		return t.refresh.pause
	}
}

// nearest returns the index of the nearest bucket worth a refresh: the one below
// the nearest that is not empty. Below it there is most likely nobody.
func (t *Table) nearest() int {
	for i := range t.buckets {
		if len(t.buckets[i].entries) > 0 {
			return max(i-1, 0)
		}
	}
	return buckets - 1
}

// randomAt returns a random ID at the logarithmic distance d, 1 to 256.
func (t *Table) randomAt(d int) enode.ID {
	id := t.self
	for i := range id {
		if bits := d - 8*(len(id)-1-i); bits > 0 {
			// The lower bits of this byte are within the distance.
			id[i] ^= byte(t.rng.Uint32()) & byte(1<<min(bits, 8)-1)
		}
	}
	// The first bit within the distance has to differ.
	i, mask := len(id)-1-(d-1)/8, byte(1)<<((d-1)%8)
	id[i] = id[i]&^mask | ^t.self[i]&mask
	return id
}
