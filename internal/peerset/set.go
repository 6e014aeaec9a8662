// Package peerset decides whom to keep: who may connect, who becomes a peer, who
// gives way, whom to dial next, who is banned, and why somebody was refused.
//
// A [Set] is a core: it has no lock, goroutine, clock or socket. Its owner calls
// it under one mutex, passes the time in, and carries out what it returns. All
// choices by chance come from the random source that [New] is given, and no
// result depends on the order of a map: the same calls with the same source give
// the same results.
//
// # What it holds
//
// Strangers can make up any number of node IDs, and some have many addresses, so
// everything that they can fill has a bound. With all of it full a Set holds less
// than 16 MiB.
//
//	peers                  Limits.Peers, and trusted nodes
//	handshakes             Limits.Pending each way, 16,384 addresses seen lately
//	static, trusted        1,000 each
//	candidates             64 for each of 32 sources, few of one network
//	dialed nodes           4,096, and when to dial them again
//	addresses at rest      4,096
//	estimates              32 sources, 4,096 networks
//	bans                   4,096, of them 2,048 by score
//	scores                 2,048
//	verdicts               16 for each of 1,024 nodes, static and trusted ones on top
package peerset

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"parley/enode"
	"parley/internal/netaddr"
)

// ID names a node.
type ID = enode.ID

// The reasons for which a node is refused. They are wrapped with detail.
var (
	ErrSelf             = errors.New("it is this node itself")
	ErrAlreadyConnected = errors.New("already connected")
	ErrTooManyPeers     = errors.New("too many peers")
	ErrRestricted       = errors.New("address is outside the permitted networks (netrestrict)")
	ErrTooSoon          = errors.New("too soon after the last attempt")
	ErrTooManyPending   = errors.New("too many handshakes in flight")
	ErrTooManyFromHost  = errors.New("too many connections from this address")
	ErrTooManyFromNet   = errors.New("too many connections from this network")
	ErrTooManyInNet     = errors.New("as many nodes of this network are dialed as may be")
	ErrTooManyStatic    = fmt.Errorf("more than %d static or trusted nodes", MaxStatic)
	ErrNoEndpoint       = errors.New("no TCP endpoint is known")
	ErrAlreadyDialing   = errors.New("already being dialed")
	ErrQueueFull        = errors.New("enough candidates are waiting")
	ErrBanned           = errors.New("banned")
	ErrPolicy           = errors.New("refused by the policy")
)

// MaxStatic bounds the number of static nodes, and of trusted nodes.
const MaxStatic = 1000

// Limits bound a Set.
type Limits struct {
	Peers   int // peers in all; trusted nodes come on top
	Dialed  int // of them, dynamically dialed; static nodes are not counted
	Pending int // handshakes in flight, inbound and dialed each
}

// Inbound returns how many peers may be inbound.
func (l Limits) Inbound() int { return max(0, l.Peers-l.Dialed) }

// An Opinion is what the user's policy said of a connection or a candidate. The
// owner asks it before it takes the lock. The zero Opinion has no objection.
type Opinion struct {
	Err    error // the objection, or nil
	DryRun bool  // count the objection, but do not act on it
}

// A Set knows the peers, the connections that may become peers, the nodes to be
// dialed, and what was said about all of them.
//
// Methods must not be called concurrently. Times passed in must not go
// backwards.
type Set struct {
	self       ID
	limits     Limits
	restrict   netaddr.List
	resolvable bool // see Resolvable
	paused     bool // see Pause
	rng        *rand.Rand

	peers   map[ID]*peer
	inbound int // peers that count against Limits.Inbound
	dialed  int // peers that count against Limits.Dialed
	above   int // peers that are trusted

	trusted map[ID]*enode.Node
	friends map[netip.Addr]int // addresses of static and trusted nodes, with how many have each

	door   door
	evict  evictor
	dialer dialer
	crowd  crowd // dialed peers and dials in flight by network
	bans   banlist
	scores scoreboard
	book   book
}

// New returns an empty Set for the node self. An empty restrict permits every
// address. Nobody else may use rng while a method runs.
func New(self ID, limits Limits, restrict netaddr.List, rng *rand.Rand) *Set {
	return &Set{
		self:     self,
		limits:   limits,
		restrict: restrict,
		rng:      rng,
		peers:    make(map[ID]*peer),
		trusted:  make(map[ID]*enode.Node),
		friends:  make(map[netip.Addr]int),
		door:     newDoor(),
		dialer:   newDialer(),
		crowd:    make(crowd),
		bans:     newBanlist(),
		scores:   newScoreboard(),
		book:     newBook(),
	}
}

// Restricted reports whether addr is outside the permitted networks.
func (s *Set) Restricted(addr netip.Addr) bool {
	return !s.restrict.Allows(addr)
}

// Consult applies the policy's opinion of something that the Set decides nothing
// else about: it returns the error to refuse with, or nil.
func (s *Set) Consult(policy Opinion) error { return s.objection(policy) }

// objection applies the policy's opinion: it returns the error to refuse with, or
// nil, and counts what a dry run would have refused.
func (s *Set) objection(o Opinion) error {
	switch {
	case o.Err == nil:
		return nil
	case o.DryRun:
		s.book.dryRun++
		return nil
	}
	return fmt.Errorf("%w: %w", ErrPolicy, o.Err)
}

// GateOf returns the gate at which Admit, Add, Offer, Permit or Consult refused with
// err.
func GateOf(err error) Gate {
	switch {
	case errors.Is(err, ErrBanned):
		return GateBan
	case errors.Is(err, ErrPolicy):
		return GatePolicy
	case errors.Is(err, ErrRestricted):
		return GateNetRestrict
	case errors.Is(err, ErrTooSoon):
		return GateHistory
	case errors.Is(err, ErrNoEndpoint):
		return GateRecord
	}
	return GateQuota
}
