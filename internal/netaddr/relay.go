package netaddr

import (
	"errors"
	"net/netip"
)

// Reasons of [CheckRelay].
var (
	ErrSpecial  = errors.New("netaddr: address is reserved for special purposes")
	ErrLoopback = errors.New("netaddr: loopback address told by another host")
	ErrLAN      = errors.New("netaddr: local address told from outside the local network")
)

// CheckRelay returns nil if addr, told by the host at sender, may be used, and
// otherwise the reason not to. The error is one of [ErrSpecial], [ErrLoopback]
// and [ErrLAN]; returning it allocates nothing, because strangers choose both
// arguments.
//
// Special addresses are refused from anybody. A loopback address means this host,
// so only this host may tell it. A link-local, private or shared address means
// something only where it was told, so it is refused from public senders, who
// could otherwise make this node scan its own network. Whoever is inside may
// tell of everything outside.
func CheckRelay(sender, addr netip.Addr) error {
	from := ClassOf(sender)
	switch ClassOf(addr) {
	case Special:
		return ErrSpecial
	case Loopback:
		if from != Loopback {
			return ErrLoopback
		}
	case LinkLocal, Private, Shared:
		if from == Public || from == Special {
			return ErrLAN
		}
	}
	return nil
}
