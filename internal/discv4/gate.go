package discv4

import (
	"encoding/binary"
	"net/netip"
	"time"

	"parley/internal/netaddr"
)

// Limits bound what strangers can make the engine do. A field of zero has its
// default.
//
// The rates for hosts and networks (see package netaddr) do not apply to
// addresses for which netaddr.Exempt holds.
type Limits struct {
	// Rate is how many packets a second may be opened, at about 100 µs each. One
	// half is for endpoints that proved themselves or that we wait for an answer
	// from; they may use up the other half too. Default 8000.
	Rate int

	// HostRate and NetRate are the same for a single host and a single network
	// of which we know nothing; four times as many may come at once. Defaults 10
	// and 50.
	HostRate, NetRate int

	// KnownRate is HostRate for hosts whose endpoint is proven or expected to
	// answer. Default 200.
	KnownRate int

	// PingBacks is how many strangers a second are asked for their endpoint proof
	// in return for their PING. Default 250.
	PingBacks int

	// Bonds is how many endpoint proofs are remembered. Default 8192.
	Bonds int

	// Requests is how many requests may be under way or waiting. Default 1024.
	Requests int
}

func (l Limits) withDefaults() Limits {
	standard := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	standard(&l.Rate, 8000)
	standard(&l.HostRate, 10)
	standard(&l.NetRate, 50)
	standard(&l.KnownRate, 200)
	standard(&l.PingBacks, 250)
	standard(&l.Bonds, 8192)
	standard(&l.Requests, 1024)
	return l
}

// surge is how many seconds' worth of a rate may come at once.
const surge = 4

// Capacities of the gate's maps, a few hundred kilobytes each.
const (
	maxReplays = 1 << 15
	maxHosts   = 1 << 14
	maxNets    = 1 << 13
)

// A gate decides which packets are worth opening.
type gate struct {
	limits  Limits
	exempt  netaddr.List // beside netaddr.Exempt
	replays aged[[16]byte, struct{}]
	hosts   aged[uint64, tokens]
	nets    aged[uint64, tokens]
	known   tokens // one half of Limits.Rate
	shared  tokens // the other one
	share   shares
}

func newGate(l Limits) gate {
	return gate{
		limits: l,
		// A packet is acceptable for as long as its expiration is within the
		// future allowed, and is remembered for longer than that.
		replays: newAged[[16]byte, struct{}](maxFuture+time.Second, maxReplays),
		// After this time a bucket is full again, as a new one is.
		hosts:  newAged[uint64, tokens](surge*time.Second, maxHosts),
		nets:   newAged[uint64, tokens](surge*time.Second, maxNets),
		known:  tokens{level: float64(l.Rate) / 2},
		shared: tokens{level: float64(l.Rate) / 2},
	}
}

// replayed reports whether a packet with this hash was remembered.
func (g *gate) replayed(now time.Duration, hash []byte) bool {
	_, ok := g.replays.get(now, [16]byte(hash))
	return ok
}

// remember remembers a packet. Only those that are signed and that would be
// answered are worth it, so that junk cannot fill the memory.
func (g *gate) remember(now time.Duration, hash *[32]byte) {
	g.replays.put(now, [16]byte(hash[:16]), struct{}{})
}

// admit takes the tokens for a packet from addr, or returns the Drop that says
// which are lacking.
func (g *gate) admit(now time.Duration, addr netip.Addr, known bool) error {
	half := float64(g.limits.Rate) / 2
	if !netaddr.Exempt(addr) && !g.exempt.Contains(addr) {
		rate := float64(g.limits.HostRate)
		if known {
			rate = float64(g.limits.KnownRate)
		}
		if !takeOf(&g.hosts, now, hostKey(addr), rate) {
			return DropHostRate
		}
		if !known && !takeOf(&g.nets, now, netKey(addr), float64(g.limits.NetRate)) {
			return DropNetRate
		}
	}
	if known && g.known.take(now, half, half) {
		return nil
	}
	// When the common half runs low, a network that had its share waits for the
	// others. Those known have no other than their own half then.
	if g.shared.at(now, half, half) < half/2 {
		if known || !g.share.allows(now, netKey(addr), half) {
			return DropRate
		}
	}
	if !g.shared.take(now, half, half) {
		return DropRate
	}
	g.share.count(now, netKey(addr))
	return nil
}

func takeOf(m *aged[uint64, tokens], now time.Duration, key uint64, rate float64) bool {
	t, ok := m.get(now, key)
	if !ok {
		t = tokens{level: surge * rate, filled: now}
	}
	taken := t.take(now, rate, surge*rate)
	m.put(now, key, t)
	return taken
}

// tokens is a token bucket.
type tokens struct {
	level  float64
	filled time.Duration // when level was right
}

// at returns how many tokens there are.
func (t *tokens) at(now time.Duration, rate, burst float64) float64 {
	return min(burst, t.level+rate*(now-t.filled).Seconds())
}

func (t *tokens) take(now time.Duration, rate, burst float64) bool {
	t.level, t.filled = t.at(now, rate, burst), now
	if t.level < 1 {
		return false
	}
	t.level--
	return true
}

// shares counts packets by network within the current second.
type shares struct {
	begun time.Duration
	nets  map[uint64]int
}

func (s *shares) turn(now time.Duration) {
	if s.nets == nil || now-s.begun >= time.Second {
		s.begun, s.nets = now, make(map[uint64]int)
	}
}

// allows reports whether a network has had less than an equal share of rate.
func (s *shares) allows(now time.Duration, net uint64, rate float64) bool {
	s.turn(now)
	return s.nets[net] < max(1, int(rate)/max(1, len(s.nets)))
}

func (s *shares) count(now time.Duration, net uint64) {
	s.turn(now)
	if _, ok := s.nets[net]; ok || len(s.nets) < maxNets {
		s.nets[net]++
	}
}

// hostKey and netKey are netaddr.HostKey and NetKey in 8 bytes: neither has more
// than 64 significant bits. IPv4 becomes ::ffff:0:0/96 shifted up, where no host
// has its IPv6 address.

func hostKey(addr netip.Addr) uint64 { return compact(netaddr.HostKey(addr)) }
func netKey(addr netip.Addr) uint64  { return compact(netaddr.NetKey(addr)) }

func compact(p netip.Prefix) uint64 {
	if a := p.Addr(); a.Is4() {
		v4 := a.As4()
		return 0xffff<<32 | uint64(binary.BigEndian.Uint32(v4[:]))
	}
	v6 := p.Addr().As16()
	return binary.BigEndian.Uint64(v6[:8])
}
