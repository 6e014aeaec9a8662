package discv4

import (
	"parley/enode"
	"parley/internal/kad"
)

// A lookup drives one kad.Lookup.
type lookup struct {
	target enode.PublicKey
	kad    *kad.Lookup
	done   func(*lookup)
	over   bool // done was called, or is not wanted any more

	// proceed is at work on it. What ends within that is taken up by its loop.
	busy bool

	own bool // nobody asked for it but the table
}

// newLookup prepares a lookup from the nearest nodes of the table, and from the
// bootnodes if those are few.
func (e *Engine) newLookup(target enode.PublicKey, done func(*lookup)) *lookup {
	id := enode.PubkeyID(target)
	seeds := e.table.Closest(id, kad.BucketSize, false)
	for _, n := range e.bootnodes {
		if len(seeds) >= kad.BucketSize {
			break
		}
		if !holds(seeds, n.ID()) {
			seeds = append(seeds, n)
		}
	}
	return &lookup{target: target, kad: kad.NewLookup(e.own.id, id, seeds, e.lookups), done: done}
}

// proceed asks the nodes that the lookup wants asked now. It is called again with
// every answer, so a lookup never waits for a round to end.
func (e *Engine) proceed(l *lookup) {
	if l.over || l.busy {
		return
	}
	l.busy = true
	for {
		n, ok := l.kad.Next()
		if !ok {
			break
		}
		e.query(l, n)
	}
	l.busy = false
	if l.kad.Done() && !l.over {
		l.over = true
		l.done(l)
	}
}

// query asks one node. A lookup for the table leaves alone whoever bonded with us
// a moment ago on its own account until its quiet time is over; one that somebody
// waits for does not.
func (e *Engine) query(l *lookup, n *enode.Node) {
	ask := func() {
		e.ask(KindFindNode, n, l.target, func(r reply) {
			if r.err != nil {
				l.kad.Fail(n.ID())
			} else {
				e.learn(r.nodes)
				l.kad.Answer(n.ID(), r.nodes)
			}
			e.proceed(l)
		})
	}
	if !l.own {
		ask()
		return
	}
	e.undisturbed(n, func() {
		if !l.over {
			ask()
		}
	})
}

// undisturbed calls f, at once or when the quiet time of n is over.
func (e *Engine) undisturbed(n *enode.Node, f func()) {
	if p, ok := e.placeOf(n); ok {
		if b := e.bonds.all[p]; b != nil && b.quiet > e.t && e.dialogs[p] == nil {
			e.timers.set(&timer{fire: f}, b.quiet)
			return
		}
	}
	f()
}

// learn tells the table of nodes that another one named.
func (e *Engine) learn(nodes []*enode.Node) {
	for _, n := range nodes {
		e.table.Seen(e.now, n)
	}
}

// upkeep does what the table wants done, and notes when it will want more.
func (e *Engine) upkeep() {
	for {
		n, wake := e.table.NextCheck(e.now)
		if n == nil {
			e.checkAt = wake
			break
		}
		e.undisturbed(n, func() { e.check(n) })
	}
	if e.fresh > 0 {
		e.freshAt = e.checkAt
		return
	}
	target, wake := e.table.NextRefresh(e.now)
	e.freshAt = wake
	if wake.IsZero() {
		e.refresh(target)
	}
}

// check pings a node for the table, and fetches its record if there is a newer one.
func (e *Engine) check(n *enode.Node) {
	e.ask(KindPing, n, enode.PublicKey{}, func(r reply) {
		switch {
		case r.err == nil && r.seq > n.Seq():
			e.fetch(n)
		case r.err == nil || !r.silence && r.err != ErrBusy:
			e.table.Checked(e.now, n.ID(), r.err == nil, nil)
		}
		// When nobody answers, the node is not to blame. The table asks again.
	})
}

// fetch ends a check that was passed by fetching the record of n.
func (e *Engine) fetch(n *enode.Node) {
	e.ask(KindENRRequest, n, enode.PublicKey{}, func(r reply) {
		p, ok := e.placeOf(n)
		if !ok {
			return
		}
		updated := e.adopted(n, r.record, p)
		e.table.Checked(e.now, n.ID(), true, updated)
		if updated != nil {
			e.tellProven(e.bonds.all[p], updated, true)
		}
	})
}

// refresh looks for what the table wants looked for, and, as long as few nodes
// are live, for random targets besides: half of all nodes are in the farthest
// bucket, a quarter in the next, and so are the targets.
func (e *Engine) refresh(id enode.ID) {
	targets := []enode.PublicKey{e.targetNear(id)}
	if _, live := e.table.Len(); live < fewLive {
		for range randomLookups {
			targets = append(targets, e.RandomTarget())
		}
	}
	e.fresh = len(targets)
	for _, target := range targets {
		l := e.newLookup(target, func(*lookup) { e.fresh-- })
		l.own = true
		e.proceed(l)
	}
	e.freshAt = e.checkAt
	if e.fresh == 0 {
		_, e.freshAt = e.table.NextRefresh(e.now)
	}
}

const (
	// fewLive is how many live nodes are too few: two full buckets.
	fewLive = 2 * kad.BucketSize

	// randomLookups is how many lookups go with a refresh then.
	randomLookups = 2

	// maxGuesses is how many keys are tried for a target, at a Keccak-256 each. One
	// in 256 is at distance 248 or less from any point.
	maxGuesses = 256
)

// targetNear returns a target for the given ID. Targets of this protocol are keys,
// whose hash cannot be chosen: one is found by trying that is as far from us as
// wanted, or else as near to it as chance allows.
func (e *Engine) targetNear(id enode.ID) (target enode.PublicKey) {
	if id == e.own.id {
		return e.key.Public()
	}
	wanted := enode.LogDistance(e.own.id, id)
	var best enode.ID
	for i := range maxGuesses {
		guess := e.RandomTarget()
		hash := enode.PubkeyID(guess)
		if enode.LogDistance(e.own.id, hash) == wanted {
			return guess
		}
		if i == 0 || enode.CompareDistance(id, hash, best) < 0 {
			target, best = guess, hash
		}
	}
	return target
}
