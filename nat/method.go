package nat

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"parley/internal/netaddr"
)

// A Method is a way to learn the address under which this host is seen from
// outside, and with some methods to have ports of a gateway lead to it. Its text
// form is that of the daemon's --nat; see [Parse]. The zero Method is [None].
// Methods can be compared with ==.
type Method struct {
	kind    kind
	gateway netip.Addr // PMP, PCP; zero means the default gateway
	host    string     // external address or host name
	servers string     // STUN, as HOST:PORT joined by commas; empty means the default list
}

type kind uint8

const (
	kindNone kind = iota
	kindAny
	kindUPnP
	kindPMP
	kindPCP
	kindExternal
	kindSTUN
)

// maxServers bounds the STUN servers of one Method.
const maxServers = 32

// None maps nothing and asks nobody.
func None() Method { return Method{} }

// Any asks the default gateway by PCP, NAT-PMP and UPnP at the same time, and
// stays with the first of them, in this order, that tells a public address, until
// that one stops answering: then all are asked anew, and another one may take over
// with the same port. It asks nobody beyond the gateway.
func Any() Method { return Method{kind: kindAny} }

// UPnP asks the default gateway by UPnP, IGD version 1 or 2.
func UPnP() Method { return Method{kind: kindUPnP} }

// PMP asks a gateway by NAT-PMP, RFC 6886. The zero Addr means the default
// gateway. NAT-PMP knows only IPv4.
func PMP(gateway netip.Addr) Method { return Method{kind: kindPMP, gateway: gateway.Unmap()} }

// PCP asks a gateway by the Port Control Protocol, RFC 6887. The zero Addr means
// the default gateways of both families.
func PCP(gateway netip.Addr) Method { return Method{kind: kindPCP, gateway: gateway.Unmap()} }

// External takes the word of the operator: host is the external address, or a
// name that is looked up again every few minutes. No port is mapped.
func External(host string) Method { return Method{kind: kindExternal, host: host} }

// STUN asks servers, each given as HOST:PORT, which address they see; see RFC
// 8489. Three are asked each time and two have to agree; of fewer than three all
// have to. Without servers those of a list of public ones are asked. No port is
// mapped.
func STUN(servers ...string) Method {
	return Method{kind: kindSTUN, servers: strings.Join(servers, ",")}
}

// Parse returns the Method that a text names:
//
//	any, auto, on          every way of asking the default gateway
//	none, off, ""          nothing
//	upnp                   UPnP
//	pmp, pmp:IP            NAT-PMP with the default or the given gateway; also natpmp and nat-pmp
//	pcp, pcp:IP            PCP, likewise
//	extip:IP, extip:HOST   an external address that is known; also ip:
//	stun                   STUN with public servers
//	stun:HOST:PORT,…       STUN with the given ones
//
// Upper and lower case mean the same. The error says what is wrong with the text
// and which forms there are.
func Parse(text string) (Method, error) {
	name, arg, hasArg := strings.Cut(text, ":")
	var m Method
	switch strings.ToLower(name) {
	case "none", "off", "":
		m = None()
	case "any", "auto", "on":
		m = Any()
	case "upnp":
		m = UPnP()
	case "pmp", "natpmp", "nat-pmp", "pcp":
		m = Method{kind: kindPMP}
		if strings.EqualFold(name, "pcp") {
			m.kind = kindPCP
		}
		if hasArg {
			gateway, err := netip.ParseAddr(arg)
			if err != nil {
				return Method{}, fmt.Errorf("nat: parse %q: after the colon comes the gateway's IP address: %w", text, err)
			}
			m.gateway, hasArg = gateway.Unmap(), false
		}
	case "extip", "ip":
		m, hasArg = External(arg), false
	case "stun":
		m = STUN()
		if hasArg {
			m.servers, hasArg = arg, false
			if arg == "" {
				return Method{}, fmt.Errorf("nat: parse %q: after the colon come servers as HOST:PORT, separated by commas", text)
			}
		}
	default:
		return Method{}, fmt.Errorf("nat: parse %q: unknown method; use any, none, upnp, pmp[:IP], pcp[:IP], extip:IP, extip:HOST, stun or stun:HOST:PORT", text)
	}
	if hasArg {
		return Method{}, fmt.Errorf("nat: parse %q: nothing can follow %q", text, name)
	}
	if err := m.check(); err != nil {
		return Method{}, fmt.Errorf("nat: parse %q: %w", text, err)
	}
	return m, nil
}

// check returns what is wrong with a Method.
func (m Method) check() error {
	switch m.kind {
	case kindPMP, kindPCP:
		if m.gateway.IsValid() && !netaddr.Contactable(m.gateway) {
			return fmt.Errorf("%v cannot be the address of a gateway", m.gateway)
		}
		if m.kind == kindPMP && m.gateway.Is6() {
			return fmt.Errorf("NAT-PMP knows only IPv4, and %v is IPv6; use pcp", m.gateway)
		}
	case kindExternal:
		if addr, err := netip.ParseAddr(m.host); err == nil {
			if !netaddr.Contactable(addr) || addr.Zone() != "" {
				return fmt.Errorf("%v cannot be the address of a host", addr)
			}
		} else if !hostName(m.host) {
			return fmt.Errorf("%q is no IP address and no host name", m.host)
		}
	case kindSTUN:
		servers := m.serverList()
		if len(servers) > maxServers {
			return fmt.Errorf("%d STUN servers, want at most %d", len(servers), maxServers)
		}
		for i, s := range servers {
			if _, _, err := splitServer(s); err != nil {
				return err
			}
			if slices.Contains(servers[:i], s) {
				return fmt.Errorf("STUN server %s is named twice", s)
			}
		}
	}
	return nil
}

// serverList returns the STUN servers that were given.
func (m Method) serverList() []string {
	if m.servers == "" {
		return nil
	}
	return strings.Split(m.servers, ",")
}

// splitServer splits HOST:PORT, where HOST is a name, an IPv4 address or an IPv6
// address in brackets.
func splitServer(s string) (host string, port uint16, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", 0, fmt.Errorf("STUN server %q has no port; write HOST:PORT", s)
	}
	host = s[:i]
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("STUN server %q: the port is not a number from 1 to 65535", s)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !ok || err != nil || !addr.Is6() {
			return "", 0, fmt.Errorf("STUN server %q: what is in brackets is no IPv6 address", s)
		}
		return inner, uint16(n), nil
	}
	if !hostName(host) {
		return "", 0, fmt.Errorf("STUN server %q: the host is no name and no IP address (IPv6 needs brackets)", s)
	}
	return host, uint16(n), nil
}

// hostName reports whether s can be looked up: up to 253 letters, digits, dots,
// hyphens and underscores. An IPv4 address is one too.
func hostName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 253
}

// String returns the text that [Parse] reads as the same Method.
func (m Method) String() string {
	switch m.kind {
	case kindAny:
		return "any"
	case kindUPnP:
		return "upnp"
	case kindPMP:
		return withArg("pmp", m.gateway)
	case kindPCP:
		return withArg("pcp", m.gateway)
	case kindExternal:
		return "extip:" + m.host
	case kindSTUN:
		if m.servers != "" {
			return "stun:" + m.servers
		}
		return "stun"
	}
	return "none"
}

func withArg(name string, gateway netip.Addr) string {
	if gateway.IsValid() {
		return name + ":" + gateway.String()
	}
	return name
}

// MarshalText returns String.
func (m Method) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText sets m to what [Parse] makes of a text.
func (m *Method) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}
