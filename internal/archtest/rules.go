// Package archtest holds the rules of the architecture as data, and a test that
// the tree follows them: which package may import which, what is pure, which
// third-party modules are used where.
//
// Adding a package or an import means changing the table in this file, which
// is where a reviewer sees it.
package archtest

// The floors of the building, from the ground. A package imports only what its
// row names, and nothing that is above it.
const (
	bytes  = iota // values as bytes
	names         // who is who
	cores         // decide; no I/O
	shells        // one resource each
	node          // put together
	faces         // protocols and programs
	beside        // outside: tests and checks
)

// A row says what one package of the library may do.
type row struct {
	path  string // below the module
	floor int

	imports []string // packages of the library, in any file that is no test
	modules []string // third-party modules; "C" is cgo

	// Packages up to floor cores are pure, and so are these files of others.
	pure []string
	// What is allowed here though the file is pure.
	except []string
	// What is not allowed here beside what purity forbids: names of packages
	// as "net.Dial".
	forbid []string
}

// packages is every package of the library, built or planned.
var packages = []row{
	{path: "rlp", floor: bytes, except: []string{"sync/atomic"}}, // docs/decisions/0002
	{path: "internal/secp", floor: bytes, imports: []string{"internal/keccak"}, modules: []string{
		"gitlab.com/yawning/secp256k1-voi", "C", // docs/decisions/0001
	}},
	{path: "internal/keccak", floor: bytes, modules: []string{"github.com/cloudflare/circl", "golang.org/x/sys"}}, // docs/decisions/0017
	{path: "internal/netaddr", floor: bytes},

	{path: "enr", floor: names, imports: []string{"rlp", "internal/secp"}},
	{path: "enode", floor: names, imports: []string{"rlp", "internal/secp", "internal/netaddr", "enr"}},

	{path: "internal/kad", floor: cores, imports: []string{"enr", "enode", "internal/netaddr"}},
	{path: "internal/discv4", floor: cores, imports: []string{"rlp", "internal/secp", "internal/netaddr", "enr", "enode", "internal/kad"}},
	{path: "internal/discv5", floor: cores, imports: []string{"rlp", "internal/secp", "internal/netaddr", "enr", "enode", "internal/kad"}},
	{path: "internal/localnode", floor: cores, imports: []string{"rlp", "internal/netaddr", "enr", "enode"}},
	{path: "internal/reach", floor: cores, imports: []string{"internal/netaddr"}},
	{path: "internal/peerset", floor: cores, imports: []string{"internal/netaddr", "enode"}},

	// rlpx knows no records: keys in, keys out.
	{path: "rlpx", floor: shells, imports: []string{"rlp", "internal/secp", "internal/keccak"}, modules: []string{
		"github.com/golang/snappy",
	}, pure: []string{"ecies.go", "handshake.go", "frame.go", "seal.go"}},
	{path: "discover", floor: shells, imports: []string{
		"internal/netaddr", "enr", "enode", "internal/kad", "internal/discv4", "internal/discv5", "internal/reach",
	}, modules: []string{"golang.org/x/net"}, forbid: streams},
	{path: "dnsdisc", floor: shells, imports: []string{"internal/secp", "internal/netaddr", "enr", "enode"}, pure: []string{
		"tree.go", "url.go", "make.go", "zone.go", "dir.go", "walk.go",
	}},
	{path: "nat", floor: shells, imports: []string{"internal/netaddr"}, modules: []string{"github.com/huin/goupnp", "golang.org/x/net"}, pure: []string{
		"method.go", "state.go", "pmp.go", "pcp.go", "stun.go", "epoch.go", "outlook.go", "route.go",
	}},
	{path: "internal/nodedb", floor: shells, imports: []string{"internal/netaddr", "enr", "enode"}, modules: []string{"go.etcd.io/bbolt"}},

	// The only one that sees rlpx, discover, dnsdisc and nat together. It has
	// keys through enode.
	{path: "p2p", floor: node, imports: []string{
		"rlp", "internal/netaddr", "enr", "enode", "internal/localnode", "internal/peerset", "internal/reach",
		"rlpx", "discover", "dnsdisc", "nat", "internal/nodedb",
	}, modules: []string{"golang.org/x/net"}},

	{path: "eth", floor: faces, imports: []string{"rlp", "enr", "enode", "p2p"}},
	{path: "examples/chat", floor: faces, imports: []string{"rlp", "enode", "p2p"}},
	{path: "examples/embed", floor: faces, imports: []string{"enode", "p2p"}},
	{path: "examples/port", floor: faces, imports: []string{"rlp", "enr", "enode", "p2p"}},
	{path: "examples/bootnode", floor: faces, imports: []string{"enode", "discover"}},
	{path: "examples/crawler", floor: faces, imports: []string{"enr", "enode", "discover"}},

	{path: "internal/simnet", floor: beside},
	{path: "internal/testclock", floor: beside},
	{path: "internal/archtest", floor: beside},
}

// streams are the ways to open or accept a stream.
var streams = []string{
	"net.Dial", "net.DialTimeout", "net.DialTCP", "net.DialUnix", "net.Dialer",
	"net.Listen", "net.ListenTCP", "net.ListenUnix", "net.Listener", "net.TCPListener", "net.TCPConn",
}

// together may be seen by p2p only, if it is more than one of them.
var together = []string{"rlpx", "discover", "dnsdisc", "nat"}

// licences are the third-party modules that the library's go.mod may require,
// directly or not, with their licences. All are permissive: whoever embeds the
// library takes on nothing else.
var licences = map[string]string{
	"github.com/cloudflare/circl":      "BSD-3-Clause",
	"github.com/golang/snappy":         "BSD-3-Clause",
	"github.com/huin/goupnp":           "BSD-2-Clause",
	"gitlab.com/yawning/secp256k1-voi": "BSD-3-Clause",
	"go.etcd.io/bbolt":                 "MIT",
	"golang.org/x/crypto":              "BSD-3-Clause",
	"golang.org/x/net":                 "BSD-3-Clause",
	"golang.org/x/sync":                "BSD-3-Clause",
	"golang.org/x/sys":                 "BSD-3-Clause",

	// Of tests only.
	"github.com/miekg/dns":            "BSD-3-Clause",
	"github.com/rogpeppe/go-internal": "BSD-3-Clause",
	"go.uber.org/goleak":              "MIT",
	"golang.org/x/tools":              "BSD-3-Clause",
	"pgregory.net/rapid":              "MPL-2.0",
}

// testModules may be imported by the tests of every package.
var testModules = []string{
	"pgregory.net/rapid", "github.com/rogpeppe/go-internal", "go.uber.org/goleak", "github.com/miekg/dns",
	"golang.org/x/crypto", // the Keccak-256 that ours is compared with
}

// A module is a go.mod in the tree other than the library's. Its packages need
// no row, but each needs a comment and a name that says something.
type module struct {
	dir    string
	forbid []string // import paths, with all below them; "./" is the library
}

// modules is every other module of the tree. Only interop may know the
// programs that it tests against, because of their licences.
var modules = []module{
	{dir: "daemon", forbid: []string{"./internal", "./interop", "github.com/ethereum/go-ethereum", "github.com/erigontech/erigon"}},
	{dir: "interop", forbid: []string{"./daemon"}},
	{dir: "tools", forbid: []string{"./daemon", "./interop", "./internal"}},
}

// impure are the packages that pure files do not import, with all below them.
var impure = []string{"net", "os", "sync", "context", "log", "syscall"}

// harmless are exceptions to impure.
var harmless = []string{"net/netip"}

// clocks are what pure files do not use of package time: it comes as an
// argument.
var clocks = []string{
	"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc",
	"time.Tick", "time.NewTimer", "time.NewTicker",
}

// empty are names of packages that say nothing about what is in them.
var empty = []string{"util", "utils", "common", "helper", "helpers", "type", "types", "misc", "shared", "base"}
