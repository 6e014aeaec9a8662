package dnsdisc

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

const (
	rootEvery  = 30 * time.Minute     // between checks of a root that is well
	rootAgain  = time.Minute          // at least, if an entry was missing
	passEvery  = time.Minute          // between two passes over a list, at least,
	passEntry  = 5 * time.Millisecond // and for each of its entries
	netsEvery  = time.Hour            // how long the nodes chosen of a network stay
	longestGap = time.Hour            // of a back-off
	triesEach  = 3                    // for one entry, in one pass

	maxLinked  = 16       // lists found through links
	nodesOfNet = 2        // nodes of one network
	cacheLimit = 24 << 20 // bytes of entries kept, so that all is below 32 MiB
	atOnce     = 32       // entries taken from the cache in one step
	entryCost  = 400      // of an entry in memory, besides its text
	nodeCost   = 1000     // of a node, besides that
)

// ErrAddress means that a node has no address that somebody far away may dial, or there are
// enough of its network.
var ErrAddress = errors.New("the node's address is not public, or there are enough of its network")

// A walk goes through lists in random order, an entry at a time, and says what
// to look up next. It is a core: its owner calls it under one mutex, does the
// lookups, and gives it the answers.
type walk struct {
	rng     *rand.Rand
	private bool              // nodes with local addresses count too
	seqOf   func(Link) uint64 // the highest number stored for a list

	lists   []*list
	linked  int // of lists
	entries int // in all maps seen
	cached  int // bytes of all caches

	nets      map[netip.Prefix][]enode.ID // nodes chosen
	netsSince time.Time
}

// A list is the state of one list.
type list struct {
	link Link
	root root // the last good one
	have bool
	seq  uint64 // no root below this is taken

	rootAt    time.Time // next check
	rootTried time.Time
	rootFails int
	err       error // of the last lookup

	seen    map[ref]bool  // in this pass
	work    []ref         // to be resolved
	later   []delayed     // to be resolved again
	flight  int           // being looked up
	cache   map[hash]kept // resolved before
	before  map[hash]kept // the cache of the root before, until the first pass ends
	passAt  time.Time     // when the next pass may begin
	restTil time.Time
	fails   int // in a row
}

// A kept is an entry that was resolved before. It has been read already, because
// verifying a record takes longer than all else.
type kept struct {
	text  string
	entry entry
	err   error // why it is of no use
}

func (k kept) cost() int {
	if k.entry.node != nil {
		return len(k.text) + entryCost + nodeCost
	}
	return len(k.text) + entryCost
}

// A ref is an entry to be resolved.
type ref struct {
	h     hash
	depth int
	links bool // of the subtree of links
}

type delayed struct {
	ref
	fails int
	after time.Time
}

// A query is a lookup to be made: of a root, if the hash is empty.
type query struct {
	list  *list
	ref   ref
	fails int
}

// name returns the name in DNS, absolute.
func (q query) name() string {
	if q.ref.h == "" {
		return q.list.link.Domain + "."
	}
	return q.ref.h.String() + "." + q.list.link.Domain + "."
}

func newWalk(links []Link, rng *rand.Rand, private bool, seqOf func(Link) uint64) *walk {
	w := &walk{rng: rng, private: private, seqOf: seqOf, nets: make(map[netip.Prefix][]enode.ID)}
	for _, link := range links {
		w.add(link)
	}
	return w
}

func (w *walk) add(link Link) {
	if !slices.ContainsFunc(w.lists, func(l *list) bool { return l.link == link }) {
		w.lists = append(w.lists, &list{link: link, seq: w.seqOf(link), seen: map[ref]bool{}, cache: map[hash]kept{}})
	}
}

// A step is what to do next: use a node, look something up, or, with neither,
// wait.
type step struct {
	node   *enode.Node
	query  query
	lookup bool
	wake   time.Time
}

// next returns what to do at now. Whoever gets a query brings it back, with
// answer or giveUp.
func (w *walk) next(now time.Time) step {
	if now.Sub(w.netsSince) >= netsEvery {
		clear(w.nets)
		w.netsSince = now
	}
	wake := now.Add(rootEvery)
	for _, i := range w.rng.Perm(len(w.lists)) {
		l := w.lists[i]
		if !l.rootAt.After(now) {
			l.rootAt, l.rootTried = now.Add(rootAgain), now
			return step{query: query{list: l}, lookup: true}
		}
		wake = earlier(wake, l.rootAt)
	}
	for _, i := range w.rng.Perm(len(w.lists)) {
		l := w.lists[i]
		if !l.have {
			continue
		}
		if l.restTil.After(now) {
			wake = earlier(wake, l.restTil)
			continue
		}
		tried := 0
		for range atOnce {
			q, ok, again := w.pick(l, now)
			if !ok {
				wake = earlier(wake, again)
				break
			}
			k, known := l.known(q.ref.h)
			if !known {
				l.flight++
				return step{query: q, lookup: true}
			}
			if n, err := w.resolve(l, q.ref, k); err == nil && n != nil {
				return step{node: n}
			}
			tried++
		}
		if tried == atOnce {
			wake = now
		}
	}
	return step{wake: wake}
}

// pick takes an entry of l to be resolved, or tells when to ask again.
func (w *walk) pick(l *list, now time.Time) (query, bool, time.Time) {
	for i, d := range l.later {
		if !d.after.After(now) {
			l.later = slices.Delete(l.later, i, i+1)
			return query{list: l, ref: d.ref, fails: d.fails}, true, now
		}
	}
	if len(l.work) == 0 {
		if len(l.later) > 0 {
			soonest := slices.MinFunc(l.later, func(a, b delayed) int { return a.after.Compare(b.after) })
			return query{}, false, soonest.after
		}
		if l.flight > 0 || l.passAt.After(now) {
			return query{}, false, later(l.passAt, now.Add(time.Second))
		}
		w.begin(l, now)
		if len(l.work) == 0 { // no room
			return query{}, false, l.passAt
		}
	}
	i := w.rng.IntN(len(l.work))
	r := l.work[i]
	last := len(l.work) - 1
	l.work[i] = l.work[last]
	l.work = l.work[:last]
	return query{list: l, ref: r}, true, now
}

// begin starts a pass.
func (w *walk) begin(l *list, now time.Time) {
	for _, k := range l.before {
		w.cached -= k.cost() // is in no tree any more
	}
	l.before = nil
	l.passAt = now.Add(max(passEvery, time.Duration(len(l.seen))*passEntry))
	w.entries -= len(l.seen)
	clear(l.seen)
	l.work, l.later = l.work[:0], nil
	w.push(l, ref{h: l.root.links, links: true})
	w.push(l, ref{h: l.root.nodes})
}

// push adds an entry once. It returns false if there are too many.
func (w *walk) push(l *list, r ref) bool {
	at := ref{h: r.h, links: r.links} // at whatever depth
	switch {
	case l.seen[at]:
		return true
	case w.entries >= MaxEntries:
		return false
	}
	l.seen[at] = true
	w.entries++
	l.work = append(l.work, r)
	return true
}

// known returns an entry that was resolved before. It is compared with the whole
// hash again: what it was stored under may be shorter.
func (l *list) known(h hash) (kept, bool) {
	for _, cache := range [...]map[hash]kept{l.cache, l.before} {
		if k, ok := cache[h]; ok && h.matches(k.text) {
			return k, true
		}
	}
	return kept{}, false
}

// keep stores an entry of l, if there is room.
func (w *walk) keep(l *list, h hash, k kept) {
	if _, ok := l.cache[h]; ok {
		return
	}
	if old, ok := l.before[h]; ok {
		delete(l.before, h)
		w.cached -= old.cost()
	}
	if w.cached+k.cost() <= cacheLimit {
		l.cache[h] = k
		w.cached += k.cost()
	}
}

// resolve takes in an entry that has its hash. It returns the node if it is one
// to be used.
func (w *walk) resolve(l *list, r ref, k kept) (*enode.Node, error) {
	w.keep(l, r.h, k)
	if k.err != nil {
		return nil, k.err
	}
	e := k.entry
	switch {
	case e.isBranch && r.depth >= MaxDepth:
		return nil, ErrDepth
	case e.isBranch:
		for _, h := range e.branch {
			if !w.push(l, ref{h: h, depth: r.depth + 1, links: r.links}) {
				return nil, ErrTooMany
			}
		}
		return nil, nil
	case e.isLink != r.links:
		return nil, ErrMisplaced
	case e.isLink:
		before := len(w.lists)
		if w.linked < maxLinked {
			w.add(e.link)
			w.linked += len(w.lists) - before
		}
		return nil, nil
	}
	if !w.admit(e.node) {
		return nil, ErrAddress
	}
	return e.node, nil
}

// admit reports whether a node may be used: it can be contacted from anywhere,
// and is one of the first two that are so in its network.
func (w *walk) admit(n *enode.Node) bool {
	if n.Incomplete() {
		return false
	}
	var keys []netip.Prefix
	for _, addr := range [...]netip.Addr{n.Addr4(), n.Addr6()} {
		switch {
		case !addr.IsValid():
		case netaddr.ClassOf(addr) != netaddr.Public && !w.private:
			return false
		case !netaddr.Exempt(addr):
			keys = append(keys, netaddr.NetKey(addr))
		}
	}
	id := n.ID()
	for _, key := range keys {
		if ids := w.nets[key]; len(ids) >= nodesOfNet && !slices.Contains(ids, id) {
			return false
		}
	}
	for _, key := range keys {
		if ids := w.nets[key]; !slices.Contains(ids, id) {
			w.nets[key] = append(ids, id)
		}
	}
	return true
}

// An outcome is what an answer led to.
type outcome struct {
	node *enode.Node
	root *root // to be adopted, after its number is stored
	err  error
}

// answer brings back a query with the TXT records of its name.
func (w *walk) answer(now time.Time, q query, texts []string, err error) outcome {
	if q.ref.h == "" {
		return w.answerRoot(now, q.list, texts, err)
	}
	l := q.list
	l.flight--
	text := ""
	if err == nil {
		text, err = pickEntry(texts, q.ref.h)
	}
	if err != nil {
		l.err = err
		l.fails++
		l.restTil = now.Add(gap(time.Second, l.fails))
		if q.fails+1 < triesEach && l.seen[ref{h: q.ref.h, links: q.ref.links}] {
			l.later = append(l.later, delayed{ref: q.ref, fails: q.fails + 1, after: now.Add(gap(10*time.Second, q.fails+1))})
		}
		// The list may have been changed while we read it.
		l.rootAt = earlier(l.rootAt, later(l.rootTried.Add(rootAgain), now.Add(time.Second)))
		return outcome{err: err}
	}
	l.fails, l.err = 0, nil
	if !l.seen[ref{h: q.ref.h, links: q.ref.links}] {
		return outcome{} // of a root before this one
	}
	e, err := parseEntry(text)
	n, err := w.resolve(l, q.ref, kept{text: text, entry: e, err: err})
	return outcome{node: n, err: err}
}

func (w *walk) answerRoot(now time.Time, l *list, texts []string, err error) outcome {
	var r root
	if err == nil {
		r, err = pickRoot(texts, l.link.Key)
	}
	if err == nil && r.seq < l.seq {
		err = ErrSeq
	}
	if err != nil {
		w.refuseRoot(now, l, err)
		return outcome{err: err}
	}
	return outcome{root: &r}
}

// refuseRoot keeps the root before and asks again after a while.
func (w *walk) refuseRoot(now time.Time, l *list, err error) {
	l.err = err
	l.rootFails++
	l.rootAt = now.Add(gap(10*time.Second, l.rootFails))
}

// adopt takes r for the root of l.
func (w *walk) adopt(now time.Time, l *list, r root) {
	changed := !l.have || r.nodes != l.root.nodes || r.links != l.root.links
	l.root, l.have, l.seq = r, true, max(l.seq, r.seq)
	l.rootAt, l.rootFails, l.err = now.Add(rootEvery), 0, nil
	if !changed {
		return
	}
	old, older := l.cache, l.before
	l.cache, l.before = make(map[hash]kept), nil
	for _, k := range older {
		w.cached -= k.cost()
	}
	w.begin(l, now)
	l.before = old
	l.fails, l.restTil = 0, time.Time{}
}

// giveUp brings back a query that was not made.
func (w *walk) giveUp(now time.Time, q query) {
	if q.ref.h == "" {
		q.list.rootAt = earlier(q.list.rootAt, now)
		return
	}
	q.list.flight--
	if q.list.seen[ref{h: q.ref.h, links: q.ref.links}] {
		q.list.later = append(q.list.later, delayed{ref: q.ref, fails: q.fails, after: now})
	}
}

// gap returns the n-th waiting time of a back-off.
func gap(first time.Duration, n int) time.Duration {
	return min(first<<min(n-1, 20), longestGap)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
