package natlab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"parley/interop/nodes"
)

// ruleset is the gateway's firewall: it hides the inside behind one address and
// lets in what was asked for. The daemon fills the chains with its name.
const ruleset = `flush ruleset
table inet filter {
	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state established,related accept
		iifname "home" accept
		jump miniupnpd
	}
	chain prerouting {
		type nat hook prerouting priority -100;
		jump prerouting_miniupnpd
	}
	chain postrouting {
		type nat hook postrouting priority 100;
		jump postrouting_miniupnpd
		oifname "line" ip saddr 192.168.77.0/24 masquerade
	}
	chain miniupnpd { }
	chain prerouting_miniupnpd { }
	chain postrouting_miniupnpd { }
}
`

// settings are miniupnpd's; what is asked for is written to a file in the lab's
// directory.
const settings = `ext_ifname=line
listening_ip=home
http_port=5000
enable_upnp=yes
enable_natpmp=yes
min_lifetime=10
max_lifetime=86400
secure_mode=yes
system_uptime=yes
notify_interval=30
uuid=00000000-0000-0000-0000-000000000001
serial=1
model_number=1
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
allow 1024-65535 192.168.77.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`

// StartGateway starts the gateway without mappings.
func (l *Lab) StartGateway() {
	l.t.Helper()
	if _, err := run(ruleset, "ip", "netns", "exec", l.gw, "nft", "-f", "-"); err != nil {
		l.t.Fatal(err)
	}
	config, leases := filepath.Join(l.dir, "miniupnpd.conf"), filepath.Join(l.dir, "leases")
	for file, text := range map[string]string{config: settings + "lease_file=" + leases + "\n", leases: ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	l.gateway = start(l.t, l.gw, "miniupnpd", "-d", "-f", config, "-P", filepath.Join(l.dir, "miniupnpd.pid"))
	nodes.Wait(l.t, soon, "the gateway listens", func() bool {
		select {
		case <-l.gateway.ended:
			l.t.Fatalf("miniupnpd has ended:\n%s", l.gateway.tail(20))
		default:
		}
		return strings.Contains(l.do("ip", "netns", "exec", l.gw, "ss", "-uln"), ":5351")
	})
}

// StopGateway stops the gateway, as when its plug is pulled: it forwards nothing.
func (l *Lab) StopGateway() {
	l.t.Helper()
	if err := l.gateway.stop(); err != nil {
		l.t.Fatal(err)
	}
	if _, err := run("flush ruleset\n", "ip", "netns", "exec", l.gw, "nft", "-f", "-"); err != nil {
		l.t.Fatal(err)
	}
}

// SetExternal gives the gateway another address outside.
func (l *Lab) SetExternal(addr string) {
	l.t.Helper()
	l.do("ip", "-n", l.gw, "addr", "del", l.external+"/24", "dev", "line")
	l.do("ip", "-n", l.gw, "addr", "add", addr+"/24", "dev", "line")
	l.external = addr
}

// Mapped returns how many ports of IPv4 lead inside, and how many holes for IPv6
// there are.
func (l *Lab) Mapped() (ports, holes int) {
	l.t.Helper()
	const inside6 = "0x2a0e0077000000000000000000000002"
	list := func(chain string) string {
		return l.do("ip", "netns", "exec", l.gw, "nft", "list", "chain", "inet", "filter", chain)
	}
	return strings.Count(list("prerouting_miniupnpd"), "dnat"), strings.Count(list("miniupnpd"), inside6)
}

// Forward leads a port for TCP and UDP inside, as an operator does by hand at a
// gateway that maps nothing. It lasts until the gateway is started again, and
// Mapped does not count it.
func (l *Lab) Forward(port int) {
	l.t.Helper()
	text := fmt.Sprintf(`add rule inet filter prerouting iifname "line" meta l4proto { tcp, udp } th dport %d dnat ip to %s
add rule inet filter forward ct status dnat accept
`, port, Inside4)
	if _, err := run(text, "ip", "netns", "exec", l.gw, "nft", "-f", "-"); err != nil {
		l.t.Fatal(err)
	}
}
