// Package crawl makes a list of all nodes of a network: it asks every node for
// those that it knows, and for its record.
//
// A [Core] decides whom to ask what, and keeps the results. It is plain Go:
// time, randomness and answers come as arguments. [Run] is the shell, which puts
// its questions to the network.
package crawl

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"parley/dnsdisc"
	"parley/enode"
)

const (
	// pause is the least time between two questions to one node. Some refuse more
	// than eight packets a second from one address.
	pause = 200 * time.Millisecond

	// retryPause is how long a question rests that was not answered.
	retryPause = time.Second

	// maxVisits is how many nodes are being talked to at a time, most of which are
	// in a pause. It is small enough for discovery to keep a session with each.
	maxVisits = 128

	// maxPlaces is how many endpoints of one node are tried: others may tell wrong
	// or old ones.
	maxPlaces = 3

	// maxPerHost is how many nodes, or places of nodes, at one public host are
	// believed in: an IPv4 address, or an IPv6 network of 64 bits. Without it anybody
	// could name a stranger's address as that of thousands of nodes, and have us ask
	// there. Seeds and nodes known before do not count.
	maxPerHost = 64

	// maxBusy is how often a question is put off because our own side is busy,
	// maxFailures how many questions a node may leave open before it is let go.
	maxBusy     = 10
	maxFailures = 3
)

// A Config says what to crawl. Self and Rand are required.
type Config struct {
	// Self is the node that asks. It is not part of the result.
	Self enode.ID

	// V4 asks as discovery v4 does; otherwise it is v5.
	V4 bool

	// Known are nodes from before. All of them are checked.
	Known dnsdisc.NodeSet

	// Seeds are asked first.
	Seeds []*enode.Node

	// CheckOnly asks only Known, and nobody for others.
	CheckOnly bool

	// Restrict, if not empty, is the list of networks outside of which nobody is
	// asked. What Known says of such nodes stays as it is.
	Restrict []netip.Prefix

	// MaxNodes bounds the nodes, those of Known not counted. Zero means 100,000, at
	// about 1.5 KiB each.
	MaxNodes int

	// Rate is how many questions a second are put, at most. Zero means 200.
	Rate float64

	// Rand makes the targets of discovery v4.
	Rand *rand.Rand
}

// A Question is for one node: for its record or, if Distances is not empty, for
// other nodes. It belongs to the Core and comes back with the answer.
type Question struct {
	Node *enode.Node
	V4   bool // by which protocol

	// Distances are those from Node at which others are asked for.
	Distances []uint

	// Target is for v4, which asks for nodes near to its ID. It has the only one of
	// Distances from Node.
	Target enode.PublicKey

	visit *visit
}

// Find reports whether the question is for other nodes.
func (q *Question) Find() bool { return len(q.Distances) > 0 }

// An Answer is what came of a Question.
type Answer struct {
	Record *enode.Node   // of a question for it
	Nodes  []*enode.Node // of any other
	Err    error         // no answer
	Busy   bool          // the question was not put: it should be later
}

// A Core is one crawl. It is not safe for concurrent use.
type Core struct {
	cfg     Config
	entries map[enode.ID]*entry
	queue   []*entry // wait for a visit
	visits  []*visit

	next     time.Time // when the rate allows another question
	limit    int       // of entries
	hosts    map[netip.Prefix]int
	began    time.Time // when Next was called first
	asked    int
	checked  int // entries
	alive    int // entries
	dropped  int // nodes for which there was no room
	mentions mentions
	fresh    meter
}

// New returns a Core that begins with the nodes in cfg. It is an error if one of
// those known has no record.
func New(cfg Config) (*Core, error) {
	known, err := cfg.Known.Nodes()
	if err != nil {
		return nil, fmt.Errorf("crawl: %w", err)
	}
	if cfg.MaxNodes == 0 {
		cfg.MaxNodes = 100_000
	}
	if cfg.Rate == 0 {
		cfg.Rate = 200
	}
	c := &Core{cfg: cfg, entries: make(map[enode.ID]*entry), hosts: make(map[netip.Prefix]int), limit: cfg.MaxNodes + len(cfg.Known)}
	seeds := cfg.Seeds
	if cfg.CheckOnly {
		seeds = nil
	}
	for _, n := range slices.Concat(seeds, known) {
		if c.permitted(n) {
			c.learn(n)
		}
	}
	return c, nil
}

// Next returns the next question, or nil and when to call again. If that is zero
// too there is nothing to ask before an answer to one of the questions that are
// out; without any, the crawl is over.
func (c *Core) Next(now time.Time) (*Question, time.Time) {
	if c.began.IsZero() {
		c.began = now
	}
	for len(c.visits) < maxVisits && len(c.queue) > 0 {
		e := c.queue[0]
		c.queue = c.queue[1:]
		c.visits = append(c.visits, c.visit(e, now))
	}
	var wake time.Time
	var first *visit
	for _, v := range c.visits {
		if !v.out && (first == nil || v.ready.Before(wake)) {
			first, wake = v, v.ready
		}
	}
	if first == nil {
		return nil, time.Time{}
	}
	if c.next.After(wake) {
		wake = c.next
	}
	if wake.After(now) {
		return nil, wake
	}
	c.next = now.Add(time.Duration(float64(time.Second) / c.cfg.Rate))
	c.asked++
	first.out = true
	return first.question(c.cfg), time.Time{}
}

// Answer takes what came of a question.
func (c *Core) Answer(now time.Time, q *Question, a Answer) {
	v := q.visit
	v.out, v.ready = false, now.Add(pause)
	switch {
	case a.Busy:
		c.asked--
		v.ready = now.Add(retryPause)
		if v.busy++; v.busy > maxBusy {
			c.leave(v)
		}
	case !q.Find():
		c.answeredCheck(now, v, a)
	case a.Err != nil:
		v.ready = now.Add(retryPause)
		if v.failures++; v.failures >= maxFailures || !v.plan.failed() {
			c.leave(v)
		}
	default:
		for _, n := range a.Nodes {
			c.told(now, v, n)
		}
		if !v.plan.answered(v.node.ID(), a.Nodes) {
			c.leave(v)
		}
	}
}

// answeredCheck takes the answer to the question for a record.
func (c *Core) answeredCheck(now time.Time, v *visit, a Answer) {
	e := v.entry
	switch {
	case a.Err == nil && a.Record != nil:
		e.checked(now, a.Record)
		c.checked++
		c.alive++
		if c.cfg.CheckOnly {
			c.leave(v)
			return
		}
		v.plan = newPlan(c.cfg.V4, len(c.entries))
	case v.tries < c.maxTries():
		v.ready = now.Add(retryPause)
	case e.tried+1 < len(e.places):
		e.tried++
		v.node, v.tries = e.places[e.tried], 0
	default:
		e.checked(now, nil)
		c.checked++
		c.leave(v)
	}
}

// maxTries is how often a node is asked for its record at one place. Discovery v4
// repeats by itself what is not answered.
func (c *Core) maxTries() int {
	if c.cfg.V4 {
		return 1
	}
	return 3
}

// told takes a node that the one visited told of.
func (c *Core) told(now time.Time, v *visit, n *enode.Node) {
	_, again := v.told[n.ID()]
	if _, ok := n.UDPEndpoint(); !ok || again || n.ID() == v.node.ID() || !c.permitted(n) {
		return
	}
	v.told[n.ID()] = struct{}{}
	e := c.entries[n.ID()]
	fresh := e == nil
	if (fresh || !e.knows(n)) && !c.room(n, fresh) {
		c.dropped++
		return
	}
	if fresh {
		c.fresh.add(now, 1)
	}
	e = c.learn(n)
	e.tellers++
	c.mentions.add(e.tellers)
}

// room reports whether there is room for a node, or for one more place of a node,
// and takes it.
func (c *Core) room(n *enode.Node, fresh bool) bool {
	if fresh && len(c.entries) >= c.limit {
		return false
	}
	at, _ := n.UDPEndpoint()
	addr := at.Addr()
	if addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() {
		return true
	}
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	host := netip.PrefixFrom(addr, bits).Masked()
	if c.hosts[host] >= maxPerHost {
		return false
	}
	c.hosts[host]++
	return true
}

// learn enters a node, or one more place at which it may be, and sees to it that
// it is asked there. The node is one that may be asked.
func (c *Core) learn(n *enode.Node) *entry {
	e := c.entries[n.ID()]
	if e == nil {
		e = &entry{old: c.cfg.Known[n.ID()]}
		c.entries[n.ID()] = e
	}
	if e.add(n) && !e.waiting && e.outcome != passed {
		if e.outcome == failed {
			// It was looked for where it is not any more.
			e.outcome = unchecked
			e.tried++
			c.checked--
		}
		e.waiting = true
		c.queue = append(c.queue, e)
	}
	return e
}

// permitted reports whether n may be asked: it is not the one that asks, nor are all
// its endpoints outside of the permitted networks.
func (c *Core) permitted(n *enode.Node) bool {
	if n.ID() == c.cfg.Self {
		return false
	}
	outside := false
	for at := range n.UDPEndpoints() {
		if len(c.cfg.Restrict) == 0 || slices.ContainsFunc(c.cfg.Restrict, func(p netip.Prefix) bool { return p.Contains(at.Addr()) }) {
			return true
		}
		outside = true
	}
	return !outside
}

// NodeSet returns the result so far: the nodes that answered with a record, and
// those known before that are not given up.
func (c *Core) NodeSet() dnsdisc.NodeSet {
	set := make(dnsdisc.NodeSet)
	maps.Copy(set, c.cfg.Known)
	for id, e := range c.entries {
		if status, ok := e.status(); ok {
			set[id] = status
		} else {
			delete(set, id)
		}
	}
	return set
}
