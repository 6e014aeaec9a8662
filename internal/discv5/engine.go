package discv5

import (
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"parley/enode"
	"parley/internal/kad"
	"parley/internal/netaddr"
)

// A Config says who this node is and what it may do. It is copied by New.
type Config struct {
	// Key is the key of this node.
	Key *enode.PrivateKey

	// Self is this node with its signed record. See Engine.SetSelf.
	Self *enode.Node

	// Rand is the source of all randomness, session keys included: it must be
	// a cryptographic generator with a secret seed, except in tests that are to
	// be repeated. Nil means a ChaCha8 seeded by the operating system. The engine
	// shares it with nobody.
	Rand *rand.Rand

	// Restrict, if not empty, holds the networks that packets are taken from and
	// sent to.
	Restrict netaddr.List

	// Bootnodes are asked first, and again when no other node is known. They
	// may be nodes without a record.
	Bootnodes []*enode.Node

	// Protocol is the protocol id in the header of packets, 6 bytes. Nodes with
	// another one do not hear each other: private networks choose their own.
	// Empty means DefaultProtocol.
	Protocol string

	// NoIPv4 and NoIPv6 say that there is no socket for a family.
	NoIPv4, NoIPv6 bool

	// Sessions is how many sessions are kept. Zero means 1024; a session takes
	// about 4 KiB.
	Sessions int

	// Table and Lookup choose details of the node table and of lookups. Restrict
	// and the bootnodes are added to Table.
	Table  kad.Config
	Lookup kad.LookupConfig
}

const defaultSessions = 1024

// An Engine is the protocol of one node. Its methods must not be called
// concurrently, and times passed in must not go backwards.
type Engine struct {
	cfg   Config
	key   *enode.PrivateKey
	id    enode.ID
	self  *enode.Node
	rng   *rand.Rand
	codec *codec
	table *kad.Table

	avoid4, avoid6 bool // see Avoid

	sessions   sessions
	challenges *challenges
	budget     budget
	generation uint64 // handshakes done

	calls    callBook
	rtt      kad.RTT
	silence  int // calls in a row without an answer
	lookups  map[Call]*lookup
	verified verified
	talks    talkDesk
	upkeep   upkeep

	last  Call // the id given out last
	out   Output
	taken bool   // out was handed over and begins anew
	arena []byte // holds Output.Packets
	stats Stats

	// Scratch memory, for what goes through interfaces.
	plain [MaxPacket]byte // a message to be sealed
	clear [MaxPacket]byte // a message that was opened
	nonce nonce
	found [challengesPerPlace]challenge
}

// New returns an engine. The error joins all that is wrong with the Config.
func New(cfg Config) (*Engine, error) {
	var errs []error
	switch {
	case cfg.Key == nil:
		errs = append(errs, errors.New("no key"))
	case cfg.Self == nil || cfg.Self.Record() == nil:
		errs = append(errs, errors.New("no record of this node"))
	case cfg.Self.PublicKey() != cfg.Key.Public():
		errs = append(errs, errors.New("the record of this node has another key"))
	}
	if cfg.Protocol == "" {
		cfg.Protocol = DefaultProtocol
	}
	if len(cfg.Protocol) != protocolSize {
		errs = append(errs, fmt.Errorf("protocol id %q is not 6 bytes long", cfg.Protocol))
	}
	if cfg.Sessions < 0 {
		errs = append(errs, fmt.Errorf("%d sessions", cfg.Sessions))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("discv5: new engine: %w", err)
	}
	if cfg.Sessions == 0 {
		cfg.Sessions = defaultSessions
	}
	if cfg.Rand == nil {
		var seed [32]byte
		crand.Read(seed[:]) // never fails
		cfg.Rand = rand.New(rand.NewChaCha8(seed))
	}
	cfg.Table.Restrict = cfg.Restrict
	exempt := append([]enode.ID(nil), cfg.Table.Exempt...)
	for _, n := range cfg.Bootnodes {
		exempt = append(exempt, n.ID())
	}
	cfg.Table.Exempt = exempt
	cfg.Bootnodes = append([]*enode.Node(nil), cfg.Bootnodes...)

	id := cfg.Self.ID()
	return &Engine{
		cfg: cfg, key: cfg.Key, id: id, self: cfg.Self, rng: cfg.Rand,
		codec:      newCodec(id, cfg.Protocol),
		table:      kad.New(id, cfg.Table, rand.New(rand.NewPCG(cfg.Rand.Uint64(), cfg.Rand.Uint64()))),
		sessions:   newSessions(cfg.Sessions),
		challenges: newChallenges(cfg.Rand),
		calls:      newCallBook(),
		rtt:        kad.NewRTT(callStep),
		lookups:    make(map[Call]*lookup),
		talks:      newTalkDesk(),
	}, nil
}

// SetSelf replaces the record of this node, which others are then told of. A
// node with another key, or without a record, is an error.
func (e *Engine) SetSelf(n *enode.Node) error {
	if n == nil || n.Record() == nil || n.ID() != e.id {
		return errors.New("discv5: set own record: not a record of this node")
	}
	e.self = n
	return nil
}

// Receive takes a packet that came from an endpoint. It keeps none of data. It
// returns false if the packet is not one of discovery v5 for this node, so that
// another protocol may look at it.
func (e *Engine) Receive(now time.Time, from netip.AddrPort, data []byte) bool {
	e.begin(now)
	e.stats.PacketsIn++
	e.stats.BytesIn += uint64(len(data))
	p, drop := e.codec.open(data)
	if drop == 0 {
		drop = e.dispatch(now, netip.AddrPortFrom(netaddr.Normalize(from.Addr()), from.Port()), &p)
	}
	e.stats.Dropped[drop]++
	e.settle(now)
	return drop != DropSize && drop != DropProtocol
}

// dispatch acts on a packet whose header is well formed.
func (e *Engine) dispatch(now time.Time, from netip.AddrPort, p *packet) Drop {
	if !e.permitted(from) {
		return DropRestricted
	}
	if p.flag == flagWhoareyou {
		return e.challenged(now, from, p)
	}
	if p.src == e.id {
		return DropSelf
	}
	at := place{p.src, from}
	if p.flag == flagHandshake {
		return e.handshake(now, at, p)
	}
	if s := e.sessions.all[at]; s != nil {
		if plain, replay, ok := s.open(e.clear[:0], p); replay {
			return DropReplay
		} else if ok {
			e.sessions.touch(s)
			return e.message(now, s, plain)
		}
	}
	e.challenge(now, at, p.nonce)
	return 0
}

// message acts on a message that was decrypted in a session.
func (e *Engine) message(now time.Time, s *session, plain []byte) Drop {
	m, ok := parseMessage(plain)
	if !ok {
		return DropMessage
	}
	e.stats.MessagesIn[m.kind]++
	switch m.kind {
	case KindPing:
		e.send(s, KindPong, appendPong(e.plain[:0], m.id, e.self.Seq(), s.place.addr))
	case KindFindNode:
		return e.findNode(s, m)
	case KindTalkReq:
		return e.talk(now, s, m)
	default:
		return e.answered(now, s, m)
	}
	return 0
}

// permitted reports whether packets may come from or go to an endpoint.
func (e *Engine) permitted(at netip.AddrPort) bool {
	addr := at.Addr()
	if at.Port() == 0 || !netaddr.Contactable(addr) || !e.cfg.Restrict.Allows(addr) {
		return false
	}
	return !(e.cfg.NoIPv4 && addr.Is4()) && !(e.cfg.NoIPv6 && addr.Is6())
}

// Avoid says that packets to a family of addresses cannot be sent at the moment. A
// node that has an endpoint of the other one is contacted there.
func (e *Engine) Avoid(ipv4, ipv6 bool) { e.avoid4, e.avoid6 = ipv4, ipv6 }

// SetRestrict replaces Config.Restrict. Nodes that are outside of it now are no longer
// in the table; what they have been asked goes unanswered.
func (e *Engine) SetRestrict(now time.Time, list netaddr.List) {
	e.cfg.Restrict = list
	e.table.SetRestrict(now, list)
}

// Advance acts on the passing of time. It is to be called at the time that Wake
// returns, and once at the start.
func (e *Engine) Advance(now time.Time) {
	e.begin(now)
	e.lookAfterCalls(now)
	e.talks.expire(now)
	e.settle(now)
}

// Wake returns when Advance should be called next. It is the zero time if
// nothing is to be done before something else happens.
func (e *Engine) Wake() time.Time {
	wake := e.upkeep.wake
	if c := e.calls.due.first; c != nil {
		wake = earlier(wake, c.look)
	}
	return earlier(wake, e.talks.wake())
}

// earlier returns the earlier of two times, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// Stats returns what was counted.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Sessions, s.Calls, s.Lookups, s.Talks = len(e.sessions.all), len(e.calls.open), len(e.lookups), len(e.talks.open)
	return s
}

// Table returns a copy of the node table.
func (e *Engine) Table() []kad.BucketInfo { return e.table.Snapshot() }

// Closest returns the live nodes nearest to target that the table holds, at
// most n.
func (e *Engine) Closest(target enode.ID, n int) []*enode.Node {
	return e.table.Closest(target, n, true)
}

// begin starts an input: memory of output that was taken is used again.
func (e *Engine) begin(now time.Time) {
	if e.taken {
		e.taken = false
		e.out = Output{Packets: e.out.Packets[:0]}
		e.arena = e.arena[:0]
	}
	e.start(now)
}

// settle ends an input: calls that ended in it are told to who made them, which
// may make more, and the table gets what it wants.
func (e *Engine) settle(now time.Time) {
	for {
		for len(e.calls.ended) > 0 {
			c := e.calls.ended[0]
			e.calls.ended = e.calls.ended[1:]
			e.conclude(now, c)
		}
		if !e.maintain(now) {
			return
		}
	}
}
