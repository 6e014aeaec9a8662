// Package kad keeps the nodes that discovery knows: a table of buckets by XOR
// distance from this node, with the checks and refreshes that keep it alive, and
// the lookup that finds the nodes nearest to a target.
//
// A [Table] and a [Lookup] are cores: they send nothing and read no clock. Their
// owner passes the time in, sends what they ask for and reports what came of it.
// The same calls with the same random source give the same results. Neither is
// safe for concurrent use.
//
// Whoever fills the table is a stranger, so every place in it is contested. The
// rules are few: nodes that proved their endpoint never give way to others;
// whoever did not gives way to one who did; and one network holds few places, in
// a bucket and in all of them.
package kad

import (
	"math/rand/v2"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

const (
	// BucketSize is how many nodes a bucket holds, k in the specifications.
	BucketSize = 16

	// MaxReplacements is how many nodes wait beside a bucket for a place in it.
	MaxReplacements = 10

	// buckets is how many buckets there are. Each distance from 256 downwards has
	// its own; the last one is for all the distances that are left. With n nodes
	// in the network about 256-log2(n) is the lowest distance that is ever seen.
	buckets = 20

	// lowest is the greatest distance of the shared bucket.
	lowest = 256 - buckets + 1
)

// Defaults of Config.
const (
	defaultPerBucket   = 2
	defaultPerTable    = 10
	defaultFast        = 10 * time.Second
	defaultSlow        = 15 * time.Minute
	defaultRefreshFast = 5 * time.Second
	defaultRefreshSlow = 3 * time.Minute
)

// A Config is what can be chosen about a Table. The zero Config is the default.
type Config struct {
	// PerBucket and PerTable bound the nodes of one network (IPv4 /24 or IPv6
	// /64) in one bucket and in the table; an IPv6 /48 may have twice as many.
	// Zero means 2 and 10, a negative number no bound. Addresses for which
	// netaddr.Exempt holds are not counted.
	PerBucket, PerTable int

	// Restrict keeps out nodes that have no UDP endpoint in it. The empty list
	// restricts nothing.
	Restrict netaddr.List

	// Exempt are nodes that PerBucket and PerTable do not apply to, for instance
	// those that the operator named. See [Table.SetExempt].
	Exempt []enode.ID

	// Fast is the pause between two checks of a node that has just proved its
	// endpoint. It grows with the time for which the node has been live, up to
	// Slow. Zero or less means 10 seconds and 15 minutes.
	Fast, Slow time.Duration

	// RefreshFast is the pause between two refreshes while the table has few
	// live nodes and refreshes find more, RefreshSlow the pause otherwise. Zero
	// or less means 5 seconds and 3 minutes.
	RefreshFast, RefreshSlow time.Duration
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	limit := func(n *int, standard int) {
		if *n == 0 {
			*n = standard
		}
	}
	interval := func(d *time.Duration, standard time.Duration) {
		if *d <= 0 {
			*d = standard
		}
	}
	limit(&c.PerBucket, defaultPerBucket)
	limit(&c.PerTable, defaultPerTable)
	interval(&c.Fast, defaultFast)
	interval(&c.Slow, defaultSlow)
	interval(&c.RefreshFast, defaultRefreshFast)
	interval(&c.RefreshSlow, defaultRefreshSlow)
	c.Slow = max(c.Slow, c.Fast)
	c.RefreshSlow = max(c.RefreshSlow, c.RefreshFast)
	return c
}

// A Table holds at most 20·16 nodes in buckets by their distance from this node,
// and beside each bucket at most 10 that wait for a place. Make one with [New].
type Table struct {
	self   enode.ID
	cfg    Config
	exempt map[enode.ID]bool
	rng    *rand.Rand

	buckets [buckets]bucket
	entries map[enode.ID]*entry // all nodes in buckets; never ranged over
	live    int                 // how many of them are live
	members tally               // networks of the nodes in buckets
	waiting tally               // networks of the replacements

	queue   queue     // all entries by the time of their next check
	paced   time.Time // no check before this time
	refresh refresh
}

// New returns an empty table for the node self. All random choices are made
// with rng, which nobody else may use while a method of the table runs.
func New(self enode.ID, cfg Config, rng *rand.Rand) *Table {
	t := &Table{
		self:    self,
		cfg:     cfg.withDefaults(),
		rng:     rng,
		entries: make(map[enode.ID]*entry),
		members: make(tally),
		waiting: make(tally),
	}
	t.cfg.Exempt = nil
	t.SetExempt(cfg.Exempt)
	return t
}

// SetExempt replaces the nodes to which the limits for networks do not apply.
// Nodes that are in the table stay in it, and are counted as before until their
// address changes.
func (t *Table) SetExempt(ids []enode.ID) {
	t.exempt = make(map[enode.ID]bool, len(ids))
	for _, id := range ids {
		t.exempt[id] = true
	}
}

// SetRestrict replaces Config.Restrict. Nodes that are outside of it now are forgotten,
// and their places go to others that are not.
func (t *Table) SetRestrict(now time.Time, list netaddr.List) {
	t.cfg.Restrict = list
	for i := range t.buckets {
		b := &t.buckets[i]
		for j := len(b.replacements) - 1; j >= 0; j-- {
			if !t.usable(b.replacements[j].node) {
				t.takeReplacement(b, j)
			}
		}
		for _, e := range slices.Clone(b.entries) {
			if !t.usable(e.node) {
				t.drop(now, e)
			}
		}
	}
}

// Get returns the node with the given ID as the table knows it, whether it has a
// place in a bucket or waits for one.
func (t *Table) Get(id enode.ID) (*enode.Node, bool) {
	if e := t.entries[id]; e != nil {
		return e.node, true
	}
	b := t.bucketOf(id)
	if i := b.replacement(id); i >= 0 {
		return b.replacements[i].node, true
	}
	return nil, false
}

// Len returns how many nodes are in buckets, and how many of them are live:
// proved their endpoint, and did not fail to answer since.
func (t *Table) Len() (all, live int) {
	return len(t.entries), t.live
}

// A BucketInfo describes a bucket for people and tests.
type BucketInfo struct {
	// Distance is the logarithmic distance from this node of the nodes in the
	// bucket; the bucket of distance 237 has the smaller ones too.
	Distance     int
	Entries      []EntryInfo   // in the order in which they entered
	Replacements []*enode.Node // the one seen last is last
}

// An EntryInfo describes a node in a bucket.
type EntryInfo struct {
	Node   *enode.Node
	Added  time.Time // when it got its place
	Live   bool
	Checks int // checks passed since then
}

// Snapshot returns a copy of the buckets that are not empty, nearest first.
func (t *Table) Snapshot() []BucketInfo {
	var infos []BucketInfo
	for i := range t.buckets {
		b := &t.buckets[i]
		if len(b.entries) == 0 && len(b.replacements) == 0 {
			continue
		}
		info := BucketInfo{Distance: lowest + i}
		for _, e := range b.entries {
			info.Entries = append(info.Entries, EntryInfo{Node: e.node, Added: e.added, Live: e.state == live, Checks: e.checks})
		}
		for _, r := range b.replacements {
			info.Replacements = append(info.Replacements, r.node)
		}
		infos = append(infos, info)
	}
	return infos
}
