package config

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
)

// gethP2P maps geth's keys of [Node.P2P] to options. Those with an empty name are
// known and have no effect here.
var gethP2P = map[string]string{
	"MaxPeers":         "maxpeers",
	"MaxPendingPeers":  "maxpendpeers",
	"DialRatio":        "dialratio",
	"NoDial":           "nodial",
	"StaticNodes":      "staticpeers",
	"TrustedNodes":     "trustedpeers",
	"NetRestrict":      "netrestrict",
	"EnableMsgEvents":  "msgevents",
	"ListenAddr":       gethListenAddr,
	"NoDiscovery":      "nodiscover",
	"DiscoveryV4":      "discovery.v4",
	"DiscoveryV5":      "discovery.v5",
	"BootstrapNodes":   "bootnodes",
	"BootstrapNodesV5": "",
	"NodeDatabase":     "",
	"DiscAddr":         "",
	"NAT":              "nat",
}

// gethNode maps geth's keys of [Node] to options. What is not here concerns other
// parts of geth.
var gethNode = map[string]string{
	"DataDir":          "datadir",
	"UserIdent":        "identity",
	"IPCPath":          "ipcpath",
	"HTTPHost":         "http.addr",
	"HTTPPort":         "http.port",
	"HTTPModules":      "http.api",
	"HTTPCors":         "http.corsdomain",
	"HTTPVirtualHosts": "http.vhosts",
}

// gethListenAddr marks the key that holds two options: an address and a port.
const gethListenAddr = "listen.addr:port"

// readGeth takes the top-level tables of a geth configuration. One warning names
// everything that has no effect here.
func (f *fileValues) readGeth(tables map[string]any) {
	var ignored []string
	for _, section := range slices.Sorted(maps.Keys(tables)) {
		node, ok := tables[section].(map[string]any)
		if section != "Node" || !ok {
			ignored = append(ignored, section)
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(node)) {
			if table, ok := node[key].(map[string]any); ok && key == "P2P" {
				ignored = append(ignored, f.readGethP2P(table)...)
			} else if !f.setGethNode(key, node[key]) {
				ignored = append(ignored, "Node."+key)
			}
		}
	}
	if len(ignored) > 0 {
		f.warnings = append(f.warnings, "these parts of the configuration file have no effect here: "+strings.Join(ignored, ", "))
	}
}

// readGethP2P takes [Node.P2P], where every key must be known. It returns those
// without effect.
func (f *fileValues) readGethP2P(table map[string]any) (ignored []string) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		option, ok := gethP2P[key]
		full := "Node.P2P." + key
		switch {
		case !ok:
			f.errs = append(f.errs, fmt.Errorf("unknown key %s%s", clip(full), DidYouMean(key, slices.Sorted(maps.Keys(gethP2P)))))
		case option == "":
			ignored = append(ignored, full)
		case option == gethListenAddr:
			f.setListenAddr(full, table[key])
		default:
			f.set(f.options[option], full, table[key])
		}
	}
	return ignored
}

// setListenAddr divides "host:port". An empty one turns listening off in geth,
// which has no counterpart here.
func (f *fileValues) setListenAddr(key string, value any) {
	text, _ := value.(string)
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		f.errs = append(f.errs, fmt.Errorf(`%s: want "address:port"`, key))
		return
	}
	f.values["listen.addr"], f.values["port"] = host, port
}

// setGethNode takes one key of [Node] and reports whether it has an effect.
func (f *fileValues) setGethNode(key string, value any) bool {
	option, ok := gethNode[key]
	switch {
	case !ok:
		return false
	case key == "IPCPath" && value == "geth.ipc":
		return true // geth's default name is geth's: ours is our own
	case key == "HTTPHost" && value == "":
		return true // off, as it is by default
	case key == "HTTPHost":
		f.values["http"] = "true"
	case key == "HTTPModules":
		return f.setGethModules(value)
	}
	f.set(f.options[option], "Node."+key, value)
	return true
}

// setGethModules keeps the namespaces that exist here: geth's list usually names
// others as well.
func (f *fileValues) setGethModules(value any) bool {
	text, ok := textOf(List, value)
	if !ok {
		return false
	}
	kept := slices.DeleteFunc(items(text), func(name string) bool { return !slices.Contains(namespaces, name) })
	f.values["http.api"] = strings.Join(kept, ",")
	return true
}
