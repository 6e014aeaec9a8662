package peerset

import (
	"container/list"
	"fmt"
	"net/netip"
	"time"

	"parley/internal/netaddr"
)

// What one address (IPv4 address or IPv6 /64) and one network (/24 or /48) may
// have of the handshakes in flight and of the inbound peers.
const (
	maxPendingHost = 4
	maxPendingNet  = 16
	maxPeersHost   = 8
	maxPeersNet    = 16

	// inboundAfter is how long an address waits between two connections.
	inboundAfter = 30 * time.Second

	// maxHistory bounds the addresses that are remembered for inboundAfter. At
	// about 200 bytes each they stay below 4 MiB.
	maxHistory = 16384

	// handshakeRate bounds the encryption handshakes answered in a second,
	// handshakeBurst how many may start at once. Each costs up to a millisecond.
	handshakeRate  = 200
	handshakeBurst = 50
)

// A Ticket stands for an inbound connection in its handshake. The zero Ticket
// is none.
type Ticket uint64

// A door holds the inbound connections whose other side has not proved who it
// is. Only addresses count here.
type door struct {
	last    Ticket
	pending map[Ticket]*list.Element // of *visitor
	order   list.List                // of *visitor, oldest first

	hosts   map[netip.Prefix]*usage
	nets    map[netip.Prefix]*usage
	seen    map[netip.Prefix]time.Time // last accepted connection by host
	seenQ   []netip.Prefix             // the keys of seen, oldest first
	credits float64                    // handshakes that may start now; negative if some wait
	counted time.Time                  // when credits was brought up to date
}

type visitor struct {
	ticket Ticket
	addr   netip.Addr
	public bool // counts against its host and network
	silent bool // nothing has come from it
}

type usage struct{ pending, peers int }

func newDoor() door {
	return door{
		pending: make(map[Ticket]*list.Element),
		hosts:   make(map[netip.Prefix]*usage),
		nets:    make(map[netip.Prefix]*usage),
		seen:    make(map[netip.Prefix]time.Time),
		credits: handshakeBurst,
	}
}

// An Entry is the leave to start a handshake.
type Entry struct {
	Ticket Ticket
	Wait   time.Duration // before the handshake is answered, so that they stay below the rate
	Evict  Ticket        // if not zero, the connection that must be closed for this one
}

// Accept decides by address alone whether an inbound connection may start its
// handshake. Whoever gets a Ticket returns it with Leave.
//
// When all slots are taken, the oldest connection that has sent nothing gives
// way: silence is free for the other side, a slot is not.
//
// A ban does not hold for the address of a static or trusted node: Admit asks
// again when the other side has proved who it is.
func (s *Set) Accept(now time.Time, addr netip.AddrPort, policy Opinion) (Entry, Gate, error) {
	d := &s.door
	ip := netaddr.Normalize(addr.Addr())
	s.funnel(SourceInbound).Offered++
	if s.Restricted(ip) {
		s.Count(GateNetRestrict)
		return Entry{}, GateNetRestrict, ErrRestricted
	}
	if err := s.bannedAddr(now, ip); err != nil && s.friends[ip] == 0 {
		s.Count(GateBan)
		return Entry{}, GateBan, err
	}
	if err := s.objection(policy); err != nil {
		s.Count(GatePolicy)
		return Entry{}, GatePolicy, err
	}
	public := !netaddr.Exempt(ip) && s.friends[ip] == 0
	host := netaddr.HostKey(ip)
	if public {
		if gate, err := d.check(now, ip, host); err != nil {
			s.Count(gate)
			return Entry{}, gate, err
		}
	}
	var e Entry
	if len(d.pending) >= s.limits.Pending {
		silent := d.oldestSilent()
		if silent == nil {
			s.Count(GateQuota)
			return Entry{}, GateQuota, fmt.Errorf("%w (%d)", ErrTooManyPending, s.limits.Pending)
		}
		e.Evict = silent.ticket
		s.Leave(silent.ticket)
	}
	if public {
		d.remember(now, host)
		use(d.hosts, host).pending++
		use(d.nets, netaddr.NetKey(ip)).pending++
	}
	s.funnel(SourceInbound).Connected++
	d.last++
	e.Ticket = d.last
	d.pending[d.last] = d.order.PushBack(&visitor{ticket: d.last, addr: ip, public: public, silent: true})
	e.Wait = d.pace(now)
	return e, "", nil
}

func (d *door) check(now time.Time, ip netip.Addr, host netip.Prefix) (Gate, error) {
	if u := d.hosts[host]; u != nil && (u.pending >= maxPendingHost || u.peers >= maxPeersHost) {
		return GateQuota, ErrTooManyFromHost
	}
	if u := d.nets[netaddr.NetKey(ip)]; u != nil && (u.pending >= maxPendingNet || u.peers >= maxPeersNet) {
		return GateQuota, ErrTooManyFromNet
	}
	if last, ok := d.seen[host]; ok && now.Sub(last) < inboundAfter {
		return GateHistory, ErrTooSoon
	}
	return "", nil
}

// remember notes that host was let in, and forgets those for whom it no longer
// matters, or the oldest one if there are too many.
func (d *door) remember(now time.Time, host netip.Prefix) {
	drop := 0
	for _, h := range d.seenQ {
		if now.Sub(d.seen[h]) < inboundAfter && len(d.seen) < maxHistory {
			break
		}
		delete(d.seen, h)
		drop++
	}
	if d.seenQ = d.seenQ[drop:]; len(d.seenQ) == 0 {
		d.seenQ = nil // let go of the array
	}
	d.seen[host] = now
	d.seenQ = append(d.seenQ, host)
}

// pace takes one handshake from the allowance and returns how long it must wait.
func (d *door) pace(now time.Time) time.Duration {
	if !d.counted.IsZero() {
		d.credits = min(handshakeBurst, d.credits+now.Sub(d.counted).Seconds()*handshakeRate)
	}
	d.counted = now
	d.credits--
	if d.credits >= 0 {
		return 0
	}
	return time.Duration(-d.credits / handshakeRate * float64(time.Second))
}

func (d *door) oldestSilent() *visitor {
	for e := d.order.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*visitor); v.silent {
			return v
		}
	}
	return nil
}

// Heard notes that something came from the connection.
func (s *Set) Heard(t Ticket) {
	if e := s.door.pending[t]; e != nil {
		e.Value.(*visitor).silent = false
	}
}

// Leave returns a Ticket: the connection ended or became a peer. It may be
// called more than once.
func (s *Set) Leave(t Ticket) {
	d := &s.door
	e := d.pending[t]
	if e == nil {
		return
	}
	delete(d.pending, t)
	if v := d.order.Remove(e).(*visitor); v.public {
		use(d.hosts, netaddr.HostKey(v.addr)).pending--
		use(d.nets, netaddr.NetKey(v.addr)).pending--
		d.sweep(v.addr)
	}
}

// Pending returns the number of inbound handshakes in flight.
func (s *Set) Pending() int { return len(s.door.pending) }

// enter and leave count an inbound peer at a public address.
func (d *door) enter(addr netip.Addr) {
	addr = netaddr.Normalize(addr)
	use(d.hosts, netaddr.HostKey(addr)).peers++
	use(d.nets, netaddr.NetKey(addr)).peers++
}

func (d *door) leave(addr netip.Addr) {
	addr = netaddr.Normalize(addr)
	use(d.hosts, netaddr.HostKey(addr)).peers--
	use(d.nets, netaddr.NetKey(addr)).peers--
	d.sweep(addr)
}

func use(m map[netip.Prefix]*usage, key netip.Prefix) *usage {
	u := m[key]
	if u == nil {
		u = new(usage)
		m[key] = u
	}
	return u
}

// sweep forgets the counts of addr if they are zero.
func (d *door) sweep(addr netip.Addr) {
	if key := netaddr.HostKey(addr); *d.hosts[key] == (usage{}) {
		delete(d.hosts, key)
	}
	if key := netaddr.NetKey(addr); *d.nets[key] == (usage{}) {
		delete(d.nets, key)
	}
}
