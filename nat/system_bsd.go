//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package nat

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/net/route"
)

// defaultGateway reads the kernel's routing table.
func defaultGateway(v6 bool) (netip.Addr, error) {
	family := syscall.AF_INET
	if v6 {
		family = syscall.AF_INET6
	}
	table, err := route.FetchRIB(family, route.RIBTypeRoute, 0)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	messages, err := route.ParseRIB(route.RIBTypeRoute, table)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	for _, m := range messages {
		m, ok := m.(*route.RouteMessage)
		if !ok || m.Flags&(syscall.RTF_UP|syscall.RTF_GATEWAY) != syscall.RTF_UP|syscall.RTF_GATEWAY || len(m.Addrs) <= syscall.RTAX_GATEWAY {
			continue
		}
		// The mask of a default route is absent or zero; a host route to the
		// unspecified address does not exist.
		to, gateway := address(m.Addrs[syscall.RTAX_DST]), address(m.Addrs[syscall.RTAX_GATEWAY])
		if len(m.Addrs) > syscall.RTAX_NETMASK {
			if mask := address(m.Addrs[syscall.RTAX_NETMASK]); mask.IsValid() && !mask.IsUnspecified() {
				continue
			}
		}
		if to.IsValid() && to.IsUnspecified() && gateway.IsValid() && gateway.Is6() == v6 {
			return gateway, nil
		}
	}
	return netip.Addr{}, ErrNoGateway
}

// address returns the address in a routing message, not valid if it is none.
func address(a route.Addr) netip.Addr {
	switch a := a.(type) {
	case *route.Inet4Addr:
		return netip.AddrFrom4(a.IP)
	case *route.Inet6Addr:
		addr := netip.AddrFrom16(a.IP)
		if addr.IsLinkLocalUnicast() && a.ZoneID != 0 {
			addr = addr.WithZone(strconv.Itoa(a.ZoneID))
		}
		return addr
	}
	return netip.Addr{}
}

func watch(ctx context.Context, changed func()) { poll(ctx, changed) }
