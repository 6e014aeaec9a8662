//go:build !linux && !windows && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package nat

import (
	"context"
	"net/netip"
)

func defaultGateway(bool) (netip.Addr, error) { return netip.Addr{}, ErrNoGateway }

func watch(ctx context.Context, changed func()) { poll(ctx, changed) }
