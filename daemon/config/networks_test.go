package config

import (
	"fmt"
	"strings"
	"testing"

	"parley/enode"
)

// texts returns the bootnodes and lists of s, a line each.
func texts(s Settings) string {
	var b strings.Builder
	for _, n := range s.Bootnodes {
		fmt.Fprintln(&b, n)
	}
	for _, l := range s.DNSLists {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// Each public network has bootnodes with addresses of their own, and a list.
func TestNetworks(t *testing.T) {
	seen := make(map[enode.ID]string)
	for network, want := range map[string]int{NetworkMainnet: 4, NetworkSepolia: 5, NetworkHoodi: 4} {
		s := mustLoad(t, Sources{Flags: map[string]string{"network": network}}).Settings
		if len(s.Bootnodes) != want {
			t.Errorf("%s has %d bootnodes, want %d", network, len(s.Bootnodes), want)
		}
		for _, n := range s.Bootnodes {
			if _, ok := n.UDPEndpoint(); !ok || n.Hostname() != "" || seen[n.ID()] != "" {
				t.Errorf("%s: %v has no address, or is %s's", network, n, seen[n.ID()])
			}
			seen[n.ID()] = network
		}
		if len(s.DNSLists) != 1 || s.DNSLists[0].Domain != "all."+network+".ethdisco.net" {
			t.Errorf("%s has the lists %v", network, s.DNSLists)
		}
	}
}

// A flag goes before a file, of ours or geth's, and that before what is known of
// the network; an empty one means none.
func TestBootnodes(t *testing.T) {
	mainnet := texts(mustLoad(t, Sources{Flags: map[string]string{"network": "mainnet"}}).Settings)
	hoodi := texts(mustLoad(t, Sources{Flags: map[string]string{"network": "hoodi"}}).Settings)
	other := strings.Replace(nodeURL, "30303", "30304", 1)
	none := map[string]string{"bootnodes": "", "discovery.dns": ""}
	ours := "bootnodes = ['" + nodeURL + "']\n[discovery]\ndns = ['" + listURL + "']\n"
	for _, tt := range []struct {
		name  string
		flags map[string]string
		env   []string
		file  string
		want  string
	}{
		{name: "nothing", want: mainnet},
		{name: "network", flags: map[string]string{"network": "hoodi"}, want: hoodi},
		{name: "private network", flags: map[string]string{"networkid": "7", "eth.genesis": genesis}, want: ""},
		{name: "empty flags", flags: none, want: ""},
		{name: "empty flags, file", flags: none, file: ours, want: ""},
		{name: "flag, environment, file", flags: map[string]string{"bootnodes": other}, env: []string{"PARLEY_BOOTNODES=/nonexistent"}, file: ours, want: other + "\n" + listURL + "\n"},
		{name: "environment, file", env: []string{"PARLEY_BOOTNODES=" + other}, file: ours, want: other + "\n" + listURL + "\n"},
		{name: "file", file: ours, want: nodeURL + "\n" + listURL + "\n"},
		{name: "empty file", file: "bootnodes = []\n[discovery]\ndns = []\n", want: ""},
		{name: "geth's file", file: "[Node.P2P]\nBootstrapNodes = ['" + nodeURL + "']\n", want: nodeURL + mainnet[strings.Index(mainnet, "\nenrtree"):]},
		{name: "geth's file and ours", file: "bootnodes = ['" + other + "']\n[Node.P2P]\nBootstrapNodes = ['" + nodeURL + "']\n", want: other + mainnet[strings.Index(mainnet, "\nenrtree"):]},
		{name: "both", flags: map[string]string{"network": "hoodi", "bootnodes": "network," + nodeURL, "discovery.dns": listURL + ",network"},
			want: strings.Replace(hoodi, "enrtree", nodeURL+"\n"+listURL+"\nenrtree", 1)},
		{name: "no discovery", flags: map[string]string{"nodiscover": "true"}, want: ""},
	} {
		src := Sources{Flags: tt.flags, Env: tt.env}
		if tt.file != "" {
			src.File = write(t, tt.file)
		}
		if l, err := Load(src); err != nil || texts(l.Settings) != tt.want {
			t.Errorf("%s: %v\n%swant\n%s", tt.name, err, texts(l.Settings), tt.want)
		}
	}
}
