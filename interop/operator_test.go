//go:build interop

package interop

import (
	"fmt"
	"path/filepath"
	"testing"

	"parley/interop/nodes"
	"parley/interop/programs"
)

// Geth's console attaches to a running parley, and what people type there works.
func TestAttach(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth, parley := startGeth(t, "geth", network, nil), startParley(t, "parley", &network)
	attach := func(expression string) string {
		t.Helper()
		return tool(t, path(t, (*programs.Set).Geth), "--datadir", filepath.Join(t.TempDir(), "unused"), "attach", "--exec", expression, parley.Socket)
	}
	if got := attach(fmt.Sprintf("admin.addPeer(%q)", geth.URL())); got != "true" {
		t.Errorf("admin.addPeer = %s, want true", got)
	}
	linked(t, parley.Node, geth.Node)
	for _, c := range []struct{ expression, want string }{
		{"[admin.nodeInfo.id, admin.peers[0].id]", fmt.Sprintf("[%q, %q]", parley.ID, geth.ID)},
		{"[net.peerCount, net.listening, net.version]", fmt.Sprintf(`[1, true, "%d"]`, network.ID)},
		{"[web3.version.node, admin.peers[0].protocols.eth.version]", fmt.Sprintf("[%q, %d]", parley.Info.Name, highestEth)},
		{"admin.removePeer(admin.peers[0].enode)", "true"},
	} {
		if got := attach(c.expression); got != c.want {
			t.Errorf("%s = %s, want %s", c.expression, got, c.want)
		}
	}
}

// A node that comes back is a peer again within a redial, whichever side dials.
func TestRestart(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, nil)
	dials, dialed := startParley(t, "dials", &network), startParley(t, "dialed", &network)
	dials.AddPeer(geth.URL())
	geth.AddPeer(dialed.URL())
	linked(t, dials.Node, geth.Node)
	linked(t, dialed.Node, geth.Node)

	both := func(what string) {
		took := nodes.Wait(t, redial, what, func() bool {
			_, _, a := geth.EthPeer(dials.ID)
			_, _, b := geth.EthPeer(dialed.ID)
			return a && b
		})
		t.Logf("%s after %v", what, took)
	}
	id := dialed.ID
	dialed.Restart()
	if dialed.ID != id {
		t.Errorf("parley came back as %s, want %s", dialed.ID, id)
	}
	both("geth has dialed the parley that came back")

	geth.Restart()
	geth.AddPeer(dialed.URL()) // geth forgets what it was told
	both("parley has dialed the geth that came back")
	linked(t, dials.Node, geth.Node)
	linked(t, dialed.Node, geth.Node)
}

// A transaction given to geth shows in a daemon's message events and counters.
func TestDaemonCounts(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, nil)
	geth.Mine(1) // until it has a head, geth does not gossip
	parley := startParley(t, "parley", &network, "--msgevents")
	events := parley.Watch()
	parley.AddPeer(geth.URL())
	linked(t, parley.Node, geth.Node)

	var before, after struct{ Peers, Dialed, Dials, DialsOK, BytesIn uint64 }
	parley.Call(&before, "p2p_stats")
	tx := sign(t, network, 0, 1000)
	geth.SendTx(tx)
	const transactions, announcement = 0x02, 0x08
	var got nodes.Event
	nodes.Wait(t, soon, "the transaction is among parley's message events", func() bool {
		for _, got = range events.Events("msgrecv", geth.ID) {
			if got.Protocol == "eth" && (*got.MsgCode == transactions || *got.MsgCode == announcement) {
				return true
			}
		}
		return false
	})
	if *got.MsgCode == transactions && int(*got.MsgSize) < len(tx.Raw) {
		t.Errorf("a message of %d bytes, want the transaction of %d in it", *got.MsgSize, len(tx.Raw))
	}
	parley.Call(&after, "p2p_stats")
	if after.Peers != 1 || after.Dialed != 1 || after.Dials != 1 || after.DialsOK != 1 {
		t.Errorf("counters %+v, want one dial that became the one peer", after)
	}
	if after.BytesIn <= before.BytesIn {
		t.Errorf("%d bytes before, %d after the transaction; want more", before.BytesIn, after.BytesIn)
	}
}
