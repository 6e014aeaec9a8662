package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"parley/enode"
	"parley/nat"
)

// The categories of options, in the order of the help.
const (
	catNode = "node"
	catNet  = "networking"
	catEth  = "Ethereum"
	catAPI  = "API"
	catLog  = "logging"
)

// Namespaces are those that the HTTP face can offer.
var namespaces = []string{"admin", "debug", "net", "p2p", "web3"}

// Options returns the table of all options.
func Options() []*Option {
	return slices.Concat(nodeOptions(), netOptions(), ethOptions(), apiOptions(), logOptions())
}

func nodeOptions() []*Option {
	return []*Option{
		{Name: "datadir", Category: catNode, Arg: "DIR",
			Usage: "directory for the node key, the lock and the IPC socket (default: ~/.parley or as the system has it, with a sub-folder for a test network)",
			set:   func(s *Settings, v string) error { s.DataDir = v; return nil }},
		{Name: "identity", Category: catNode, Arg: "NAME",
			Usage: "custom part of the client name that peers see",
			set:   setIdentity},
		{Name: "nodekey", Category: catNode, Arg: "FILE",
			Usage: "file with the node key; it must exist (default: made in the data directory)",
			set:   func(s *Settings, v string) error { s.NodeKey = v; return nil }},
		{Name: "nodekeyhex", Category: catNode, Arg: "HEX", Secret: true,
			Usage: "node key as 64 hex digits, for testing: other users of the machine can read it",
			set:   setNodeKeyHex},
	}
}

func netOptions() []*Option {
	return []*Option{
		{Name: "port", Category: catNet, Kind: Number, Default: "30303", Arg: "PORT",
			Usage: "TCP port to listen on; 0 lets the system pick",
			set:   func(s *Settings, v string) error { return setPort(&s.Port, v) }},
		{Name: "listen.addr", Category: catNet, Arg: "IP",
			Usage: "address to listen on (default: all)",
			set:   func(s *Settings, v string) error { return setAddr(&s.ListenAddr, v) }},
		{Name: "maxpeers", Category: catNet, Kind: Number, Default: "50", Arg: "N",
			Usage: "most peers at a time; 0 admits none but trusted ones",
			set:   func(s *Settings, v string) error { return setInt(&s.MaxPeers, v, 0, 1_000_000) }},
		{Name: "maxpendpeers", Category: catNet, Kind: Number, Default: "0", Arg: "N",
			Usage: "most handshakes in flight, inbound and dialed each; 0 means 50",
			set:   func(s *Settings, v string) error { return setInt(&s.MaxPendPeers, v, 0, 1_000_000) }},
		{Name: "dialratio", Category: catNet, Kind: Number, Default: "2", Arg: "N",
			Usage: "one peer in N is dialed, the others come to us",
			set:   func(s *Settings, v string) error { return setInt(&s.DialRatio, v, 1, 1_000_000) }},
		{Name: "nodial", Category: catNet, Kind: Bool, Default: "false",
			Usage: "dial nobody, only accept",
			set:   func(s *Settings, v string) error { return setBool(&s.NoDial, v) }},
		{Name: "netrestrict", Category: catNet, Kind: List, Arg: "CIDR,…",
			Usage: "talk only to addresses in these networks",
			set:   setNetRestrict},
		{Name: "proxy", Category: catNet, Arg: "URL", Secret: true,
			Usage: "dial through this SOCKS5 proxy only, socks5://[USER:PASSWORD@]HOST:PORT, which looks up host names too; discovery, DNS lists and nat, which would go past it, are off",
			set:   setProxy},
		{Name: "staticpeers", Category: catNet, Kind: List, Arg: "NODE,…|FILE",
			Usage: "nodes to stay connected to: enode or enr URLs, or a file of them (one a line, or a JSON array)",
			set:   func(s *Settings, v string) error { return setNodes(&s.StaticPeers, items(v)) }},
		{Name: "trustedpeers", Category: catNet, Kind: List, Arg: "NODE,…|FILE",
			Usage: "nodes to admit even when there are enough peers; written as staticpeers",
			set:   func(s *Settings, v string) error { return setNodes(&s.TrustedPeers, items(v)) }},
		{Name: "nat", Category: catNet, Default: "any", Arg: "METHOD",
			Usage: "how to learn the address from outside and map the ports there: any, upnp, pmp[:IP], pcp[:IP], stun[:HOST:PORT,…], extip:IP|HOST or none",
			set:   setNAT},
		{Name: "bootnodes", Category: catNet, Kind: List, Default: ofNetwork, Arg: "NODE,…|FILE",
			Usage: `nodes to ask first for others, written as staticpeers, or network: those of the network (for any, mainnet's; for a private network, none); "" is none`,
			set:   setBootnodes},
		{Name: "nodiscover", Category: catNet, Kind: Bool, Default: "false",
			Usage: "look for no other nodes, in DNS neither, and answer none that look",
			set:   func(s *Settings, v string) error { return setBool(&s.NoDiscover, v) }},
		{Name: "discovery.v4", Category: catNet, Kind: Bool, Default: "true",
			Usage: "look for nodes, and answer, by discovery v4",
			set:   func(s *Settings, v string) error { return setBool(&s.DiscoveryV4, v) }},
		{Name: "discovery.v5", Category: catNet, Kind: Bool, Default: "true",
			Usage: "look for nodes, and answer, by discovery v5",
			set:   func(s *Settings, v string) error { return setBool(&s.DiscoveryV5, v) }},
		{Name: "discovery.port", Category: catNet, Kind: Number, Default: "0", Arg: "PORT",
			Usage: "UDP port for discovery; 0 means that of port",
			set:   func(s *Settings, v string) error { return setPort(&s.DiscoveryPort, v) }},
		{Name: "discovery.dns", Category: catNet, Kind: List, Default: ofNetwork, Arg: "URL,…",
			Usage: `lists of nodes in DNS, enrtree://KEY@DOMAIN, or network: that of the network, as for bootnodes; "" is none`,
			set:   setDNSLists},
		{Name: "msgevents", Category: catNet, Kind: Bool, Default: "false",
			Usage: "also tell subscribers of peerEvents about every message",
			set:   func(s *Settings, v string) error { return setBool(&s.MsgEvents, v) }},
	}
}

func ethOptions() []*Option {
	return []*Option{
		{Name: "network", Category: catEth, Default: NetworkAny, Arg: "NAME",
			Usage: "mainnet, sepolia, hoodi, or any: say to every peer that we are on its network",
			set: func(s *Settings, v string) error {
				return setOneOf(&s.Network, v, NetworkAny, NetworkMainnet, NetworkSepolia, NetworkHoodi)
			}},
		{Name: "networkid", Category: catEth, Kind: Number, Arg: "N",
			Usage: "network id of a private network; needs eth.genesis",
			set:   func(s *Settings, v string) error { return setUint64(&s.NetworkID, v) }},
		{Name: "eth.genesis", Category: catEth, Arg: "HASH",
			Usage: "genesis block hash of a private network; needs networkid",
			set:   setGenesis},
		{Name: "eth.forkid", Category: catEth, Arg: "HASH,NEXT",
			Usage: "fork id to announce: four bytes in hex and the next fork's block or time, 0 for none (default: that of the network; of a private network without forks)",
			set:   setForkID},
		{Name: "eth.head", Category: catEth, Arg: "N:HASH[:TIME]",
			Usage: "number, hash and time of the latest block to announce; without a time it is older than every fork by time (default: the genesis block)",
			set:   setHead},
		{Name: "eth.protocols", Category: catEth, Kind: List, Arg: "N,…",
			Usage: "versions of eth to offer (default: all)",
			set:   setProtocols},
	}
}

func apiOptions() []*Option {
	return []*Option{
		{Name: "ipcdisable", Category: catAPI, Kind: Bool, Default: "false",
			Usage: "no IPC socket",
			set:   func(s *Settings, v string) error { return setBool(&s.IPCDisable, v) }},
		{Name: "ipcpath", Category: catAPI, Default: "parley.ipc", Arg: "PATH",
			Usage: "IPC socket: a name in the data directory, or a path",
			set:   setIPCPath},
		{Name: "http", Category: catAPI, Kind: Bool, Default: "false",
			Usage: "JSON-RPC over HTTP too",
			set:   func(s *Settings, v string) error { return setBool(&s.HTTP, v) }},
		{Name: "http.addr", Category: catAPI, Default: "127.0.0.1", Arg: "IP",
			Usage: "address of the HTTP server",
			set:   func(s *Settings, v string) error { return setAddr(&s.HTTPAddr, v) }},
		{Name: "http.port", Category: catAPI, Kind: Number, Default: "8545", Arg: "PORT",
			Usage: "port of the HTTP server; 0 lets the system pick",
			set:   func(s *Settings, v string) error { return setPort(&s.HTTPPort, v) }},
		{Name: "http.api", Category: catAPI, Kind: List, Default: "net,web3", Arg: "NAME,…",
			Usage: "namespaces to offer over HTTP, of " + strings.Join(namespaces, ", "),
			set:   setHTTPAPI},
		{Name: "http.corsdomain", Category: catAPI, Kind: List, Arg: "ORIGIN,…",
			Usage: "web origins that may call, such as https://example.org",
			set:   setOrigins},
		{Name: "http.vhosts", Category: catAPI, Kind: List, Default: "localhost", Arg: "HOST,…",
			Usage: "host names that requests may be addressed to, besides the server's own IP address",
			set:   func(s *Settings, v string) error { s.HTTPHosts = items(v); return nil }},
		{Name: "http.token", Category: catAPI, Arg: "FILE",
			Usage: "file with the token that clients must send as Authorization: Bearer (default: made in the data directory)",
			set:   func(s *Settings, v string) error { s.HTTPToken = v; return nil }},
		{Name: "http.noauth", Category: catAPI, Kind: Bool, Default: "false",
			Usage: "ask HTTP clients for no token; only with a loopback http.addr",
			set:   func(s *Settings, v string) error { return setBool(&s.HTTPNoAuth, v) }},
	}
}

func logOptions() []*Option {
	return []*Option{
		{Name: "verbosity", Category: catLog, Kind: Number, Default: "3", Arg: "N",
			Usage: "0 silent, 1 errors, 2 warnings, 3 what happens, 4 debug, 5 everything",
			set:   setVerbosity},
		{Name: "log.format", Category: catLog, Default: "terminal", Arg: "FORMAT",
			Usage: "terminal, logfmt or json",
			set: func(s *Settings, v string) error {
				return setOneOf(&s.LogFormat, v, "terminal", "logfmt", "json")
			}},
		{Name: "log.file", Category: catLog, Arg: "FILE",
			Usage: "write the log to this file as well",
			set:   func(s *Settings, v string) error { s.LogFile = v; return nil }},
	}
}

func setIdentity(s *Settings, v string) error {
	const most = 32
	if len(v) > most || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		return fmt.Errorf("want at most %d printable ASCII characters without spaces and slashes", most)
	}
	s.Identity = v
	return nil
}

func setNodeKeyHex(s *Settings, v string) (err error) {
	if v != "" {
		s.NodeKeyHex, err = enode.ParseKeyText([]byte(v))
	}
	return err
}

func setNetRestrict(s *Settings, v string) error {
	s.NetRestrict = nil
	for _, item := range items(v) {
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			return fmt.Errorf("%q is not a network such as 10.0.0.0/8", clip(item))
		}
		s.NetRestrict = append(s.NetRestrict, prefix.Masked())
	}
	return nil
}

func setNAT(s *Settings, v string) (err error) {
	s.NAT, err = nat.Parse(v)
	return err
}

// setProxy checks no more than that it is such a URL: the library knows the rest. What
// is wrong is not repeated, for there may be a password in it.
func setProxy(s *Settings, v string) error {
	s.Proxy = nil
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "socks5" && u.Scheme != "socks5h" || u.Port() == "" {
		return fmt.Errorf("want socks5://[USER:PASSWORD@]HOST:PORT")
	}
	s.Proxy = u
	return nil
}

func setIPCPath(s *Settings, v string) error {
	if v == "" {
		return fmt.Errorf("want a name or a path; ipcdisable turns the socket off")
	}
	s.IPCPath = v
	return nil
}

func setHTTPAPI(s *Settings, v string) error {
	s.HTTPAPI = items(v)
	for _, name := range s.HTTPAPI {
		if !slices.Contains(namespaces, name) {
			return fmt.Errorf("there is no namespace %q, only %s", clip(name), strings.Join(namespaces, ", "))
		}
	}
	return nil
}

func setOrigins(s *Settings, v string) error {
	s.HTTPOrigins = items(v)
	for _, origin := range s.HTTPOrigins {
		if origin != "*" && origin != "null" && !strings.Contains(origin, "://") {
			return fmt.Errorf("%q is not an origin: write it as the browser sends it, https://%s", clip(origin), clip(origin))
		}
	}
	return nil
}
