package discv4

import (
	"time"

	"parley/enode"
)

// maxCalls is how many calls may be under way.
const maxCalls = 1024

// begin returns the name of a new call, and false if there are too many: then its
// result is ErrBusy.
func (e *Engine) begin(now time.Time) (Call, bool) {
	e.enter(now)
	e.lastCall++
	if len(e.calls) >= maxCalls {
		e.out.Done = append(e.out.Done, Result{Call: e.lastCall, Err: ErrBusy})
		return e.lastCall, false
	}
	e.calls[e.lastCall] = nil
	return e.lastCall, true
}

// finish ends a call, unless it was cancelled.
func (e *Engine) finish(c Call, r Result) {
	if _, ok := e.calls[c]; ok {
		delete(e.calls, c)
		r.Call = c
		e.out.Done = append(e.out.Done, r)
	}
}

// Cancel makes a call end without a result. What was sent for it was sent.
func (e *Engine) Cancel(now time.Time, c Call) {
	e.enter(now)
	if stop := e.calls[c]; stop != nil {
		stop()
	}
	delete(e.calls, c)
	e.upkeep()
}

// Ping asks n for a sign of life. The result has the round-trip time and the
// sequence number of its record.
func (e *Engine) Ping(now time.Time, n *enode.Node) Call {
	c, ok := e.begin(now)
	if ok {
		e.ask(KindPing, n, enode.PublicKey{}, func(r reply) {
			e.finish(c, Result{RTT: r.rtt, Seq: r.seq, Err: r.err})
		})
		e.upkeep()
	}
	return c
}

// RequestENR asks n for its record. The result has the node as its record shows
// it, which may be at another endpoint than n.
func (e *Engine) RequestENR(now time.Time, n *enode.Node) Call {
	c, ok := e.begin(now)
	if ok {
		e.ask(KindENRRequest, n, enode.PublicKey{}, func(r reply) {
			e.finish(c, Result{Node: r.record, Err: r.err})
		})
		e.upkeep()
	}
	return c
}

// FindNode asks n alone for the nodes nearest to target. The result has what it
// answered: at most 16 nodes, none of them verified.
func (e *Engine) FindNode(now time.Time, n *enode.Node, target enode.PublicKey) Call {
	c, ok := e.begin(now)
	if ok {
		e.ask(KindFindNode, n, target, func(r reply) {
			e.learn(r.nodes)
			e.finish(c, Result{Nodes: r.nodes, Err: r.err})
		})
		e.upkeep()
	}
	return c
}

// Lookup looks for the nodes nearest to target, or rather to its hash, all over
// the network. The result has at most 16 nodes that answered, nearest first. They
// are without records as a rule.
func (e *Engine) Lookup(now time.Time, target enode.PublicKey) Call {
	c, ok := e.begin(now)
	if ok {
		l := e.newLookup(target, func(l *lookup) {
			e.finish(c, Result{Nodes: l.kad.Result()})
		})
		e.calls[c] = func() { l.over = true }
		e.proceed(l)
		e.upkeep()
	}
	return c
}

// RandomTarget returns a target that nobody can foresee.
func (e *Engine) RandomTarget() (target enode.PublicKey) {
	for i := 0; i < len(target); i += 8 {
		v := e.rng.Uint64()
		for j := range 8 {
			target[i+j] = byte(v >> (8 * j))
		}
	}
	return target
}

// Resolve finds out the present record of n: it asks n itself and, if that leads
// nowhere, looks for n by its key and asks it where it is now. The result has the
// node with the newest record known; without a record if n is there but does not
// answer ENRRequest, as some do. It is ErrNotFound if n was not found.
func (e *Engine) Resolve(now time.Time, n *enode.Node) Call {
	c, ok := e.begin(now)
	if !ok {
		return c
	}
	if known, ok := e.table.Get(n.ID()); ok {
		n = newerOf(n, known)
		if _, ok := e.placeOf(n); !ok {
			n = known
		}
	}
	e.ask(KindENRRequest, n, enode.PublicKey{}, func(r reply) {
		if r.record != nil {
			e.finish(c, Result{Node: newerOf(n, r.record)})
			return
		}
		if _, ok := e.calls[c]; ok {
			e.resolveFar(c, n)
		}
	})
	e.upkeep()
	return c
}

// resolveFar ends a Resolve by a lookup. The target itself answers in it, if it is
// anywhere.
func (e *Engine) resolveFar(c Call, n *enode.Node) {
	l := e.newLookup(n.PublicKey(), func(l *lookup) {
		for _, found := range l.kad.Result() {
			if found.ID() != n.ID() {
				continue
			}
			e.ask(KindENRRequest, found, enode.PublicKey{}, func(r reply) {
				best := newerOf(n, found)
				if n.Seq() == 0 {
					best = found
				}
				if r.record != nil {
					best = newerOf(best, r.record)
				}
				e.finish(c, Result{Node: best})
			})
			return
		}
		e.finish(c, Result{Err: ErrNotFound})
	})
	e.calls[c] = func() { l.over = true }
	e.proceed(l)
}
