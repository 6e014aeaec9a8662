//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/enode"
	"parley/interop/nodes"
	"parley/interop/programs"
)

// The devp2p tool's ping prints the Hello of a parley: version 5, its name, its
// capabilities and its key.
func TestDevp2pPing(t *testing.T) {
	t.Parallel()
	parley := startParley(t, "parley", private(), "--identity", "interop")
	node, err := enode.Parse(parley.URL())
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprint([64]byte(node.PublicKey())) // as the tool prints it: 64 numbers in brackets
	out := nodes.Tool(t, path(t, (*programs.Set).Devp2p), "rlpx", "ping", parley.URL())
	if out.Code != 0 {
		t.Fatalf("exit code %d: %s", out.Code, out.Stderr)
	}
	for _, part := range []string{
		"{Version:5 Name:" + parley.Info.Name + " Caps:[", "eth/68", "eth/69", "eth/70", "eth/71", "eth/72", "] ListenPort:0 ID:" + key + " Rest:[]}",
	} {
		if !strings.Contains(out.Stdout, part) {
			t.Errorf("devp2p prints\n%swant %q in it", out.Stdout, part)
		}
	}
	if !strings.Contains(parley.Info.Name, "interop") {
		t.Errorf("name %q does not have the identity in it", parley.Info.Name)
	}
}

// `parley ping` prints the Hello of a geth, and the reason if geth sends none.
func TestParleyPing(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	program := path(t, (*programs.Set).Parley)
	geth := startGeth(t, "geth", network, func(o *nodes.GethOptions) { o.MaxPeers = oneInbound })
	out := nodes.Tool(t, program, "ping", "--json", geth.URL())
	if out.Code != 0 {
		t.Fatalf("exit code %d: %s", out.Code, out.Stderr)
	}
	for _, part := range []string{geth.Info.Name, "eth/69", "eth/70", "eth/71", "eth/72", "snap/1"} {
		if !strings.Contains(out.Stdout, part) {
			t.Errorf("parley prints\n%s\nwant %q in it", out.Stdout, part)
		}
	}

	peer := startParley(t, "peer", &network)
	peer.AddPeer(geth.URL())
	linked(t, peer.Node, geth.Node)
	out = nodes.Tool(t, program, "ping", geth.URL())
	if out.Code == 0 || !strings.Contains(out.Stderr, "too many peers") {
		t.Errorf("a full geth: exit code %d, %q, %q; want a failure that says too many peers", out.Code, out.Stdout, out.Stderr)
	}
}

// testChain is the network of the devp2p tool's test chain, and testHead the
// chain's head: with them a node sends the Status that the tool wants.
var testChain = nodes.Network{
	ID:          3503995874084926,
	GenesisHash: "0x1518c33dab6ed4dbb2d0c48239ac2f00acc0e28dc43660bb745a0f127552024c",
	ForkID:      "0x5942bfc2,0",
}

const testHead = "600:0x9d78f73579811aa17b112188ce020cda4362b0d57a4a339a0c3911c4ace7220c"

// The handshake and block range tests of the devp2p tool pass, 5 of 5, in each of
// 10 runs against a fresh node.
func TestDevp2pEthSuite(t *testing.T) {
	t.Parallel()
	want := []string{"Status", "MaliciousHandshake", "BlockRangeUpdateExpired", "BlockRangeUpdateFuture", "BlockRangeUpdateInvalid"}
	devp2p, chain := path(t, (*programs.Set).Devp2p), path(t, (*programs.Set).ChainDir)
	for run := range 10 {
		t.Run(fmt.Sprint("run", run), func(t *testing.T) {
			parley := startParley(t, "parley", &testChain, "--eth.head", testHead)
			s := nodes.EthSuite(t, devp2p, chain, "Status|MaliciousHandshake|BlockRange", parley.URL())
			if !slices.Equal(s.Passed, want) || len(s.Failed) != 0 {
				t.Errorf("passed %v, failed %v; want %v passed\n%s", s.Passed, s.Failed, want, s.Output)
			}
		})
	}
}

// The discovery v4 tests of the devp2p tool pass, 15 of 15, in each of 10 runs
// against a fresh node.
func TestDevp2pDiscv4Suite(t *testing.T) {
	t.Parallel()
	devp2p := path(t, (*programs.Set).Devp2p)
	for run := range 10 {
		t.Run(fmt.Sprint("run", run), func(t *testing.T) {
			parley := startParley(t, "parley", nil)
			allPassed(t, nodes.Discv4Suite(t, devp2p, parley.URL()), 15)
		})
	}
}

// The discovery v5 tests of the devp2p tool pass, 10 of 10, in each of 10 runs
// against a fresh node.
func TestDevp2pDiscv5Suite(t *testing.T) {
	t.Parallel()
	devp2p := path(t, (*programs.Set).Devp2p)
	for run := range 10 {
		t.Run(fmt.Sprint("run", run), func(t *testing.T) {
			parley := startParley(t, "parley", nil)
			allPassed(t, nodes.Discv5Suite(t, devp2p, parley.ENR), 10)
		})
	}
}

// allPassed checks that all tests of a suite were run and passed.
func allPassed(t *testing.T, s nodes.Suite, want int) {
	t.Helper()
	if len(s.Passed) != want || len(s.Failed) != 0 {
		t.Errorf("%d passed, %d failed (%v); want %d passed\n%s", len(s.Passed), len(s.Failed), s.Failed, want, s.Output)
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(s.Passed))); len(distinct) != len(s.Passed) {
		t.Errorf("a test was run twice: %v", s.Passed)
	}
}
