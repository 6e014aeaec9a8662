package nat

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// Flags of a route, from Linux's route.h.
const (
	routeUp      = 0x1
	routeGateway = 0x2
)

// defaultRoute4 returns the gateway of the default route with the lowest metric in
// the text of /proc/net/route, whose addresses have the byte order of the
// machine; not valid if there is none.
func defaultRoute4(text string) (gateway netip.Addr) {
	best := uint64(1 << 63)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		raw, err1 := strconv.ParseUint(f[2], 16, 32)
		flags, err2 := strconv.ParseUint(f[3], 16, 32)
		metric, err3 := strconv.ParseUint(f[6], 10, 32)
		if err1 != nil || err2 != nil || err3 != nil || flags&(routeUp|routeGateway) != routeUp|routeGateway || metric >= best {
			continue
		}
		var a [4]byte
		binary.NativeEndian.PutUint32(a[:], uint32(raw))
		gateway, best = netip.AddrFrom4(a), metric
	}
	return gateway
}

// defaultRoute6 does the same for /proc/net/ipv6_route, whose addresses have the
// byte order of the network. A link-local gateway gets its interface as zone.
func defaultRoute6(text string) (gateway netip.Addr) {
	best := uint64(1 << 63)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || f[1] != "00" || strings.Trim(f[0], "0") != "" {
			continue
		}
		raw, err1 := hex.DecodeString(f[4])
		metric, err2 := strconv.ParseUint(f[5], 16, 32)
		flags, err3 := strconv.ParseUint(f[8], 16, 32)
		if err1 != nil || err2 != nil || err3 != nil || len(raw) != 16 || flags&(routeUp|routeGateway) != routeUp|routeGateway || metric >= best {
			continue
		}
		gateway, best = netip.AddrFrom16([16]byte(raw)), metric
		if gateway.IsLinkLocalUnicast() {
			gateway = gateway.WithZone(f[9])
		}
	}
	return gateway
}
