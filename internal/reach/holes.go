package reach

import (
	"net/netip"
	"time"

	"parley/internal/netaddr"
)

const (
	// holeLife is how long who was sent something may come through the hole that
	// it made. NATs keep holes for 5 minutes or less unless the inside sends
	// again; RFC 4787 section 4.3 asks for more than 2.
	holeLife = 10 * time.Minute

	// maxSent bounds the hosts that were sent something. If there are more, what
	// comes in says nothing until they are forgotten.
	maxSent = 1 << 14

	// sweepEvery is how often what is over is forgotten.
	sweepEvery = time.Minute
)

// Holes remember which hosts were sent a datagram: a NAT, or a firewall, lets in
// what comes from them, and nothing else. The zero value has none.
type Holes struct {
	sent  map[netip.Addr]time.Time // when a host was last sent something
	full  time.Time                // when a host last had no room in sent
	swept time.Time
}

// Sent tells that a datagram was sent to a host. Whole hosts are remembered, since
// there are NATs that look at no ports.
func (h *Holes) Sent(now time.Time, to netip.Addr) {
	to = netaddr.Normalize(to)
	if netaddr.ClassOf(to) != netaddr.Public {
		return
	}
	if now.Sub(h.swept) >= sweepEvery {
		h.swept = now
		for a, at := range h.sent {
			if now.Sub(at) > holeLife {
				delete(h.sent, a)
			}
		}
	}
	if h.sent == nil {
		h.sent = make(map[netip.Addr]time.Time)
	}
	if _, known := h.sent[to]; !known && len(h.sent) >= maxSent {
		h.full = now
		return
	}
	h.sent[to] = now
}

// Stranger reports whether a datagram from a host shows that others get through:
// the host is public and was sent nothing in the last 10 minutes. Whether it has
// proved its address is no matter. Who forges the address of a host that was sent
// something is no stranger, and what comes with any other has got through.
func (h *Holes) Stranger(now time.Time, from netip.Addr) bool {
	from = netaddr.Normalize(from)
	if netaddr.ClassOf(from) != netaddr.Public || !h.full.IsZero() && now.Sub(h.full) <= holeLife {
		return false
	}
	at, sent := h.sent[from]
	return !sent || now.Sub(at) > holeLife
}
