package nat

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A Protocol is one of those that a port can be mapped for.
type Protocol uint8

// The protocols that gateways map.
const (
	TCP Protocol = iota + 1
	UDP
)

// String returns "tcp" or "udp".
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// MarshalText returns String.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// number returns the protocol's number in IP packets.
func (p Protocol) number() byte {
	if p == UDP {
		return 17
	}
	return 6
}

// A Port is a port of this host that should be reachable from outside.
type Port struct {
	Protocol Protocol
	Internal uint16 // on this host; not 0
	External uint16 // the one wanted at the gateway; 0 means the same as Internal

	// Description is shown in the tables of UPnP gateways. Up to 64 printable
	// ASCII characters; empty means "parley".
	Description string
}

func (p Port) wanted() uint16 {
	if p.External != 0 {
		return p.External
	}
	return p.Internal
}

func (p Port) description() string {
	if p.Description != "" {
		return p.Description
	}
	return "parley"
}

func (p Port) check() error {
	switch {
	case p.Protocol != TCP && p.Protocol != UDP:
		return fmt.Errorf("port %d: the protocol is neither TCP nor UDP", p.Internal)
	case p.Internal == 0:
		return fmt.Errorf("%v port 0 cannot be mapped; say which one is bound", p.Protocol)
	case len(p.Description) > 64:
		return fmt.Errorf("%v port %d: the description has %d characters, want at most 64", p.Protocol, p.Internal, len(p.Description))
	}
	for _, r := range p.Description {
		if r < ' ' || r > '~' {
			return fmt.Errorf("%v port %d: the description has a character that is not printable ASCII", p.Protocol, p.Internal)
		}
	}
	return nil
}

// A Mapping is a port of a gateway that leads to a port of this host. With IPv6 it
// is a hole in the gateway's firewall, and both ports are the same.
type Mapping struct {
	Protocol Protocol
	Internal uint16
	External uint16    // may differ from what was wanted
	Expires  time.Time // if it is not renewed before; zero if it is permanent
}

// An Outside is how this host is seen from outside in one family of addresses.
type Outside struct {
	// Addr is the external address, not valid while unknown. It is public,
	// except that the operator may say anything with [External].
	Addr netip.Addr

	// Mappings are in the order of [Config.Ports], without those that do not
	// exist.
	Mappings []Mapping

	// Via is what answered: pcp, pmp, upnp, stun, extip, or empty.
	Via string

	// Err is what went wrong at the last check, nil if nothing. What was known
	// before is kept beside it for a while.
	Err error
}

// Endpoint returns the external address with the port that leads to an internal
// one: the mapped port, or the internal one if it is not mapped. It is not valid
// while the address is unknown.
func (o Outside) Endpoint(p Protocol, internal uint16) netip.AddrPort {
	if !o.Addr.IsValid() {
		return netip.AddrPort{}
	}
	for _, m := range o.Mappings {
		if m.Protocol == p && m.Internal == internal {
			return netip.AddrPortFrom(o.Addr, m.External)
		}
	}
	return netip.AddrPortFrom(o.Addr, internal)
}

// same reports whether two say the same, but for when mappings expire.
func (o Outside) same(b Outside) bool {
	return o.Addr == b.Addr && o.Via == b.Via && message(o.Err) == message(b.Err) &&
		slices.EqualFunc(o.Mappings, b.Mappings, func(x, y Mapping) bool {
			return x.Protocol == y.Protocol && x.Internal == y.Internal && x.External == y.External
		})
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A State is what is known of the outside. The zero State knows nothing. Whoever
// gets one may keep it: nothing in it changes.
type State struct {
	IPv4, IPv6 Outside
}

func (s State) same(b State) bool { return s.IPv4.same(b.IPv4) && s.IPv6.same(b.IPv6) }
