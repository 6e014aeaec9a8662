package nat

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"
)

// A forwardRow is MIB_IPFORWARDROW of ipmib.h. Addresses are in the byte order of
// the network.
type forwardRow struct {
	dest, mask, policy, nextHop, index          uint32
	kind, proto, age, nextHopAS                 uint32
	metric1, metric2, metric3, metric4, metric5 uint32
}

// defaultGateway asks for the best route to somebody far away. It knows only
// IPv4.
func defaultGateway(v6 bool) (netip.Addr, error) {
	if v6 {
		return netip.Addr{}, ErrNoGateway
	}
	call := syscall.NewLazyDLL("iphlpapi.dll").NewProc("GetBestRoute")
	if err := call.Find(); err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	far := farAway4.As4()
	var row forwardRow
	if code, _, _ := call.Call(uintptr(binary.NativeEndian.Uint32(far[:])), 0, uintptr(unsafe.Pointer(&row))); code != 0 {
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoGateway, syscall.Errno(code))
	}
	var a [4]byte
	binary.NativeEndian.PutUint32(a[:], row.nextHop)
	// A route without a gateway has an own address as the next hop.
	gateway := netip.AddrFrom4(a)
	if own, err := source(farAway4); err != nil || gateway.IsUnspecified() || gateway == own {
		return netip.Addr{}, ErrNoGateway
	}
	return gateway, nil
}

func watch(ctx context.Context, changed func()) { poll(ctx, changed) }
