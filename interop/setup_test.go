//go:build interop

package interop

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"parley/interop/nodes"
	"parley/interop/programs"
)

const (
	// soon bounds what should happen at once; the rest is for a machine that
	// does other things too.
	soon = 15 * time.Second

	// redial is the longest time after which parley and geth dial a lost static
	// peer again: each leaves a node alone for 35 s or less.
	redial = 40 * time.Second

	// highestEth is the highest version of eth that geth and parley both speak.
	highestEth = 72
)

var installed = sync.OnceValues(func() (*programs.Set, error) { return programs.Open(os.Stderr) })

// path returns the path of an installed program, or fails the test.
func path(t *testing.T, of func(*programs.Set) (string, error)) string {
	t.Helper()
	set, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	p, err := of(set)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func logs(t *testing.T) string {
	t.Helper()
	return path(t, func(s *programs.Set) (string, error) { return s.LogDir(), nil })
}

// startGeth starts a geth; set, if not nil, changes its options.
func startGeth(t *testing.T, name string, network nodes.Network, set func(*nodes.GethOptions)) *nodes.Geth {
	t.Helper()
	o := nodes.GethOptions{Path: path(t, (*programs.Set).Geth), Logs: logs(t), Name: name, Network: network}
	if set != nil {
		set(&o)
	}
	return nodes.StartGeth(t, o)
}

// startParley starts a parley on a network, or as a mirror if it is nil.
func startParley(t *testing.T, name string, network *nodes.Network, args ...string) *nodes.Parley {
	t.Helper()
	return nodes.StartParley(t, nodes.ParleyOptions{
		Path: path(t, (*programs.Set).Parley), Logs: logs(t), Name: name, Network: network, Args: args,
	})
}

// private is Private, to take the address of.
func private() *nodes.Network {
	n := nodes.Private()
	return &n
}

// A link is one connection as its two ends show it: A of the first node is the
// entry for the second, B of the second the entry for the first.
type link struct {
	A, B nodes.Peer
	Eth  struct{ A, B nodes.Eth }
}

// linked waits until two nodes show each other as eth peers and returns the
// connection. It is an error if they do not mean the same connection.
func linked(t *testing.T, a, b *nodes.Node) link {
	t.Helper()
	var l link
	nodes.Wait(t, soon, a.Name+" and "+b.Name+" show each other as eth peers", func() bool {
		var okA, okB bool
		l.A, l.Eth.A, okA = a.EthPeer(b.ID)
		l.B, l.Eth.B, okB = b.EthPeer(a.ID)
		return okA && okB
	})
	if l.A.Network.LocalAddress != l.B.Network.RemoteAddress || l.A.Network.RemoteAddress != l.B.Network.LocalAddress {
		t.Errorf("%s shows %+v, %s shows %+v; want the two ends of one connection", a.Name, l.A.Network, b.Name, l.B.Network)
	}
	if l.A.Network.Inbound == l.B.Network.Inbound {
		t.Errorf("inbound is %v at both ends", l.A.Network.Inbound)
	}
	return l
}

// highestShared returns the highest version of eth in both lists of
// capabilities.
func highestShared(a, b []string) (highest uint) {
	for _, c := range a {
		name, version, _ := strings.Cut(c, "/")
		if v, err := strconv.ParseUint(version, 10, 32); err == nil && name == "eth" && slices.Contains(b, c) {
			highest = max(highest, uint(v))
		}
	}
	return highest
}

// code returns the code of an error of a node's API, or 0.
func code(err error) int {
	if e, ok := errors.AsType[rpc.Error](err); ok {
		return e.ErrorCode()
	}
	return 0
}
