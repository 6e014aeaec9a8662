package doctor

import (
	"net"
	"strings"

	"parley/p2p"
)

// A path is a transport and a family of addresses by which others may come in.
type path struct {
	name  string
	ipv6  bool
	state p2p.Reach
}

// checkReachable tells by which ways strangers get through to the node, which it
// judges by who came and who answered.
func checkReachable(f *Facts) Check {
	c := Check{Name: "reachable", Status: OK}
	r := f.Info.P2P.Reachable
	var paths []path
	if f.Setup.Listen != "" {
		paths = append(paths, path{"tcp4", false, r.TCP4}, path{"tcp6", true, r.TCP6})
	}
	if f.Setup.Discovery != nil {
		paths = append(paths, path{"udp4", false, r.UDP4}, path{"udp6", true, r.UDP6})
	}
	if len(paths) == 0 {
		c.Status, c.Detail = Skip, "the node does not listen"
		return c
	}
	var told, closed, closed6 []string
	known := false
	for _, p := range paths {
		switch p.state {
		case p2p.ReachYes:
			known = true
		case p2p.ReachNo:
			known = true
			if p.ipv6 {
				closed6 = append(closed6, p.name)
			} else {
				closed = append(closed, p.name)
			}
		default:
			p.state = p2p.ReachUnknown
		}
		told = append(told, p.name+" "+string(p.state))
	}
	c.Detail = strings.Join(told, "  ")
	if !known {
		c.Status = Skip
		c.Detail += ": nobody from a public address has come, and too few have answered"
		return c
	}
	var todo []string
	if len(closed) > 0 {
		todo = append(todo, "Nobody comes in by "+strings.Join(closed, " and ")+", while others answer: forward "+portOf(f, closed)+
			" on the gateway to this machine, as --nat any has gateways do that can, and let it through the firewall.")
	}
	if len(closed6) > 0 {
		todo = append(todo, "Nobody comes in by "+strings.Join(closed6, " and ")+", while others answer: let "+portOf(f, closed6)+
			" through the firewalls of the gateway and of this machine, for IPv6.")
	}
	if len(todo) > 0 {
		c.Status, c.Remedy = Warn, strings.Join(todo, " ")
	}
	return c
}

// portOf names the port to be opened for paths of one family.
func portOf(f *Facts, closed []string) string {
	var ports []string
	for _, name := range closed {
		if strings.HasPrefix(name, "tcp") {
			ports = append(ports, "TCP port "+port(f.Setup.Listen))
		} else {
			ports = append(ports, "UDP port "+port(f.Setup.Discovery.Listen))
		}
	}
	return strings.Join(ports, " and ")
}

func port(listen string) string {
	if _, port, err := net.SplitHostPort(listen); err == nil {
		return port
	}
	return listen
}
