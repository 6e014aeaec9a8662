package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"parley/daemon/admin"
	"parley/enode"
	"parley/p2p"
)

// name returns how a node is called in a check: its id, shortened, which parley why
// takes in full, and where it is.
func name(x *admin.Explanation) string {
	text := x.ID[:min(16, len(x.ID))]
	n, err := enode.Parse(x.Enode)
	if err != nil {
		return text
	}
	if n.Hostname() != "" {
		return text + " at " + n.Hostname()
	}
	if ep, ok := n.TCPEndpoint(); ok {
		return text + " at " + ep.String()
	}
	return text
}

// why points to the story of a node.
func why(x *admin.Explanation) string { return "See: parley why " + x.ID }

func checkNetRestrict(f *Facts) Check {
	c := Check{Name: "netrestrict", Status: OK}
	nets := strings.Join(f.Setup.NetRestrict, ", ")
	if nets == "" {
		c.Detail = "all addresses are permitted"
		return c
	}
	var outside, unknown []string
	for _, x := range f.Static {
		addr, known := addrOf(x)
		switch {
		case x.Connected:
		case x.Gate == string(p2p.GateNetRestrict) || known && !admits(f.Setup.NetRestrict, addr):
			outside = append(outside, name(x))
		case !known:
			unknown = append(unknown, name(x))
		}
	}
	switch {
	case len(outside) > 0:
		c.Status = Fail
		c.Detail = fmt.Sprintf("%s leaves %d of %d static peers out: %s", nets, len(outside), len(f.Static), some(outside))
		c.Remedy = "Widen netrestrict, or take these from the static peers: they are never dialed."
	case len(unknown) > 0:
		c.Status, c.Detail = Warn, fmt.Sprintf("%s; not known where these static peers are: %s", nets, some(unknown))
	case len(f.Static) > 0:
		c.Detail = nets + " covers all static peers"
	default:
		c.Detail = nets
	}
	return c
}

// addrOf returns the address under which a node is known.
func addrOf(x *admin.Explanation) (netip.Addr, bool) {
	n, err := enode.Parse(x.Enode)
	if err != nil {
		return netip.Addr{}, false
	}
	ep, ok := n.TCPEndpoint()
	return ep.Addr(), ok
}

func checkBans(f *Facts) Check {
	c := Check{Name: "bans", Status: OK, Detail: fmt.Sprintf("%d in force", len(f.Bans))}
	var banned []string
	target := ""
	for _, x := range f.Static {
		if x.Ban != nil {
			banned = append(banned, name(x))
			target = cmp.Or(target, x.Ban.Target())
		}
	}
	if len(banned) > 0 {
		c.Status = Fail
		c.Detail += fmt.Sprintf("; %d of %d static peers are banned: %s", len(banned), len(f.Static), some(banned))
		c.Remedy = "Lift the ban: parley unban " + target
	}
	return c
}

// refused reports whether a node was kept out by what the protocols of the two sides
// have to say to each other, and not because there was no room or somebody left.
func refused(x *admin.Explanation) bool {
	if x.Gate != string(p2p.GateProtocol) && x.Gate != string(p2p.GateHello) || len(x.Verdicts) == 0 {
		return false
	}
	switch x.Verdicts[len(x.Verdicts)-1].Reason {
	case p2p.DiscSubprotocolError.String(), p2p.DiscUselessPeer.String(), p2p.DiscProtocolError.String(), p2p.DiscIncompatibleVersion.String(),
		p2p.DiscUnexpectedIdentity.String():
		return true
	}
	return false
}

func checkStatic(f *Facts) Check {
	c := Check{Name: "static peers", Status: OK}
	if len(f.Static) == 0 {
		c.Status, c.Detail = Skip, "none are set"
		return c
	}
	connected, waiting, elsewhere := 0, 0, 0
	var out, todo []string
	for _, x := range f.Static {
		switch {
		case x.Connected:
			connected++
		case x.Ban != nil || x.Gate == string(p2p.GateNetRestrict) || refused(x):
			elsewhere++ // that has a check of its own
		case x.Gate == "":
			waiting++
		default:
			out = append(out, fmt.Sprintf("%s at %s: %s", name(x), x.Gate, lastError(x)))
			todo = append(todo, sentence(x.Advice)+why(x))
		}
	}
	c.Detail = fmt.Sprintf("%d/%d connected", connected, len(f.Static))
	switch {
	case len(out) > 0:
		c.Status = Fail
		c.Detail += "; " + some(out)
		c.Remedy = some(todo)
	case elsewhere > 0:
		c.Status, c.Detail = Warn, c.Detail+fmt.Sprintf("; %d kept out by netrestrict, a ban or a protocol, see there", elsewhere)
	case waiting > 0 && !f.Setup.Dialing:
		c.Status, c.Detail = Warn, c.Detail+"; dialing is off, they must connect to us"
	case waiting > 0:
		c.Status, c.Detail = Warn, c.Detail+fmt.Sprintf("; %d not tried yet", waiting)
	}
	return c
}

func lastError(x *admin.Explanation) string {
	if n := len(x.Verdicts); n > 0 {
		return x.Verdicts[n-1].Error
	}
	return "not said why"
}

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return s + " "
}

// checkProtocol tells who is of another network: genesis, network id, fork id.
func checkProtocol(f *Facts) Check {
	c := Check{Name: "protocol", Status: OK}
	reasons := make(map[string]bool)
	var first *admin.Explanation
	n := 0
	for _, x := range f.Static {
		if x.Connected || x.Ban != nil || !refused(x) {
			continue
		}
		n++
		reasons[lastError(x)] = true
		if first == nil {
			first = x
		}
	}
	if n > 0 {
		c.Status = Fail
		c.Detail = fmt.Sprintf("%d of %d static peers and this node refuse each other: %s", n, len(f.Static), some(slices.Sorted(maps.Keys(reasons))))
		c.Remedy = sentence(first.Advice) + why(first)
		return c
	}
	if f.Stats.Eth == nil {
		c.Detail = "no static peer refuses us"
		return c
	}
	c.Detail = fmt.Sprintf("eth sessions: %d; refused: %s", f.Stats.Eth.Sessions, counts(f.Stats.Eth.Refused))
	return c
}

// counts writes counters, the largest first.
func counts(m map[string]uint64) string {
	var parts []string
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	for _, k := range keys {
		if m[k] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// enough is how many dials without any success are no accident.
const enough = 20

// checkFunnels tells how far the nodes of each source get.
func checkFunnels(f *Facts) []Check {
	var checks []Check
	for _, source := range slices.Sorted(maps.Keys(f.Stats.Sources)) {
		u := f.Stats.Sources[source]
		if u.Offered+u.Dialed+u.Connected == 0 {
			continue
		}
		c := Check{Name: "from " + source, Status: OK}
		c.Detail = fmt.Sprintf("offered %d → dialed %d → tcp %d → hello %d → peer %d; refused: %s",
			u.Offered, u.Dialed, u.Connected, u.Hello, u.Peer, counts(u.Refused))
		switch {
		case u.Dialed >= enough && u.Connected == 0:
			c.Status, c.Remedy = Warn, "No connection out was ever made: check that TCP is let out, to all ports."
		case u.Dialed >= enough && u.Peer == 0:
			c.Status, c.Remedy = Warn, "Nodes answer and none stays: check that they are of this network, see the check of protocol."
		}
		checks = append(checks, c)
	}
	return checks
}

func checkPeers(f *Facts) Check {
	s, u := &f.Stats, &f.Setup
	c := Check{Name: "peers", Status: OK}
	c.Detail = fmt.Sprintf("%d of %d: %d inbound (limit %d), %d dialed (limit %d besides static)", s.Peers, u.MaxPeers, s.Inbound, u.MaxInbound, s.Dialed, u.MaxDialed)
	switch {
	case u.MaxPeers == 0:
		c.Status, c.Remedy = Warn, "maxpeers is 0: nobody but trusted nodes is admitted."
	case s.Peers == 0:
		c.Status, c.Remedy = Warn, "There are no peers; the checks above tell what is in the way, as far as something is."
	case s.Peers >= u.MaxPeers:
		c.Detail += "; full"
	}
	return c
}
