package dnsdisc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"parley/enode"
)

const (
	defaultRate    = 3               // lookups a second
	defaultTimeout = 5 * time.Second // for one lookup
)

// A Resolver looks up TXT records, as *net.Resolver does: one string for each
// record. The name is absolute, with a dot at its end.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// A Store keeps the sequence numbers of lists across restarts, by the URL of the
// list. It is safe for concurrent use.
type Store interface {
	// Seq returns the number stored under name, and whether there is one.
	Seq(name string) (uint64, bool)
	// StoreSeq stores a number that is not lower than the one before. It
	// returns when the number is safe.
	StoreSeq(name string, seq uint64) error
}

// Config is for [NewClient].
type Config struct {
	// Lists are where to begin. They may link to others, of which at most 16
	// are read.
	Lists []Link

	// Resolver makes the lookups. Nil means that of the system.
	Resolver Resolver

	// Store keeps sequence numbers, so that nobody can show us a list from
	// before a restart. Nil means that they are kept in memory only.
	Store Store

	// Rate is how many lookups are made in any second, roots included. Zero means
	// 3, which is what one node may ask of the servers of others; a tool that
	// copies a whole list may ask for more.
	Rate int

	// Timeout bounds one lookup. Zero means 5 seconds.
	Timeout time.Duration

	// Private accepts nodes at private and local addresses too, for a network
	// of one's own. Otherwise they are left out: the owner of a list could
	// make all its readers call at machines in their own networks.
	Private bool

	// Logger gets what is wrong with a list, at level debug. Nil means none.
	Logger *slog.Logger
}

// Stats count what a [Client] has done.
type Stats struct {
	Lookups uint64 // made
	Failed  uint64 // without an answer that was of use
	Refused uint64 // entries and nodes
	Nodes   uint64 // yielded
}

// A ListStatus says how one list fares.
type ListStatus struct {
	Link    Link
	Seq     uint64 // of the last good root, or of one before a restart
	Synced  bool   // there is a good root
	Entries int    // resolved or known to be there, in this pass
	Err     error  // of the last lookup, if it failed
}

// A Client reads lists. It has no goroutines: lookups are made while somebody
// takes nodes from it, so that without demand there are none. It is safe for
// concurrent use; all who use it share its rate and what it has learned.
type Client struct {
	resolver Resolver
	store    Store
	timeout  time.Duration
	log      *slog.Logger

	mu    sync.Mutex // guards the fields below
	walk  *walk
	slots []time.Time // when the last lookups were made, Rate of them
	slot  int         // the oldest of them
	stats Stats
}

// NewClient returns a client. The error says all that is wrong with cfg.
func NewClient(cfg Config) (*Client, error) {
	var errs []error
	if cfg.Rate < 0 {
		errs = append(errs, fmt.Errorf("dnsdisc: Rate is %d", cfg.Rate))
	}
	if cfg.Timeout < 0 {
		errs = append(errs, fmt.Errorf("dnsdisc: Timeout is %v", cfg.Timeout))
	}
	for _, l := range cfg.Lists {
		if _, err := ParseLink(l.String()); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c := &Client{
		resolver: cfg.Resolver,
		store:    cfg.Store,
		timeout:  cfg.Timeout,
		log:      cfg.Logger,
		slots:    make([]time.Time, max(cfg.Rate, 0)),
	}
	if c.resolver == nil {
		c.resolver = net.DefaultResolver
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rate == 0 {
		c.slots = make([]time.Time, defaultRate)
	}
	rng := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	c.walk = newWalk(cfg.Lists, rng, cfg.Private, c.seq)
	return c, nil
}

// seq returns the stored number of a list.
func (c *Client) seq(link Link) uint64 {
	if c.store == nil {
		return 0
	}
	seq, _ := c.store.Seq(link.String())
	return seq
}

// Nodes yields nodes of all lists in random order, each whenever it comes by: a
// list is gone through again and again, at most once a minute, and its root is checked every half
// hour. It ends when ctx does, and at once if there are no lists.
//
// Yielded are nodes that can be contacted and whose addresses are public, at
// most two of one /24 or /48 in an hour, over all lists.
//
// A failure delays only the list it belongs to, for longer each time. A list
// whose new root is refused goes on with the one before.
func (c *Client) Nodes(ctx context.Context) iter.Seq[*enode.Node] {
	return func(yield func(*enode.Node) bool) {
		for ctx.Err() == nil {
			c.mu.Lock()
			if len(c.walk.lists) == 0 {
				c.mu.Unlock()
				return
			}
			s := c.walk.next(time.Now())
			c.mu.Unlock()
			n := s.node
			switch {
			case s.lookup:
				n = c.do(ctx, s.query)
			case n == nil:
				if !wait(ctx, s.wake) {
					return
				}
			}
			if n == nil {
				continue
			}
			c.mu.Lock()
			c.stats.Nodes++
			c.mu.Unlock()
			if !yield(n) {
				return
			}
		}
	}
}

// do makes a lookup, and returns the node that it led to, or nil.
func (c *Client) do(ctx context.Context, q query) *enode.Node {
	texts, err := c.lookup(ctx, q.name())
	if ctx.Err() != nil {
		c.mu.Lock()
		c.walk.giveUp(time.Now(), q)
		c.mu.Unlock()
		return nil
	}
	c.mu.Lock()
	out := c.walk.answer(time.Now(), q, texts, err)
	if out.err != nil {
		c.stats.Refused++
		if errors.Is(out.err, ErrHash) || err != nil {
			c.stats.Failed++
		}
	}
	c.mu.Unlock()
	if out.root != nil {
		// The number is stored before anything of the tree is used, or a
		// crash would let an older tree back in.
		err := c.remember(q.list.link, out.root.seq)
		c.mu.Lock()
		if err == nil {
			c.walk.adopt(time.Now(), q.list, *out.root)
		} else {
			c.walk.refuseRoot(time.Now(), q.list, err)
			out.err = err
		}
		c.mu.Unlock()
	}
	if out.err != nil {
		c.log.Debug("dnsdisc: not used", "name", q.name(), "err", out.err)
	}
	return out.node
}

// remember stores the sequence number of a list. A store that fails for now is
// no reason to go without nodes; one that knows a higher number is.
func (c *Client) remember(link Link, seq uint64) error {
	if c.store == nil {
		return nil
	}
	name := link.String()
	before, ok := c.store.Seq(name)
	switch {
	case ok && seq < before:
		return ErrSeq
	case ok && seq == before:
		return nil
	}
	if err := c.store.StoreSeq(name, seq); err != nil {
		if before, ok := c.store.Seq(name); ok && seq < before {
			return ErrSeq
		}
		c.log.Debug("dnsdisc: sequence number not stored", "list", name, "err", err)
	}
	return nil
}

// lookup makes a lookup when its turn has come.
func (c *Client) lookup(ctx context.Context, name string) ([]string, error) {
	if !wait(ctx, c.reserve(time.Now())) {
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.resolver.LookupTXT(ctx, name)
}

// reserve returns when the next lookup may be made: a second after the one that
// came Rate before it.
func (c *Client) reserve(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := later(now, c.slots[c.slot].Add(time.Second))
	c.slots[c.slot] = at
	c.slot = (c.slot + 1) % len(c.slots)
	c.stats.Lookups++
	return at
}

// wait returns true at the given time, or false when ctx ends.
func wait(ctx context.Context, until time.Time) bool {
	d := time.Until(until)
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Stats returns a copy of the counters.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Lists returns how each list fares, those of the Config first.
func (c *Client) Lists() []ListStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	lists := make([]ListStatus, 0, len(c.walk.lists))
	for _, l := range c.walk.lists {
		lists = append(lists, ListStatus{Link: l.link, Seq: l.seq, Synced: l.have, Entries: len(l.seen), Err: l.err})
	}
	return lists
}
