package discv5

import (
	"net/netip"
	"time"

	"parley/internal/netaddr"
)

// Limits on handshakes that are verified, because each costs three operations on
// the curve and anybody can send one that looks right. Half of what this node
// does in all is kept for nodes that it knows.
const (
	handshakesPerSecond     = 500
	handshakesPerNetSecond  = 50 // IPv4 /24, IPv6 /48
	handshakesPerHostSecond = 10 // IPv4, IPv6 /64

	budgetSlots = 256
)

// A bucket holds tokens, at most one second's worth.
type bucket struct {
	tokens float32
	at     time.Time
}

// fill adds the tokens that time brought.
func (b *bucket) fill(now time.Time, rate float32) {
	if b.at.IsZero() {
		b.tokens = rate
	} else if d := now.Sub(b.at); d > 0 {
		b.tokens = min(rate, b.tokens+rate*float32(d.Seconds()))
	}
	b.at = now
}

// A budget limits handshakes by host, by network and in all. Its size is fixed:
// hosts whose keyed hashes meet share a bucket.
type budget struct {
	all   bucket
	hosts [budgetSlots]bucket
	nets  [budgetSlots]bucket
}

// allow takes a token for a handshake from addr, or returns false. Hash is that
// of networks under the engine's secret.
func (b *budget) allow(now time.Time, addr netip.Addr, known bool, hash func(netip.Prefix) uint64) bool {
	b.all.fill(now, handshakesPerSecond)
	reserve := float32(handshakesPerSecond / 2)
	if known {
		reserve = 0
	}
	if b.all.tokens < reserve+1 {
		return false
	}
	if !netaddr.Exempt(addr) {
		host := &b.hosts[hash(netaddr.HostKey(addr))%budgetSlots]
		net := &b.nets[hash(netaddr.NetKey(addr))%budgetSlots]
		host.fill(now, handshakesPerHostSecond)
		net.fill(now, handshakesPerNetSecond)
		if host.tokens < 1 || net.tokens < 1 {
			return false
		}
		host.tokens--
		net.tokens--
	}
	b.all.tokens--
	return true
}
