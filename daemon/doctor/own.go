package doctor

import (
	"fmt"
	"net/netip"
	"strings"

	"parley/dnsdisc"
	"parley/enode"
)

func checkSockets(f *Facts) Check {
	c := Check{Name: "sockets", Status: OK}
	var told []string
	listen := f.Setup.Listen
	switch {
	case listen == "":
		c.Status = Warn
		told = append(told, "tcp none: nobody can connect")
	case f.TCP != nil:
		c.Status = Fail
		c.Remedy = "Nothing accepts there: see the node's log, the limit of open files, and rules for the loopback interface."
		told = append(told, fmt.Sprintf("tcp %s: %v", listen, f.TCP))
	default:
		told = append(told, "tcp "+listen)
	}
	switch d := f.Setup.Discovery; {
	case d == nil:
		told = append(told, "udp none: discovery is off")
	case !admits(f.Setup.NetRestrict, ownAddr(d.Listen)):
		told = append(told, "udp "+d.Listen+" (not tried: netrestrict leaves this machine out)")
	case f.UDP != nil:
		c.Status = Fail
		c.Remedy = "Discovery does not answer there: see the node's log, and rules for UDP on the loopback interface."
		told = append(told, fmt.Sprintf("udp %s: %v", d.Listen, f.UDP))
	default:
		told = append(told, "udp "+d.Listen)
	}
	c.Detail = strings.Join(told, "  ")
	return c
}

// Local returns where a socket of this machine that listens at the given address can
// be reached from this machine: one on all addresses at the loopback one.
func Local(listen string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(listen)
	if err != nil || !at.Addr().IsUnspecified() {
		return at, err
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()), nil // [::] takes IPv4 too
}

func ownAddr(listen string) netip.Addr {
	at, err := Local(listen)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr()
}

// admits reports whether an address is in one of the networks, or there are none.
func admits(networks []string, addr netip.Addr) bool {
	for _, text := range networks {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(addr.Unmap()) {
			return true
		}
	}
	return len(networks) == 0
}

// kindOf says who can reach an address.
func kindOf(addr netip.Addr) string {
	cgnat := netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	switch {
	case addr.IsLoopback():
		return "loopback"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsPrivate():
		return "private"
	case cgnat.Contains(addr):
		return "behind the provider's NAT"
	}
	return "public"
}

func checkNAT(f *Facts) Check {
	c := Check{Name: "nat", Status: OK}
	if f.Setup.Listen == "" {
		c.Status, c.Detail = Skip, "the node does not listen"
		return c
	}
	n, err := enode.Parse(f.Info.ENR)
	if err != nil {
		n, err = enode.Parse(f.Info.Enode)
	}
	if err != nil || !n.Addr().IsValid() || n.Addr().IsUnspecified() {
		c.Status, c.Detail = Warn, "the record announces no address yet"
		c.Remedy = "Others tell the node its address once it talks to enough of them: see the check of bootnodes."
		if f.Setup.Discovery == nil {
			c.Remedy = "Others tell the node its address by discovery, which is off: name it with --nat extip:IP, or let a gateway tell it with --nat any."
		}
		return c
	}
	addr := n.Addr().Unmap()
	kind := kindOf(addr)
	c.Detail = fmt.Sprintf("the record announces %v (%s)", addr, kind)
	if f.Stats.Inbound > 0 {
		c.Detail += fmt.Sprintf("; %d inbound peers", f.Stats.Inbound)
	}
	meant := kind == "public" || kind == "loopback" && ownAddr(f.Setup.Listen) == addr && !unspecified(f.Setup.Listen) ||
		len(f.Setup.NetRestrict) > 0 && admits(f.Setup.NetRestrict, addr)
	if meant {
		return c
	}
	c.Status = Warn
	c.Remedy = "From outside of that network nobody can connect. If that is not meant: forward TCP and UDP of the port on the gateway to this machine; others tell the node its public address then."
	if f.Setup.Discovery == nil {
		c.Remedy = "From outside of that network nobody can connect. If that is not meant: forward the TCP port on the gateway to this machine and name the public address with --nat extip:IP, since discovery, by which others tell it, is off; --nat any has gateways do both that can."
	}
	return c
}

func unspecified(listen string) bool {
	at, err := netip.ParseAddrPort(listen)
	return err == nil && at.Addr().IsUnspecified()
}

func checkBootnodes(f *Facts) Check {
	c := Check{Name: "bootnodes", Status: OK}
	switch {
	case f.Setup.Discovery == nil:
		c.Status, c.Detail = Skip, "discovery is off"
		return c
	case len(f.Bootnodes) == 0 && len(f.Setup.DNSLists)+len(f.Static) > 0:
		c.Status, c.Detail = Skip, "none are set"
		return c
	case len(f.Bootnodes) == 0:
		c.Status, c.Detail = Warn, "none are set, nor lists in DNS, nor static peers: the node waits to be found"
		c.Remedy = "Name some with --bootnodes, or a node to connect to with --staticpeers."
		return c
	}
	fastest := make(map[string]float64)
	answered := 0
	var silent []string
	for i := range f.Bootnodes {
		a := &f.Bootnodes[i]
		if a.Err != nil {
			silent = append(silent, fmt.Sprintf("%s: %v", a.Node.ID().TerminalString(), a.Err))
			continue
		}
		answered++
		if was, ok := fastest[a.Pong.Protocol]; !ok || a.Pong.Millis < was {
			fastest[a.Pong.Protocol] = a.Pong.Millis
		}
	}
	c.Detail = fmt.Sprintf("%d/%d answer", answered, len(f.Bootnodes))
	var times []string
	for _, protocol := range []string{"discv4", "discv5"} {
		if ms, ok := fastest[protocol]; ok {
			times = append(times, protocol+" "+millis(ms))
		}
	}
	if len(times) > 0 {
		c.Detail += " (" + strings.Join(times, ", ") + ")"
	}
	if len(silent) > 0 {
		c.Detail += "; " + some(silent)
		c.Status = Warn
		c.Remedy = "Others can be found through those that answer."
	}
	if answered == 0 {
		c.Status = Fail
		c.Remedy = "Check that UDP is let out and in again, and the addresses and keys of the bootnodes."
	}
	return c
}

func checkDNS(f *Facts) Check {
	c := Check{Name: "dns", Status: OK}
	if len(f.Setup.DNSLists) == 0 {
		c.Status, c.Detail = Skip, "no lists are set"
		return c
	}
	read := 0
	var told []string
	for i := range f.DNS {
		l := &f.DNS[i]
		told = append(told, dnsList(l))
		if l.Synced && l.Entries > 0 {
			read++
		}
	}
	c.Detail = fmt.Sprintf("%d/%d lists can be read: %s", read, len(f.Setup.DNSLists), some(told))
	if offered := f.Stats.Sources["dns"].Offered; offered > 0 {
		c.Detail += fmt.Sprintf("; the node took %d nodes from them", offered)
	}
	if read < len(f.Setup.DNSLists) {
		c.Status = Warn
		c.Remedy = "Check the URL, and that the system's resolver answers TXT queries for its domain: parley dns sync URL."
	}
	return c
}

func dnsList(l *dnsdisc.ListStatus) string {
	domain := l.Link.Domain
	switch {
	case l.Synced:
		return fmt.Sprintf("%s number %d", domain, l.Seq)
	case l.Err != nil:
		return fmt.Sprintf("%s: %v", domain, l.Err)
	}
	return domain + ": no answer"
}

// millis writes milliseconds.
func millis(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// some joins the first few of a list.
func some(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, "; ")
	}
	return strings.Join(list[:most], "; ") + fmt.Sprintf("; %d more", len(list)-most)
}
