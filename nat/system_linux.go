package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
)

// defaultGateway reads the kernel's routing table.
func defaultGateway(v6 bool) (netip.Addr, error) {
	file, parse := "/proc/net/route", defaultRoute4
	if v6 {
		file, parse = "/proc/net/ipv6_route", defaultRoute6
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	if gateway := parse(string(text)); gateway.IsValid() {
		return gateway, nil
	}
	return netip.Addr{}, ErrNoGateway
}

// watch listens to what the kernel tells of routes and addresses, and polls where
// it is not permitted to.
func watch(ctx context.Context, changed func()) {
	file, err := routeMessages()
	if err != nil {
		poll(ctx, changed)
		return
	}
	stop := context.AfterFunc(ctx, func() { file.Close() })
	defer file.Close()
	defer stop()
	// What exactly changed does not matter, so neither does a message that is
	// cut off, or lost because there were too many.
	b := make([]byte, 4096)
	for {
		_, err := file.Read(b)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, syscall.ENOBUFS) {
			poll(ctx, changed)
			return
		}
		changed()
	}
}

// routeMessages returns a netlink socket on which the kernel tells changes of
// addresses and routes, see rtnetlink(7).
func routeMessages() (*os.File, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, syscall.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("nat: netlink: %w", err)
	}
	const groups = 1<<(syscall.RTNLGRP_IPV4_IFADDR-1) | 1<<(syscall.RTNLGRP_IPV4_ROUTE-1) |
		1<<(syscall.RTNLGRP_IPV6_IFADDR-1) | 1<<(syscall.RTNLGRP_IPV6_ROUTE-1)
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(fmt.Errorf("nat: netlink: %w", err), syscall.Close(fd))
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}
