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
	seen map[enode.ID]*enode.Node // told of in answers

	counted map[enode.ID]struct{} // those and the seeds
	at      [257]int              // how many of them are at each distance from the target
	done    func(time.Time, *lookup)
	err     error
}

// look begins a lookup. Done may be told before look returns.
func (e *Engine) look(now time.Time, target enode.ID, done func(time.Time, *lookup)) {
	l := &lookup{id: e.newID(), seen: make(map[enode.ID]*enode.Node), counted: make(map[enode.ID]struct{}), done: done}
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
		l.count(n)
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
		e.query(now, l, n, l.distances(n), nil)
	}
	if l.Done() && e.lookups[l.id] != nil {
		delete(e.lookups, l.id)
		l.done(now, l)
	}
}

// query asks a node for those at the given distances, as often as it has more. It
// named some already if there were other distances before.
func (e *Engine) query(now time.Time, l *lookup, n *enode.Node, distances []uint, named []*enode.Node) {
	e.ask(now, n, distances, func(now time.Time, c *call) {
		if c.err == nil {
			e.learn(now, l, c)
		}
		all := slices.Concat(named, c.nodes.nodes)
		if rest := l.rest(c); c.err == nil && len(rest) > 0 {
			e.query(now, l, n, rest, all)
			return
		}
		if c.err != nil && len(all) == 0 {
			l.Fail(n.ID())
		} else {
			l.Answer(n.ID(), l.nearest(all))
		}
		e.proceed(now, l)
	})
}

// nearest returns those of an answer that a lookup looks at. In one that came in
// parts some nodes may be twice.
func (l *lookup) nearest(nodes []*enode.Node) []*enode.Node {
	slices.SortFunc(nodes, func(a, b *enode.Node) int { return enode.CompareDistance(l.Target(), a.ID(), b.ID()) })
	nodes = slices.CompactFunc(nodes, func(a, b *enode.Node) bool { return a.ID() == b.ID() })
	return nodes[:min(len(nodes), kad.BucketSize)]
}

// rest returns the distances at which a node near the target knows more than one
// answer holds. The answerer does not know the target and cuts off at random, so
// that of the 16 nearest nodes some would be missing.
func (l *lookup) rest(c *call) []uint {
	near := enode.LogDistance(c.node.ID(), l.Target()) <= l.radius()
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
		l.count(n)
		e.heard(now, n, c.at.addr.Addr())
	}
}

// count notes at which distance a node is, if it was not seen before.
func (l *lookup) count(n *enode.Node) {
	if _, ok := l.counted[n.ID()]; !ok {
		l.counted[n.ID()] = struct{}{}
		l.at[enode.LogDistance(l.Target(), n.ID())]++
	}
}

// radius is the distance from the target within which the 16 nearest nodes are, as
// far as is known.
func (l *lookup) radius() int {
	sum := 0
	for d, n := range l.at {
		if sum += n; sum >= kad.BucketSize {
			return d
		}
	}
	return 256
}

// around is how many distances a node is asked for besides that of the target, or
// besides those that lead out of what is near.
const around = 4

// distances returns which nodes to ask n for. Let d be the distance from n to the
// target. Whoever is nearer to the target than n is at distance d from n. That is
// what matters far away; if they are few, those around help. Within the radius it
// matters too who is farther from the target than n, at that distance from n, and
// who is as far as n, at a lower one than d.
func (l *lookup) distances(n *enode.Node) []uint {
	d, radius := enode.LogDistance(n.ID(), l.Target()), l.radius()
	var list []uint
	add := func(d int) {
		if d >= 1 && d <= 256 {
			list = append(list, uint(d))
		}
	}
	add(d)
	if d > radius {
		for i := 1; i <= around/2; i++ {
			add(d + i)
			add(d - i)
		}
		return list
	}
	// From the target itself, nearest first would begin where nobody is.
	for out := max(d+1, radius-2*around); out <= radius; out++ {
		add(out)
	}
	for i := 1; i <= around; i++ {
		add(d - i)
	}
	return list
}
