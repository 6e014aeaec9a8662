//go:build interop

package interop

import (
	"slices"
	"strings"
	"testing"
	"time"

	"parley/interop/nodes"
	"parley/interop/programs"
)

// oneInbound is the number of peers with which geth has room for one that dials:
// it keeps a third of the slots, and one at least, for those that it dials.
const oneInbound = 2

// refused waits until parley knows why a node is not its peer, and wants the words
// in the verdict and in what `parley why` tells a person.
func refused(t *testing.T, parley *nodes.Parley, id, words string) {
	t.Helper()
	var e nodes.Explanation
	nodes.Wait(t, soon, "parley explains that it was refused: "+words, func() bool {
		e = parley.Explain(id)
		return slices.ContainsFunc(e.Verdicts, func(v nodes.Verdict) bool { return strings.Contains(v.Error, words) })
	})
	if e.Connected {
		t.Errorf("explained as connected: %+v", e)
	}
	out := nodes.Tool(t, path(t, (*programs.Set).Parley), "why", "--ipcpath", parley.Socket, id)
	if !strings.Contains(out.Stdout, words) {
		t.Errorf("parley why prints (exit code %d)\n%s%s\nwant %q in it", out.Code, out.Stdout, out.Stderr, words)
	}
}

// Each side reports the reason for which the other ends a connection.
func TestReasons(t *testing.T) {
	t.Parallel()
	network := nodes.Private()

	t.Run("geth has too many peers", func(t *testing.T) {
		geth := startGeth(t, "geth", network, func(o *nodes.GethOptions) { o.MaxPeers = oneInbound })
		first, second := startParley(t, "first", &network), startParley(t, "second", &network)
		first.AddPeer(geth.URL())
		linked(t, first.Node, geth.Node)

		second.AddPeer(geth.URL())
		refused(t, second, geth.ID, "too many peers")
		if peers := geth.Peers(); len(peers) != 1 || peers[0].ID != first.ID {
			t.Errorf("geth shows %+v, want the first parley only", peers)
		}
	})

	t.Run("parley has too many peers", func(t *testing.T) {
		parley := startParley(t, "parley", &network, "--maxpeers", "1", "--nodial")
		first := startGeth(t, "first", network, nil)
		second := startGeth(t, "second", network, nil)
		atSecond := second.Watch()
		first.AddPeer(parley.URL())
		linked(t, first.Node, parley.Node)

		second.AddPeer(parley.URL())
		// Parley's Hello goes out before it knows who the other side is, so geth adds
		// the peer first.
		if drop := atSecond.Wait(soon, "drop", parley.ID); drop.Error != "too many peers" {
			t.Errorf("geth says %q, want too many peers", drop.Error)
		}
		if peers := parley.Peers(); len(peers) != 1 || peers[0].ID != first.ID {
			t.Errorf("parley shows %+v, want the first geth only", peers)
		}
		refused(t, parley, second.ID, "too many peers")
	})

	t.Run("removePeer", func(t *testing.T) {
		geth, parley := startGeth(t, "geth", network, nil), startParley(t, "parley", &network)
		atGeth, atParley := geth.Watch(), parley.Watch()
		for i, remove := range []func(){
			func() { parley.RemovePeer(geth.URL()) },
			func() { geth.RemovePeer(parley.URL()) },
		} {
			// The side that will remove also dials: the other one has no history of
			// dials that would make it wait.
			if i == 0 {
				parley.AddPeer(geth.URL())
			} else {
				geth.AddPeer(parley.URL())
			}
			linked(t, parley.Node, geth.Node)
			remove()
			for _, w := range []struct {
				events *nodes.Watch
				who    string
				of     string
			}{{atGeth, "geth", parley.ID}, {atParley, "parley", geth.ID}} {
				nodes.Wait(t, soon, w.who+" drops the peer", func() bool { return len(w.events.Events("drop", w.of)) > i })
				if got := w.events.Events("drop", w.of)[i].Error; !strings.Contains(got, "disconnect requested") {
					t.Errorf("removal %d: %s says %q, want disconnect requested", i, w.who, got)
				}
			}
		}
	})

	t.Run("end of the program", func(t *testing.T) {
		geth, parley := startGeth(t, "geth", network, nil), startParley(t, "parley", &network)
		other := startParley(t, "other", &network)
		atGeth, atOther := geth.Watch(), other.Watch()
		parley.AddPeer(geth.URL())
		other.AddPeer(geth.URL())
		linked(t, parley.Node, geth.Node)
		linked(t, other.Node, geth.Node)

		took, err := parley.Stop()
		if err != nil || took > 2*time.Second {
			t.Errorf("parley ended after %v with %v, want exit code 0 within 2s", took, err)
		}
		if drop := atGeth.Wait(soon, "drop", parley.ID); drop.Error != "client quitting" {
			t.Errorf("geth says %q, want client quitting", drop.Error)
		}
		if _, err := geth.Stop(); err != nil {
			t.Errorf("geth: %v", err)
		}
		if drop := atOther.Wait(soon, "drop", geth.ID); !strings.Contains(drop.Error, "client quitting") {
			t.Errorf("parley says %q, want client quitting", drop.Error)
		}
	})
}

// A node of another network, chain or fork is dropped within 5 s. Both sides find
// out at the same time, so each either says what does not match or passes on
// that the other one ended the connection. But if geth's Status came before its
// Disconnect, parley knows what does not match, and says it.
func TestMismatch(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	otherID, otherFork := network, network
	otherID.ID = 424243
	otherFork.ForkID = "0xdeadbeef,0"
	geth := startGeth(t, "geth", network, nil)
	atGeth := geth.Watch()

	for _, c := range []struct {
		name    string
		network nodes.Network
		parley  []string // in what parley says: it names both sides
		geth    string   // how what geth says begins
	}{
		{"genesis", nodes.OtherGenesis(t), []string{"genesis", "0x606f31c3", "0x6200b0a6"}, "genesis mismatch"},
		{"network id", otherID, []string{"network", "424243", "424242"}, "network ID mismatch"},
		{"fork id", otherFork, []string{"fork", "deadbeef", "23c846ce"}, "fork ID rejected"},
	} {
		for _, inbound := range []bool{false, true} {
			name := c.name + ", parley dials"
			if inbound {
				name = c.name + ", geth dials"
			}
			t.Run(name, func(t *testing.T) {
				parley := startParley(t, "parley", &c.network, "--msgevents")
				atParley := parley.Watch()
				began := time.Now()
				if inbound {
					geth.AddPeer(parley.URL())
					t.Cleanup(func() { geth.RemovePeer(parley.URL()) })
				} else {
					parley.AddPeer(geth.URL())
				}
				said := atParley.Wait(soon, "drop", geth.ID).Error
				toldGeth := atGeth.Wait(soon, "drop", parley.ID).Error
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("dropped after %v, want 5s at most", took)
				}
				status := len(atParley.Events("msgrecv", geth.ID)) > 0
				t.Logf("parley, with geth's Status %v: %s; geth: %s", status, said, toldGeth)

				want := c.parley
				if !status {
					want = []string{"subprotocol error"}
				}
				for _, part := range want {
					if !strings.Contains(said, part) {
						t.Errorf("parley says %q, want %q in it", said, part)
					}
				}
				if !strings.HasPrefix(toldGeth, c.geth) && toldGeth != "subprotocol error" {
					t.Errorf("geth says %q, want %q or subprotocol error", toldGeth, c.geth)
				}
				refused(t, parley, geth.ID, want[0])
			})
		}
	}
}

// A mirror has no network of its own: it becomes the peer of a geth on a network
// that nobody told it of.
func TestMirrorUnknownNetwork(t *testing.T) {
	t.Parallel()
	network := nodes.OtherGenesis(t)
	network.ID = 777_777
	geth := startGeth(t, "geth", network, nil)
	number, hash := geth.Mine(3)
	parley := startParley(t, "mirror", nil)
	parley.AddPeer(geth.URL())
	l := linked(t, parley.Node, geth.Node)
	if want := (nodes.Eth{Version: highestEth, LatestBlock: number, LatestBlockHash: hash}); l.Eth.A != want {
		t.Errorf("the mirror shows geth with %+v, want %+v", l.Eth.A, want)
	}
	if want := (nodes.Eth{Version: highestEth, LatestBlockHash: network.GenesisHash}); l.Eth.B != want {
		t.Errorf("geth shows the mirror with %+v, want %+v: it has the genesis block only", l.Eth.B, want)
	}
}
