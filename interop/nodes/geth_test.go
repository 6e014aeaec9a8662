//go:build interop

package nodes_test

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/interop/nodes"
	"parley/interop/programs"
)

var installed = sync.OnceValues(func() (*programs.Set, error) { return programs.Open(os.Stderr) })

func geth(t *testing.T, name string, network nodes.Network) *nodes.Geth {
	t.Helper()
	set, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	path, err := set.Geth()
	if err != nil {
		t.Fatal(err)
	}
	return nodes.StartGeth(t, nodes.GethOptions{Path: path, Logs: set.LogDir(), Name: name, Network: network})
}

// Two geths do with each other what the tests expect of one geth and parley: this
// shows that a failure there is not the driver's.
func TestGethPair(t *testing.T) {
	a, b := geth(t, "geth-a", nodes.Private()), geth(t, "geth-b", nodes.Private())
	events := b.Watch()
	a.AddPeer(b.Enode)
	events.Wait(10*time.Second, "add", a.ID)

	peer, eth, ok := b.EthPeer(a.ID)
	if !ok || eth.Version != 72 || eth.LatestBlock != 0 || !peer.Network.Inbound {
		t.Errorf("b shows a as %+v, %+v; want an inbound eth/72 peer at block 0", peer, eth)
	}

	number, hash := a.Mine(nodes.RangeUpdateBlocks)
	took := nodes.Wait(t, 10*time.Second, "b shows a's new range", func() bool {
		_, eth, _ := b.EthPeer(a.ID)
		return eth.LatestBlock == number && eth.LatestBlockHash == hash
	})
	t.Logf("range of %d blocks seen %v after the last block", number, took)

	a.RemovePeer(b.Enode)
	if drop := events.Wait(10*time.Second, "drop", a.ID); drop.Error != "disconnect requested" {
		t.Errorf("b says %q, want disconnect requested", drop.Error)
	}
}

// A geth with another genesis block is told so.
func TestGethGenesis(t *testing.T) {
	a, b := geth(t, "geth-a", nodes.Private()), geth(t, "geth-b", nodes.OtherGenesis(t))
	atA, atB := a.Watch(), b.Watch()
	a.AddPeer(b.Enode)
	const mismatch, subprotocol = "genesis mismatch", "subprotocol error"
	errA, errB := atA.Wait(10*time.Second, "drop", b.ID).Error, atB.Wait(10*time.Second, "drop", a.ID).Error
	for _, err := range []string{errA, errB} {
		if !strings.HasPrefix(err, mismatch) && err != subprotocol {
			t.Errorf("dropped for %q, want %s or %s", err, mismatch, subprotocol)
		}
	}
	if errA == errB && errA == subprotocol {
		t.Error("nobody named the genesis block")
	}
}
