package kad

import (
	"slices"

	"parley/enode"
)

// Defaults of LookupConfig.
const (
	defaultAlpha     = 3
	defaultPaths     = 1
	defaultPerPrefix = 4
	defaultTries     = 2
)

// Bounds of a Lookup, in multiples of its width: the candidates that a path
// keeps, and the nodes that are asked in all. TestLookup asks 1.2 times the width in
// a network of 1,000, and 3.2 times if half of the requests get lost.
const (
	maxCandidates = 4
	maxQueries    = 8
)

// A LookupConfig is what can be chosen about a Lookup. Zero fields have their
// default.
type LookupConfig struct {
	// Alpha is how many nodes are asked at a time, over all paths. Zero or less
	// means 3, and no less than Paths.
	Alpha int

	// Paths is into how many disjoint paths the lookup is divided. Zero or less
	// means 1. With more, an answer leads on only on the path on which it was
	// given, so that a liar on one cannot lead the others astray.
	Paths int

	// Width is how many nodes are looked for, k in the specifications. Zero or
	// less means BucketSize.
	Width int

	// PerPrefix is how many nodes of one network (IPv4 /24 or IPv6 /64) are
	// followed, not counting those that failed; an IPv6 /48 may have twice as many.
	// The paths share it evenly, each having at least one. Zero means 4, a
	// negative number no bound. Addresses for which netaddr.Exempt holds are not
	// counted.
	PerPrefix int

	// Tries is how often a node is asked before it is given up. A second try
	// comes when there is nobody else to ask. Zero or less means 2.
	Tries int
}

func (c LookupConfig) withDefaults() LookupConfig {
	atLeastOne := func(n *int, standard int) {
		if *n <= 0 {
			*n = standard
		}
	}
	atLeastOne(&c.Paths, defaultPaths)
	atLeastOne(&c.Alpha, max(defaultAlpha, c.Paths))
	atLeastOne(&c.Width, BucketSize)
	atLeastOne(&c.Tries, defaultTries)
	if c.PerPrefix == 0 {
		c.PerPrefix = defaultPerPrefix
	}
	if c.PerPrefix > 0 {
		c.PerPrefix = max(c.PerPrefix/c.Paths, 1) // of each path
	}
	return c
}

// A Lookup finds the nodes nearest to a target by asking the nearest that are
// known for nearer ones, until the nearest have all answered. Make one with [NewLookup].
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-theory.md#lookup
type Lookup struct {
	self   enode.ID
	target enode.ID
	cfg    LookupConfig

	paths    []path
	queries  map[enode.ID]*query // every node that was asked, by whichever path
	inFlight int
	answered []*enode.Node // nearest first
}

// A path is one of the disjoint ways to the target.
type path struct {
	nodes    []candidate // nearest first
	inFlight int
}

// A candidate is a node that may be asked.
type candidate struct {
	node *enode.Node
	nets nets
}

// A query is what became of a node that was asked.
type query struct {
	node  *enode.Node
	path  int
	tries int
	state queryState
}

type queryState uint8

const (
	waiting queryState = iota
	failed
	answered
)

// NewLookup returns a lookup of target for the node self that begins with seeds,
// which may be more or fewer than the width. With several paths the seeds are
// dealt out by distance, the nearest to the first path.
func NewLookup(self, target enode.ID, seeds []*enode.Node, cfg LookupConfig) *Lookup {
	cfg = cfg.withDefaults()
	l := &Lookup{
		self: self, target: target, cfg: cfg,
		paths:   make([]path, cfg.Paths),
		queries: make(map[enode.ID]*query),
	}
	sorted := slices.Clone(seeds)
	sorted = slices.DeleteFunc(sorted, func(n *enode.Node) bool { return n == nil })
	slices.SortStableFunc(sorted, func(a, b *enode.Node) int { return enode.CompareDistance(target, a.ID(), b.ID()) })
	sorted = slices.CompactFunc(sorted, func(a, b *enode.Node) bool { return a.ID() == b.ID() })
	next := 0
	for _, n := range sorted {
		if l.add(&l.paths[next], n) {
			next = (next + 1) % len(l.paths)
		}
	}
	return l
}

// Target returns the ID that is looked for.
func (l *Lookup) Target() enode.ID { return l.target }

// Next returns a node to ask now, and counts it as being asked until Answer or
// Fail is called for it. If there is none it returns false: then either answers
// have to come first or the lookup is done.
func (l *Lookup) Next() (n *enode.Node, ok bool) {
	if l.inFlight >= l.cfg.Alpha {
		return nil, false
	}
	// The path that waits for the fewest answers is the one that has been served
	// least. Nodes that failed are tried again only if no path has another.
	for _, again := range []bool{false, true} {
		best, bestAt := -1, -1
		for i := range l.paths {
			if best >= 0 && l.paths[i].inFlight >= l.paths[best].inFlight {
				continue
			}
			if at := l.pick(&l.paths[i], again); at >= 0 {
				best, bestAt = i, at
			}
		}
		if best >= 0 {
			n := l.paths[best].nodes[bestAt].node
			l.ask(best, n)
			return n, true
		}
	}
	return nil, false
}

// ask notes that n is being asked on the path at position i.
func (l *Lookup) ask(i int, n *enode.Node) {
	q := l.queries[n.ID()]
	if q == nil {
		q = &query{node: n}
		l.queries[n.ID()] = q
	}
	q.path, q.state = i, waiting
	q.tries++
	l.paths[i].inFlight++
	l.inFlight++
}

// pick returns the position of the node that p should ask next, or -1: of the
// nearest nodes that did not fail, as many as the width, the first that nobody
// asked. With again it is a failed one that has tries left and that would be among
// the nearest if it answered.
func (l *Lookup) pick(p *path, again bool) int {
	standing := 0 // nodes that did not fail
	for i, c := range p.nodes {
		if standing >= l.cfg.Width {
			break
		}
		switch q := l.queries[c.node.ID()]; {
		case q == nil:
			if !again && len(l.queries) < maxQueries*l.cfg.Width {
				return i
			}
			standing++
		case q.state != failed:
			standing++
		case again && q.tries < l.cfg.Tries:
			return i
		}
	}
	return -1
}

// Answer tells the lookup which nodes from named. An answer counts even after
// Fail, once; one from a node that was not asked does not. More than Width nodes
// of one answer are not looked at, nor are nodes without a UDP endpoint.
func (l *Lookup) Answer(from enode.ID, nodes []*enode.Node) {
	q := l.queries[from]
	if q == nil || q.state == answered {
		return
	}
	l.settle(q, answered)
	i, _ := slices.BinarySearchFunc(l.answered, from, l.compare)
	if l.answered = slices.Insert(l.answered, i, q.node); len(l.answered) > l.cfg.Width {
		l.answered = l.answered[:l.cfg.Width]
	}
	for _, n := range nodes[:min(len(nodes), l.cfg.Width)] {
		l.add(&l.paths[q.path], n)
	}
}

// Fail tells the lookup that from did not answer.
func (l *Lookup) Fail(from enode.ID) {
	if q := l.queries[from]; q != nil && q.state == waiting {
		l.settle(q, failed)
	}
}

// settle ends the wait for q's node.
func (l *Lookup) settle(q *query, s queryState) {
	if q.state == waiting {
		l.inFlight--
		l.paths[q.path].inFlight--
	}
	q.state = s
}

// Done reports whether the lookup has ended: nobody is being asked, and there is
// nobody left to ask.
func (l *Lookup) Done() bool {
	if l.inFlight > 0 {
		return false
	}
	for i := range l.paths {
		if l.pick(&l.paths[i], false) >= 0 || l.pick(&l.paths[i], true) >= 0 {
			return false
		}
	}
	return true
}

// Result returns the nodes nearest to the target that answered so far, over all
// paths, nearest first, at most Width of them.
func (l *Lookup) Result() []*enode.Node { return slices.Clone(l.answered) }

func (l *Lookup) compare(n *enode.Node, id enode.ID) int {
	return enode.CompareDistance(l.target, n.ID(), id)
}

// add puts n among the candidates of p, in order, and reports whether it did.
func (l *Lookup) add(p *path, n *enode.Node) bool {
	if n == nil || n.ID() == l.self {
		return false
	}
	if _, ok := n.UDPEndpoint(); !ok {
		return false
	}
	at, known := slices.BinarySearchFunc(p.nodes, n.ID(), func(c candidate, id enode.ID) int { return l.compare(c.node, id) })
	most := maxCandidates * l.cfg.Width
	if known || at >= most {
		return false
	}
	nets := netsOf(n)
	gone, ok := l.makeRoom(p, nets, at)
	if !ok {
		return false
	}
	if gone >= 0 {
		p.nodes = slices.Delete(p.nodes, gone, gone+1) // it is behind the place of n
	}
	p.nodes = slices.Insert(p.nodes, at, candidate{n, nets})
	if len(p.nodes) > most {
		p.nodes = p.nodes[:most]
	}
	return true
}

// makeRoom decides whether a node of the networks k may enter p at position at.
// If its networks are full, the farthest of theirs that was not asked and is
// behind that position has to go; gone is its position, or -1 if none has to.
func (l *Lookup) makeRoom(p *path, k nets, at int) (gone int, ok bool) {
	gone = -1
	if l.cfg.PerPrefix < 0 {
		return gone, true
	}
	var n [3]int
	for i, c := range p.nodes {
		q := l.queries[c.node.ID()]
		if q != nil && q.state == failed {
			continue
		}
		count(&n, k, c.nets)
		if q == nil && i >= at && k.common(c.nets) != [3]bool{} {
			gone = i
		}
	}
	if below(n, l.cfg.PerPrefix) {
		return -1, true
	}
	if gone < 0 {
		return gone, false
	}
	for i, same := range k.common(p.nodes[gone].nets) {
		if same {
			n[i]--
		}
	}
	return gone, below(n, l.cfg.PerPrefix)
}
