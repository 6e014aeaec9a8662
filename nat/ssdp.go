package nat

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"parley/internal/netaddr"
)

// The search for a UPnP gateway: UPnP Device Architecture 1.1 section 1.3.

const ssdpPort = 1900

// ssdpGroup is the multicast group of UPnP devices.
var ssdpGroup = netip.AddrFrom4([4]byte{239, 255, 255, 250})

// ssdpTargets are what is searched for. A device of version 2 should answer to
// version 1 as well, and some do not.
func ssdpTargets() []string {
	return []string{
		"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
		"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
	}
}

// maxLocations bounds how many descriptions of one gateway are looked at.
const maxLocations = 4

// search asks for UPnP gateways and calls found with each new location of a
// description that the default gateway tells, until found reports that it was the
// right one. Anybody in the network can answer; only the gateway is listened to.
func search(ctx context.Context, n Network, gateway netip.Addr, found func(*url.URL) bool) error {
	own, err := n.Source(gateway)
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	// Bound to the address that leads to the gateway, the socket sends
	// multicasts to the network that it is in.
	return exchange(ctx, n, "udp4", netip.AddrPortFrom(own, 0).String(),
		func(write func([]byte, netip.AddrPort)) {
			for _, target := range ssdpTargets() {
				// Some networks carry no multicast, and some gateways answer
				// nothing else.
				for _, to := range []netip.Addr{ssdpGroup, gateway} {
					write(ssdpSearch(target), netip.AddrPortFrom(to, ssdpPort))
				}
			}
		},
		func(b []byte, from netip.AddrPort) bool {
			if netaddr.Normalize(from.Addr()) != gateway || len(seen) == maxLocations {
				return false
			}
			location, err := parseSSDP(b)
			if err != nil || seen[location.String()] {
				return false
			}
			seen[location.String()] = true
			return found(location)
		})
}

// ssdpSearch returns a search for a device.
func ssdpSearch(target string) []byte {
	return []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: " + target + "\r\n\r\n")
}

// parseSSDP returns where the gateway that sent an answer describes itself.
func parseSSDP(b []byte) (*url.URL, error) {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return nil, fmt.Errorf("nat: upnp: answer to the search: %w", err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK || !strings.Contains(r.Header.Get("ST"), ":InternetGatewayDevice:") {
		return nil, errNotOurs
	}
	location, err := url.Parse(r.Header.Get("LOCATION"))
	if err != nil {
		return nil, fmt.Errorf("nat: upnp: answer to the search: %w", err)
	}
	return location, nil
}

// checkURL returns nil if a URL leads to the gateway by HTTP. Its host has to be
// an address: a name could lead anywhere.
func checkURL(u *url.URL, gateway netip.Addr) error {
	if u.Scheme != "http" {
		return fmt.Errorf("nat: upnp: %q is not an http URL", u.Redacted())
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err != nil || netaddr.Normalize(addr) != gateway {
		return fmt.Errorf("nat: upnp: %q does not lead to the gateway %v", u.Redacted(), gateway)
	}
	return nil
}
