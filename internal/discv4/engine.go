package discv4

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"parley/enode"
	"parley/internal/kad"
	"parley/internal/netaddr"
)

// A Config says who an engine is and what it may do. Key, Self and Rand are
// required.
type Config struct {
	Key  *enode.PrivateKey // signs packets
	Self *enode.Node       // has a record, signed with Key; see SetSelf
	Rand *rand.Rand        // all random choices; not shared while the engine is in use

	// Restrict keeps the engine to these networks. The empty list restricts
	// nothing.
	Restrict netaddr.List

	// Bootnodes are where to begin. Those without a UDP endpoint are of no use.
	Bootnodes []*enode.Node

	// Limits bound what strangers can cause.
	Limits Limits

	// Table is the configuration of the table, but for Restrict, which is the one
	// above, and Exempt, see SetExempt.
	Table kad.Config

	// Lookup is the configuration of all lookups.
	Lookup kad.LookupConfig
}

// An Engine is one node of the network: it answers others, keeps a table of them
// and finds more. It does nothing by itself: every method that can cause something is told
// the time, and none may run at the same time as another.
//
// The time is that of time.Now, with its monotonic reading. All the engine's own
// periods go by that; the wall clock is only for the expiration of packets.
type Engine struct {
	key  *enode.PrivateKey
	self *enode.Node
	own  struct { // of self, computed once
		id     enode.ID
		from   Endpoint
		record ENRResponse
	}
	rng       *rand.Rand
	restrict  netaddr.List
	avoid4    bool // see Avoid
	avoid6    bool
	bootnodes []*enode.Node
	limits    Limits
	lookups   kad.LookupConfig

	table *kad.Table
	gate  gate
	known map[netip.AddrPort]int // how many bonds and dialogs there are, by endpoint
	bonds bonds

	pingBacks aged[netip.AddrPort, [maxPingBacks]time.Duration] // the last times, in order
	backs     tokens
	records   aged[netip.AddrPort, time.Duration] // when an ENRRequest was answered

	dialogs map[place]*dialog
	asked   map[[32]byte]*request // those whose answer carries the hash
	pending int                   // requests under way or waiting
	rtt     kad.RTT
	heard   uint64 // packets accepted, of any kind

	calls    map[Call]func() // each ends what the call began
	lastCall Call
	checkAt  time.Time // when the table wants to check or refresh a node; zero: never
	freshAt  time.Time
	fresh    int // lookups of the refresh under way

	// The time, as given by the call under way. Timers and periods go by t, which
	// is since the first call and never steps.
	now   time.Time
	start time.Time
	t     time.Duration

	timers  timers
	lead    uint64 // seconds added to expirations; another one after a quick restart
	stats   Stats
	out     Output
	spare   Output
	scratch struct { // for answers, so that they need no memory
		pong      Pong
		neighbors Neighbors
	}
}

// New returns an engine. It begins with the first call of [Engine.Advance].
func New(cfg Config) (*Engine, error) {
	switch {
	case cfg.Key == nil:
		return nil, errors.New("discv4: new engine: no private key")
	case cfg.Rand == nil:
		return nil, errors.New("discv4: new engine: no random source")
	}
	limits := cfg.Limits.withDefaults()
	e := &Engine{
		key:       cfg.Key,
		rng:       cfg.Rand,
		restrict:  cfg.Restrict,
		limits:    limits,
		lookups:   cfg.Lookup,
		gate:      newGate(limits),
		known:     make(map[netip.AddrPort]int),
		pingBacks: newAged[netip.AddrPort, [maxPingBacks]time.Duration](pingBackTime, 1<<14),
		backs:     tokens{level: float64(limits.PingBacks)},
		records:   newAged[netip.AddrPort, time.Duration](recordPause, 1<<12),
		dialogs:   make(map[place]*dialog),
		asked:     make(map[[32]byte]*request),
		calls:     make(map[Call]func()),
		rtt:       kad.NewRTT(firstRTT),
		lead:      cfg.Rand.Uint64N(16),
	}
	e.bonds = newBonds(limits.Bonds, e.known)
	if err := e.SetSelf(cfg.Self); err != nil {
		return nil, err
	}
	cfg.Table.Restrict = cfg.Restrict
	e.table = kad.New(e.own.id, cfg.Table, cfg.Rand)
	for _, n := range cfg.Bootnodes {
		if n != nil && n.ID() != e.own.id {
			e.bootnodes = append(e.bootnodes, n)
		}
	}
	return e, nil
}

// SetSelf replaces the record that others are told. It is an error if n has none,
// or one of another key.
func (e *Engine) SetSelf(n *enode.Node) error {
	switch {
	case n == nil || n.Record() == nil:
		return errors.New("discv4: set own node: it has no record")
	case n.PublicKey() != e.key.Public():
		return errors.New("discv4: set own node: its record is not signed with the key of the engine")
	}
	e.self = n
	e.own.id = n.ID()
	udp, _ := n.UDPEndpoint()
	e.own.from = endpointOf(n, udp)
	e.own.record = *responseWith([32]byte{}, n.Record())
	return nil
}

// SetExempt replaces the nodes, and the addresses, to which the limits for single
// hosts and networks do not apply: those that the operator named.
func (e *Engine) SetExempt(nodes []enode.ID, addrs netaddr.List) {
	e.gate.exempt = addrs
	e.table.SetExempt(nodes)
}

// Avoid says that packets to a family of addresses cannot be sent at the moment. A
// node that has an endpoint of the other one is contacted there.
func (e *Engine) Avoid(ipv4, ipv6 bool) { e.avoid4, e.avoid6 = ipv4, ipv6 }

// SetRestrict replaces Config.Restrict. Nodes that are outside of it now are no longer
// in the table; what they have been asked goes unanswered.
func (e *Engine) SetRestrict(now time.Time, list netaddr.List) {
	e.restrict = list
	e.table.SetRestrict(now, list)
}

// enter begins a call.
func (e *Engine) enter(now time.Time) {
	if e.start.IsZero() {
		e.start = now
	}
	e.now = now
	e.t = max(e.t, now.Sub(e.start))
}

// Admit takes part in deciding whether a packet is worth opening: it must come
// from where an answer can go, not have been here before, and its sender must not
// send too many. It is for packets that passed [Check], as whole packets: hash
// first. The error is a [Drop].
func (e *Engine) Admit(now time.Time, from netip.AddrPort, data []byte) error {
	e.enter(now)
	from = normalize(from)
	err := e.admit(from, data)
	if err != nil {
		e.Refuse(err)
	}
	return err
}

func (e *Engine) admit(from netip.AddrPort, data []byte) error {
	switch {
	case len(data) < minSize:
		return DropShort
	case from.Port() == 0 || !netaddr.Contactable(from.Addr()):
		return DropSource
	case !e.restrict.Allows(from.Addr()):
		return DropRestrict
	case e.gate.replayed(e.t, data[:16]):
		return DropReplay
	}
	return e.gate.admit(e.t, from.Addr(), e.known[from] > 0)
}

// Refuse counts a packet that [Check] or [Open] refused, with their error.
func (e *Engine) Refuse(err error) {
	if d, ok := errors.AsType[Drop](err); ok && int(d) < drops {
		e.stats.Dropped[d]++
	}
}

// Advance does what is due: it ends requests that were not answered, sends them
// again, checks nodes of the table and refreshes it. The first call starts that.
func (e *Engine) Advance(now time.Time) {
	e.enter(now)
	e.timers.run(e.t)
	e.upkeep()
}

// Wake returns when [Engine.Advance] should be called next, at the latest. It may
// change with any other call. It is the zero time if nothing will be due, or before
// the first call.
func (e *Engine) Wake() time.Time {
	wake := e.checkAt
	sooner := func(t time.Time) {
		if wake.IsZero() || !t.IsZero() && t.Before(wake) {
			wake = t
		}
	}
	sooner(e.freshAt)
	if at, ok := e.timers.next(); ok {
		sooner(e.start.Add(at))
	}
	return wake
}

// Add tells the engine of a node, from a database or a list. It may become part
// of the table once it proved its endpoint. It returns whether there was room.
func (e *Engine) Add(now time.Time, n *enode.Node) bool {
	e.enter(now)
	added := e.table.Seen(now, n)
	e.upkeep()
	return added
}

// Closest returns the n nodes of the table that are nearest to target, whether
// they proved their endpoint or not.
func (e *Engine) Closest(target enode.ID, n int) []*enode.Node {
	return e.table.Closest(target, n, false)
}

// Snapshot returns a copy of the table.
func (e *Engine) Snapshot() []kad.BucketInfo { return e.table.Snapshot() }

// Len returns how many nodes the table has, and how many of them are live.
func (e *Engine) Len() (all, live int) { return e.table.Len() }

// normalize returns the one form of an endpoint.
func normalize(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netaddr.Normalize(a.Addr()), a.Port())
}
