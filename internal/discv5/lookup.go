package discv5

import (
	"slices"
	"time"

	"parley/enode"
	"parley/internal/kad"
)

// maxLookups is how many lookups run at a time, those of the table included.
const maxLookups = 16

// A lookup is one that runs.
type lookup struct {
	*kad.Lookup
	id   Call
	near uint                     // least distance of a node seen from the target, but for 0
	seen map[enode.ID]*enode.Node // told of in answers
	done func(time.Time, *lookup)
	err  error
}

// look begins a lookup. Done may be told before look returns.
func (e *Engine) look(now time.Time, target enode.ID, done func(time.Time, *lookup)) {
	l := &lookup{id: e.newID(), near: 256, seen: make(map[enode.ID]*enode.Node), done: done}
	if len(e.lookups) >= maxLookups {
		l.err = ErrBusy
		l.Lookup = kad.NewLookup(e.id, target, nil, e.cfg.Lookup)
		done(now, l)
		return
	}
	seeds := e.table.Closest(target, kad.BucketSize, false)
	if len(seeds) == 0 {
		seeds = e.cfg.Bootnodes
	}
	l.Lookup = kad.NewLookup(e.id, target, seeds, e.cfg.Lookup)
	for _, n := range seeds {
		l.approach(n)
	}
	e.lookups[l.id] = l
	e.proceed(now, l)
}

// proceed asks whom the lookup wants to ask, and ends it if there is nobody.
func (e *Engine) proceed(now time.Time, l *lookup) {
	for {
		n, ok := l.Next()
		if !ok {
			break
		}
		e.ask(now, n, l.distances(n), func(now time.Time, c *call) {
			if rest := l.rest(c); c.err == nil && len(rest) > 0 {
				e.learn(now, l, c)
				e.ask(now, n, rest, func(now time.Time, more *call) {
					more.nodes.nodes = append(c.nodes.nodes, more.nodes.nodes...)
					more.err = nil // the node did answer
					e.answer(now, l, more)
				})
				return
			}
			e.answer(now, l, c)
		})
	}
	if l.Done() && e.lookups[l.id] != nil {
		delete(e.lookups, l.id)
		l.done(now, l)
	}
}

// answer tells the lookup what came of asking a node, and goes on.
func (e *Engine) answer(now time.Time, l *lookup, c *call) {
	if c.err != nil {
		l.Fail(c.node.ID())
	} else {
		e.learn(now, l, c)
		l.Answer(c.node.ID(), l.nearest(c.nodes.nodes))
	}
	e.proceed(now, l)
}

// nearest returns those of an answer that a lookup looks at.
func (l *lookup) nearest(nodes []*enode.Node) []*enode.Node {
	slices.SortFunc(nodes, func(a, b *enode.Node) int { return enode.CompareDistance(l.Target(), a.ID(), b.ID()) })
	return nodes[:min(len(nodes), kad.BucketSize)]
}

// neighbourhood is how much further from the target than the nearest node seen,
// as logarithmic distance, a node may be to be asked twice.
const neighbourhood = 5

// rest returns the distances at which a node near the target knows more than one
// answer holds. The answerer does not know the target and cuts off at random, so
// that of the 16 nearest nodes the last ones would be missing.
func (l *lookup) rest(c *call) []uint {
	near := uint(enode.LogDistance(c.node.ID(), l.Target())) <= l.near+neighbourhood
	if len(c.nodes.nodes) < maxNodes || !near {
		return nil
	}
	sum := 0
	for i, d := range c.distances {
		count := 0
		for _, n := range c.nodes.nodes {
			if uint(enode.LogDistance(c.node.ID(), n.ID())) == d {
				count++
			}
		}
		if sum += count; sum < maxNodes {
			continue
		}
		if count == kad.BucketSize {
			i++ // all that there can be
		}
		return c.distances[i:]
	}
	return nil
}

// learn takes note of the nodes in an answer.
func (e *Engine) learn(now time.Time, l *lookup, c *call) {
	for _, n := range c.nodes.nodes {
		if old := l.seen[n.ID()]; old != nil && old.Seq() >= n.Seq() {
			continue
		}
		l.seen[n.ID()] = n
		l.approach(n)
		e.heard(now, n, c.at.addr.Addr())
	}
}

// approach notes how near a node is.
func (l *lookup) approach(n *enode.Node) {
	if d := uint(enode.LogDistance(l.Target(), n.ID())); d > 0 {
		l.near = min(l.near, d)
	}
}

// distances returns which nodes to ask n for: those at the target's own distance
// from it, and if they are few, those around. The node at the target itself is
// asked for its neighbours.
func (l *lookup) distances(n *enode.Node) []uint {
	d := uint(enode.LogDistance(n.ID(), l.Target()))
	if d == 0 {
		d = l.near
	}
	list := make([]uint, 0, 5)
	for _, around := range [...]uint{d, d + 1, d - 1, d + 2, d - 2} {
		if around >= 1 && around <= 256 { // what is below 0 has wrapped around
			list = append(list, around)
		}
	}
	return list
}
