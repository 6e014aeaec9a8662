package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"parley/dnsdisc"
	"parley/enode"
	"parley/eth"
	"parley/nat"
)

// The networks that --network knows.
const (
	NetworkAny     = "any" // follow whatever network the other side is on
	NetworkMainnet = "mainnet"
	NetworkSepolia = "sepolia"
	NetworkHoodi   = "hoodi"
)

// Settings are the options in typed form. Load has checked them, each for itself
// and against each other.
type Settings struct {
	DataDir  string // absolute or relative path
	Identity string // custom part of the client name

	NodeKey    string            // file of the key; empty: the one in the data directory
	NodeKeyHex *enode.PrivateKey // the key itself, or nil

	Port         uint16
	ListenAddr   string // IP address or host name; empty: all addresses
	MaxPeers     int    // 0: none
	MaxPendPeers int    // 0: the library's default
	DialRatio    int
	NoDial       bool
	NetRestrict  []netip.Prefix
	Proxy        *url.URL // nil: none
	StaticPeers  []*enode.Node
	TrustedPeers []*enode.Node
	MsgEvents    bool

	NAT nat.Method // how to learn the address from outside, and to map ports

	Bootnodes                []*enode.Node
	NoDiscover               bool
	DiscoveryV4, DiscoveryV5 bool
	DiscoveryPort            uint16         // 0: Port
	DNSLists                 []dnsdisc.Link // to find nodes in; none with NoDiscover

	bootnodesOfNetwork, listsOfNetwork bool // for fillNetwork

	Network   string
	NetworkID *uint64     // nil: the network's own
	Genesis   *eth.Hash   // nil: the network's own
	ForkID    *eth.ForkID // nil: computed from the network's forks
	Head      *eth.Head   // nil: the genesis block
	Protocols []uint      // versions of eth; nil: all

	IPCDisable bool
	IPCPath    string // name in the data directory, or a path

	HTTP        bool
	HTTPAddr    string
	HTTPPort    uint16
	HTTPAPI     []string
	HTTPOrigins []string
	HTTPHosts   []string
	HTTPToken   string // file of the token; empty: the one in the data directory
	HTTPNoAuth  bool

	LogLevel  slog.Level
	LogFormat string // terminal, logfmt or json
	LogFile   string // empty: only standard error
}

// Mirror reports whether the node has no chain of its own and takes on, for each
// peer, the peer's.
func (s *Settings) Mirror() bool { return s.Network == NetworkAny && s.Genesis == nil }

// The levels beyond those of slog.
const (
	LevelTrace = slog.LevelDebug - 4 // --verbosity 5
	LevelCrit  = slog.LevelError + 4 // --verbosity 0
)

// SummaryInterval is the time between two summaries in the log.
const SummaryInterval = 30 * time.Second
