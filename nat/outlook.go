package nat

import (
	"fmt"
	"net/netip"
	"time"

	"parley/internal/netaddr"
)

const (
	// leaseTime is asked for. A mapping that outlives its program is gone after
	// that at the latest, and a gateway is not asked often.
	leaseTime = time.Hour

	// holdTime is how long what was known is told although it cannot be confirmed
	// any more. A gateway that restarts, or tells nonsense meanwhile, does not
	// change the record.
	holdTime = 10 * time.Minute

	// gatewayInterval is the time between two checks with a gateway. It has to
	// be short enough to have mappings back 2 minutes after a restart.
	gatewayInterval = time.Minute

	// outsideInterval is the same where strangers are asked, STUN servers and
	// name servers. A new address has to be seen within 5 minutes.
	outsideInterval = 4 * time.Minute

	// A check that failed is repeated after firstRetry, then after twice as
	// long each time, up to lastRetry; up to emptyRetry where nobody ever
	// answered. So is one in which the gateway answered but did not map a port,
	// as when it has just been started and is still busy: up to gatewayInterval.
	firstRetry = 5 * time.Second
	lastRetry  = time.Minute
	emptyRetry = 5 * time.Minute

	// leastRenewal bounds how often a gateway that gives short leases is asked.
	leastRenewal = 15 * time.Second
)

// An AddressError is an external address that was told and cannot be one.
type AddressError struct {
	Addr netip.Addr
	Via  string // who told it, as in [Outside]
}

func (e *AddressError) Error() string {
	switch class := netaddr.ClassOf(e.Addr); class {
	case netaddr.Private, netaddr.Shared:
		return fmt.Sprintf("nat: %s: the external address is %v, which is %v: another NAT is in front of the gateway", e.Via, e.Addr, class)
	default:
		return fmt.Sprintf("nat: %s: the external address is told as %v, which cannot be one", e.Via, e.Addr)
	}
}

// A grant is what a gateway agreed to.
type grant struct {
	external uint16
	addr     netip.Addr    // the external address, if the answer tells it
	lease    time.Duration // 0 means permanent
}

// An outlook is what is known of one family, and when to ask again. It decides
// which answers are believed and for how long.
type outlook struct {
	v6       bool
	operator bool // the operator gives the address: it need not be public
	interval time.Duration
	ports    []Port

	via    string
	addr   netip.Addr
	doubt  doubt
	leases []lease // one for each port

	began    time.Time // this check
	err      error     // the first of this check
	answered bool      // somebody did, ever
	failures int       // checks in a row that nobody answered
	unmapped bool      // in this check a port was asked for in vain
	misses   int       // checks in a row of which that is true
	wake     time.Time
}

type lease struct {
	external uint16 // 0 means none
	renew    time.Time
	expires  time.Time // zero means never
	doubt    doubt
}

// A doubt is since when something could not be confirmed.
type doubt struct {
	confirmed time.Time // the last time
	since     time.Time // the first check after that; zero if there was none
}

// held reports whether something is to be told at the end of a check.
func (d *doubt) held(began, now time.Time) bool {
	switch {
	case !d.confirmed.Before(began):
		d.since = time.Time{}
	case d.since.IsZero():
		d.since = now
	}
	return d.since.IsZero() || now.Sub(d.since) <= holdTime
}

func newOutlook(v6 bool, ports []Port) *outlook {
	return &outlook{v6: v6, interval: gatewayInterval, ports: ports, leases: make([]lease, len(ports))}
}

// begin starts a check.
func (o *outlook) begin(now time.Time) { o.began, o.err, o.unmapped = now, nil, false }

// problem notes what went wrong in this check; the first counts.
func (o *outlook) problem(err error) {
	if o.err == nil {
		o.err = err
	}
}

// learned takes in the external address that via told. One that cannot be true is
// noted as a problem, and what was known stays.
func (o *outlook) learned(now time.Time, via string, addr netip.Addr) {
	o.via, o.answered = via, true
	if !o.usable(addr) {
		o.problem(&AddressError{Addr: addr, Via: via})
		return
	}
	o.addr, o.doubt.confirmed = netaddr.Normalize(addr), now
}

// usable reports whether addr can be the external address.
func (o *outlook) usable(addr netip.Addr) bool {
	if addr = netaddr.Normalize(addr); addr.Is6() != o.v6 {
		return false
	}
	if o.operator {
		return netaddr.Contactable(addr)
	}
	return netaddr.ClassOf(addr) == netaddr.Public
}

// due reports whether port i has to be asked for.
func (o *outlook) due(now time.Time, i int) bool {
	return o.leases[i].external == 0 || !now.Before(o.leases[i].renew)
}

// lost notes that the gateway has none of the mappings any more. They are told all
// the same until it gives new ones, or too long does not.
func (o *outlook) lost() {
	for i := range o.leases {
		o.leases[i].renew = time.Time{}
	}
}

// suggest returns the external port to ask for: the one it had, if it had one, so
// that a restart of the gateway changes nothing.
func (o *outlook) suggest(i int) uint16 {
	if p := o.leases[i].external; p != 0 {
		return p
	}
	return o.ports[i].wanted()
}

// confirmed notes that the gateway still has the mapping of port i.
func (o *outlook) confirmed(now time.Time, i int) { o.leases[i].doubt.confirmed = now }

// granted takes in that the gateway maps port i.
func (o *outlook) granted(now time.Time, i int, g grant) {
	l := lease{external: g.external, doubt: doubt{confirmed: now}}
	half := min(g.lease, leaseTime) / 2
	if g.lease == 0 {
		half = leaseTime / 2
	} else {
		l.expires = now.Add(g.lease)
	}
	l.renew = now.Add(max(half, leastRenewal))
	o.leases[i] = l
}

// denied notes why a port that was asked for is not mapped.
func (o *outlook) denied(err error) {
	o.problem(err)
	o.unmapped = true
}

// end ends a check: it forgets what could not be confirmed for too long, and
// decides when the next check is. A check fails if nobody answered.
func (o *outlook) end(now time.Time, failed bool) {
	if !o.doubt.held(o.began, now) {
		o.addr = netip.Addr{}
	}
	for i := range o.leases {
		if l := &o.leases[i]; l.external != 0 && !l.doubt.held(o.began, now) {
			*l = lease{}
		}
	}
	if failed {
		last := lastRetry
		if !o.answered {
			last = emptyRetry
		}
		o.wake = now.Add(min(firstRetry<<min(o.failures, 8), last))
		o.failures++
		return
	}
	o.failures = 0
	o.wake = now.Add(o.interval)
	if !o.unmapped {
		o.misses = 0
	} else {
		o.wake = now.Add(min(firstRetry<<min(o.misses, 8), o.interval))
		o.misses++
	}
	for _, l := range o.leases {
		if l.external != 0 && l.renew.After(now) && l.renew.Before(o.wake) {
			o.wake = l.renew
		}
	}
}

// outside returns what is known.
func (o *outlook) outside() Outside {
	out := Outside{Addr: o.addr, Via: o.via, Err: o.err}
	for i, l := range o.leases {
		if l.external != 0 {
			out.Mappings = append(out.Mappings, Mapping{
				Protocol: o.ports[i].Protocol, Internal: o.ports[i].Internal, External: l.external, Expires: l.expires,
			})
		}
	}
	return out
}
