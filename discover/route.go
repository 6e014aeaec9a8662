package discover

import (
	"errors"
	"net/netip"
	"syscall"
)

// noWay knows to which families of addresses the system has no way: it refused a
// packet for that reason, and none has come from there since. Guarded by
// Service.mu.
type noWay struct{ ipv4, ipv6 bool }

// refused takes in why a packet could not be sent.
func (w *noWay) refused(to netip.Addr, err error) {
	if unroutable(err) {
		*w.of(to) = true
	}
}

// heard notes that a packet came.
func (w *noWay) heard(from netip.Addr) { *w.of(from) = false }

func (w *noWay) of(a netip.Addr) *bool {
	if a.Is4() {
		return &w.ipv4
	}
	return &w.ipv6
}

// unroutable reports whether an error of a socket says that the system has no route
// to where a packet should go, or no address of that family to send it from.
func unroutable(err error) bool {
	const wsaeNetUnreach = syscall.Errno(10051) // Windows
	for _, e := range [...]error{syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, wsaeNetUnreach} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// avoid tells the engines of a family that packets cannot be sent to, if that has
// changed. A host that has only one family of addresses would otherwise contact
// nodes that have both at the other one.
func (s *Service) avoid(before noWay) {
	if s.noWay == before {
		return
	}
	if s.v4 != nil {
		s.v4.Avoid(s.noWay.ipv4, s.noWay.ipv6)
	}
	if s.v5 != nil {
		s.v5.Avoid(s.noWay.ipv4, s.noWay.ipv6)
	}
}
