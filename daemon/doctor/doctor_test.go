package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"parley/daemon/admin"
	"parley/daemon/discovery"
	"parley/daemon/sntp"
	"parley/dnsdisc"
	"parley/enode"
	"parley/p2p"
)

const (
	nodeURL = "enode://ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f@"
	nodeID  = "a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7"
)

// healthy are the facts of a node with which nothing is wrong.
func healthy() *Facts {
	f := &Facts{
		Setup: admin.Setup{MaxPeers: 50, MaxInbound: 25, MaxDialed: 25, Dialing: true, Listen: "[::]:30303",
			Discovery: &admin.DiscoverySetup{V4: true, V5: true, Listen: "[::]:30303"}},
		Clock: &Clock{Server: "ntp.corp", Reading: sntp.Reading{Offset: 3 * time.Millisecond}},
		Stats: admin.Stats{Peers: 2, Inbound: 1, Dialed: 1, Eth: &admin.EthStats{Sessions: 3}},
	}
	f.Info.Enode = nodeURL + "203.0.113.9:30303"
	return f
}

func static(x admin.Explanation) func(f *Facts) {
	x.ID, x.Static = nodeID, true
	if x.Enode == "" {
		x.Enode = nodeURL + "10.0.0.7:30303"
	}
	return func(f *Facts) { f.Static = append(f.Static, &x) }
}

func bootnodes(t *testing.T, answers ...Answer) func(f *Facts) {
	n, err := enode.Parse(nodeURL + "10.0.0.7:30303")
	if err != nil {
		t.Fatal(err)
	}
	for i := range answers {
		answers[i].Node = n
	}
	return func(f *Facts) { f.Bootnodes = answers }
}

// Each check tells what is right, what is wrong and what to do.
func TestExamine(t *testing.T) {
	said := func(gate, reason, text string) admin.Explanation {
		return admin.Explanation{Gate: gate, Advice: "Do this.", Verdicts: []admin.Verdict{{Gate: gate, Reason: reason, Error: text}}}
	}
	lost := errors.New("connection refused")
	link, err := dnsdisc.ParseLink("enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@nodes.example.org")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(f *Facts)
		check  string
		status Status
		detail string // a part of it
		remedy string // a part of it
	}{
		{"right", func(*Facts) {}, "clock", OK, "offset +3.0 ms (ntp.corp)", ""},
		{"slow", func(f *Facts) { f.Clock.Offset = -2500 * time.Millisecond }, "clock", Warn, "offset -2500 ms", "Set the clock"},
		{"years off", func(f *Facts) { f.Clock.Offset = 1000 * time.Hour }, "clock", Fail, "offset +1000h0m0s", "Set the clock"},
		{"not asked", func(f *Facts) { f.Clock = nil }, "clock", Skip, "not checked", "--ntp HOST"},
		{"no time server", func(f *Facts) { f.Clock.Err = lost }, "clock", Warn, "not checked: connection refused", "another time server"},

		{"right", func(*Facts) {}, "sockets", OK, "tcp [::]:30303  udp [::]:30303", ""},
		{"tcp closed", func(f *Facts) { f.TCP = lost }, "sockets", Fail, "tcp [::]:30303: connection refused  udp [::]:30303", "Nothing accepts"},
		{"udp silent", func(f *Facts) { f.UDP = lost }, "sockets", Fail, "udp [::]:30303: connection refused", "does not answer"},
		{"no discovery", func(f *Facts) { f.Setup.Discovery = nil }, "sockets", OK, "udp none: discovery is off", ""},
		{"not listening", func(f *Facts) { f.Setup.Listen = "" }, "sockets", Warn, "tcp none", ""},
		{"we are outside", func(f *Facts) { f.UDP = lost; f.Setup.NetRestrict = []string{"10.0.0.0/8"} }, "sockets", OK, "not tried", ""},

		{"public", func(*Facts) {}, "nat", OK, "203.0.113.9 (public); 1 inbound peers", ""},
		{"private", func(f *Facts) { f.Info.Enode = nodeURL + "10.0.0.4:30303" }, "nat", Warn, "10.0.0.4 (private)", "forward TCP and UDP"},
		{"private network", func(f *Facts) {
			f.Info.Enode = nodeURL + "10.0.0.4:30303"
			f.Setup.NetRestrict = []string{"10.0.0.0/8"}
		}, "nat", OK, "10.0.0.4 (private)", ""},
		{"provider's NAT", func(f *Facts) { f.Info.Enode = nodeURL + "100.64.1.1:30303" }, "nat", Warn, "behind the provider's NAT", "forward"},
		{"loopback by mistake", func(f *Facts) { f.Info.Enode = nodeURL + "127.0.0.1:30303" }, "nat", Warn, "(loopback)", "forward"},
		{"loopback as meant", func(f *Facts) { f.Info.Enode, f.Setup.Listen = nodeURL+"127.0.0.1:30303", "127.0.0.1:30303" }, "nat", OK, "(loopback)", ""},
		{"no address", func(f *Facts) { f.Info.Enode = strings.TrimSuffix(nodeURL, "@") }, "nat", Warn, "no address yet", "once it talks to enough"},
		{"no address, no discovery", func(f *Facts) { f.Info.Enode, f.Setup.Discovery = strings.TrimSuffix(nodeURL, "@"), nil }, "nat", Warn, "no address yet", "--nat extip:IP"},
		{"private, no discovery", func(f *Facts) { f.Info.Enode, f.Setup.Discovery = nodeURL+"10.0.0.4:30303", nil }, "nat", Warn, "10.0.0.4 (private)", "forward the TCP port"},

		{"yes", func(f *Facts) { f.Info.P2P.Reachable = p2p.Reachable{TCP4: p2p.ReachYes, UDP4: p2p.ReachYes} },
			"reachable", OK, "tcp4 yes  tcp6 unknown  udp4 yes  udp6 unknown", ""},
		{"not known", func(*Facts) {}, "reachable", Skip, "udp6 unknown: nobody from a public address", ""},
		{"no", func(f *Facts) { f.Info.P2P.Reachable = p2p.Reachable{TCP4: p2p.ReachNo, UDP4: p2p.ReachNo} },
			"reachable", Warn, "tcp4 no  tcp6 unknown  udp4 no", "forward TCP port 30303 and UDP port 30303 on the gateway"},
		{"IPv6 is shut", func(f *Facts) { f.Info.P2P.Reachable = p2p.Reachable{TCP4: p2p.ReachYes, TCP6: p2p.ReachNo} },
			"reachable", Warn, "tcp4 yes  tcp6 no", "let TCP port 30303 through the firewalls"},
		{"no discovery", func(f *Facts) {
			f.Setup.Discovery, f.Info.P2P.Reachable = nil, p2p.Reachable{TCP4: p2p.ReachYes, UDP4: p2p.ReachNo}
		}, "reachable", OK, "tcp4 yes  tcp6 unknown", ""},
		{"deaf", func(f *Facts) { f.Setup.Listen, f.Setup.Discovery = "", nil }, "reachable", Skip, "does not listen", ""},

		{"some answer", bootnodes(t, Answer{Pong: discovery.Pong{Protocol: "discv4", Millis: 4}}, Answer{Pong: discovery.Pong{Protocol: "discv5", Millis: 51}}, Answer{Err: lost}),
			"bootnodes", Warn, "2/3 answer (discv4 4.0 ms, discv5 51 ms); a448f24c6d18e575: connection refused", "through those"},
		{"all answer", bootnodes(t, Answer{Pong: discovery.Pong{Protocol: "discv4", Millis: 4}}), "bootnodes", OK, "1/1 answer", ""},
		{"none answers", bootnodes(t, Answer{Err: lost}, Answer{Err: lost}), "bootnodes", Fail, "0/2 answer", "UDP is let out"},
		{"none set", func(*Facts) {}, "bootnodes", Warn, "none are set", "--bootnodes"},
		{"none needed", static(admin.Explanation{Connected: true}), "bootnodes", Skip, "none are set", ""},

		{"no lists", func(*Facts) {}, "dns", Skip, "no lists", ""},
		{"list read", func(f *Facts) {
			f.Setup.DNSLists, f.DNS = []string{link.String()}, []dnsdisc.ListStatus{{Link: link, Seq: 7, Synced: true, Entries: 3}}
			f.Stats.Sources = map[string]admin.Funnel{"dns": {Offered: 12}}
		}, "dns", OK, "1/1 lists can be read: nodes.example.org number 7; the node took 12 nodes", ""},
		{"list not read", func(f *Facts) {
			f.Setup.DNSLists, f.DNS = []string{link.String()}, []dnsdisc.ListStatus{{Link: link, Err: lost}}
		}, "dns", Warn, "0/1 lists can be read: nodes.example.org: connection refused", "parley dns sync"},

		{"open", func(*Facts) {}, "netrestrict", OK, "all addresses", ""},
		{"covers", func(f *Facts) {
			f.Setup.NetRestrict = []string{"10.0.0.0/24"}
			static(admin.Explanation{Connected: true})(f)
		}, "netrestrict", OK, "10.0.0.0/24 covers all static peers", ""},
		{"leaves out", func(f *Facts) {
			f.Setup.NetRestrict = []string{"10.1.0.0/16"}
			static(admin.Explanation{})(f)
		}, "netrestrict", Fail, "leaves 1 of 1 static peers out: a448f24c6d18e575 at 10.0.0.7:30303", "Widen"},
		{"name", func(f *Facts) {
			f.Setup.NetRestrict = []string{"10.1.0.0/16"}
			static(admin.Explanation{Enode: nodeURL + "node.corp:30303"})(f)
		}, "netrestrict", Warn, "not known where these static peers are: a448f24c6d18e575 at node.corp", ""},

		{"no bans", func(*Facts) {}, "bans", OK, "0 in force", ""},
		{"static banned", func(f *Facts) {
			ban := admin.Ban{Net: "10.0.0.0/8"}
			f.Bans = []admin.Ban{ban}
			static(admin.Explanation{Ban: &ban, Gate: "ban"})(f)
		}, "bans", Fail, "1 in force; 1 of 1 static peers are banned", "parley unban 10.0.0.0/8"},

		{"none", func(*Facts) {}, "static peers", Skip, "none are set", ""},
		{"refused connection", static(said("dial", "", "refused")), "static peers", Fail, "0/1 connected; a448f24c6d18e575 at 10.0.0.7:30303 at dial: refused", "Do this. See: parley why " + nodeID},
		{"full", static(said("hello", "too many peers", "too many peers")), "static peers", Fail, "at hello: too many peers", "Do this."},
		{"of another network", static(said("protocol", "subprotocol error", "genesis mismatch")), "static peers", Warn, "0/1 connected; 1 kept out", ""},
		{"not tried", static(admin.Explanation{}), "static peers", Warn, "1 not tried yet", ""},
		{"not dialed", func(f *Facts) { f.Setup.Dialing = false; static(admin.Explanation{})(f) }, "static peers", Warn, "dialing is off", ""},

		{"other genesis", static(said("protocol", "subprotocol error", "genesis mismatch")), "protocol", Fail,
			"1 of 1 static peers and this node refuse each other: genesis mismatch", "Do this. See: parley why " + nodeID},
		{"full is no protocol", static(said("protocol", "too many peers", "too many peers")), "protocol", OK, "eth sessions: 3; refused: none", ""},
		{"strangers", func(f *Facts) { f.Stats.Eth.Refused = map[string]uint64{"genesis": 2, "network": 9, "range": 0} }, "protocol", OK, "refused: network 9, genesis 2", ""},

		{"blocked", func(f *Facts) { f.Stats.Sources = map[string]admin.Funnel{"discv4": {Offered: 90, Dialed: 20}} }, "from discv4", Warn, "offered 90 → dialed 20 → tcp 0", "TCP is let out"},
		{"none stays", func(f *Facts) { f.Stats.Sources = map[string]admin.Funnel{"dns": {Dialed: 20, Connected: 9, Hello: 8}} }, "from dns", Warn, "hello 8 → peer 0", "this network"},
		{"too early to say", func(f *Facts) { f.Stats.Sources = map[string]admin.Funnel{"dns": {Dialed: 19}} }, "from dns", OK, "dialed 19", ""},

		{"some", func(*Facts) {}, "peers", OK, "2 of 50: 1 inbound (limit 25), 1 dialed (limit 25 besides static)", ""},
		{"alone", func(f *Facts) { f.Stats.Peers = 0 }, "peers", Warn, "0 of 50", "checks above"},
		{"no slots", func(f *Facts) { f.Setup.MaxPeers = 0 }, "peers", Warn, "2 of 0", "maxpeers is 0"},
		{"full", func(f *Facts) { f.Stats.Peers = 50 }, "peers", OK, "; full", ""},
	}
	for _, tt := range tests {
		t.Run(tt.check+"/"+tt.name, func(t *testing.T) {
			f := healthy()
			tt.change(f)
			found := false
			checks := Examine(f)
			for _, c := range checks {
				if c.Name != tt.check {
					continue
				}
				found = true
				if c.Status != tt.status || !strings.Contains(c.Detail, tt.detail) || !strings.Contains(c.Remedy, tt.remedy) || tt.remedy == "" && c.Remedy != "" {
					t.Errorf("%+v\nwant %s, %q, %q", c, tt.status, tt.detail, tt.remedy)
				}
			}
			if !found {
				t.Errorf("there is no check %q: %+v", tt.check, checks)
			}
			if tt.status == Fail && !Failed(checks) {
				t.Error("a failure is not counted as one")
			}
		})
	}
	if Failed(Examine(healthy())) {
		t.Errorf("a healthy node fails: %+v", Examine(healthy()))
	}
}

func TestLocal(t *testing.T) {
	for listen, want := range map[string]string{
		"[::]:30303": "127.0.0.1:30303", "0.0.0.0:30303": "127.0.0.1:30303", "10.0.0.4:30303": "10.0.0.4:30303", "[::1]:5": "[::1]:5",
	} {
		if got, err := Local(listen); err != nil || got.String() != want {
			t.Errorf("Local(%s) = %v, %v; want %s", listen, got, err, want)
		}
	}
	if _, err := Local("x"); err == nil {
		t.Error("no error for what is no address")
	}
}
