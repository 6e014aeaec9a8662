//go:build interop

package interop

import (
	"fmt"
	"testing"
	"time"

	"parley/interop/nodes"
)

// silence is how long two nodes that have nothing to say must stay peers. It is
// longer than every timeout of both: pings every 15 s, reads of 30 and 45 s.
const silence = 90 * time.Second

// Parley and geth become peers whoever dials, at the highest version that both
// speak, show the same connection, and after a silence of 90 s it is still the
// same one. That holds for a mirror too.
func TestPeers(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, nil)
	atGeth := geth.Watch()

	type pair struct {
		parley *nodes.Parley
		events *nodes.Watch
		link   link
	}
	var pairs []pair
	for _, c := range []struct {
		name    string
		network *nodes.Network
		inbound bool // geth dials
	}{
		{"parley-dials", &network, false},
		{"geth-dials", &network, true},
		{"mirror-dials", nil, false},
		{"mirror-dialed", nil, true},
	} {
		parley := startParley(t, c.name, c.network)
		events := parley.Watch()
		if c.inbound {
			geth.AddPeer(parley.URL())
		} else {
			parley.AddPeer(geth.URL())
		}
		l := linked(t, parley.Node, geth.Node)
		pairs = append(pairs, pair{parley, events, l})

		if l.A.Network.Inbound != c.inbound || l.A.Network.Static == c.inbound || l.B.Network.Static != c.inbound {
			t.Errorf("%s shows %+v, geth shows %+v; want inbound %v, and static where it was dialed", c.name, l.A.Network, l.B.Network, c.inbound)
		}
		if shared := highestShared(l.A.Caps, l.B.Caps); shared != highestEth || l.Eth.A.Version != shared || l.Eth.B.Version != shared {
			t.Errorf("%s shows eth/%d, geth shows eth/%d, of %v and %v; want eth/%d", c.name, l.Eth.A.Version, l.Eth.B.Version, l.A.Caps, l.B.Caps, highestEth)
		}
		if l.A.Name != geth.Info.Name || l.B.Name != parley.Info.Name {
			t.Errorf("names %q and %q, want %q and %q", l.A.Name, l.B.Name, geth.Info.Name, parley.Info.Name)
		}
		for who, e := range map[string]nodes.Eth{c.name: l.Eth.A, "geth": l.Eth.B} {
			if want := (nodes.Eth{Version: highestEth, LatestBlockHash: network.GenesisHash}); e != want {
				t.Errorf("%s shows %+v, want %+v: the genesis block is all that there is", who, e, want)
			}
		}
	}

	atGeth.Quiet(silence, "drop")
	for _, p := range pairs {
		if drops := p.events.Events("drop", ""); len(drops) != 0 {
			t.Errorf("%s dropped geth: %+v", p.parley.Name, drops)
		}
		if now := linked(t, p.parley.Node, geth.Node); fmt.Sprint(now) != fmt.Sprint(p.link) {
			t.Errorf("after %v %s and geth show\n%+v\nbefore\n%+v", silence, p.parley.Name, now, p.link)
		}
	}
	var count string
	if geth.Call(&count, "net_peerCount"); count != "0x4" {
		t.Errorf("geth has %s peers, want 0x4", count)
	}
}

// With each single version of eth, a connection is made at that version.
func TestVersions(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, nil)
	for version := uint(69); version <= highestEth; version++ {
		t.Run(fmt.Sprint("eth", version), func(t *testing.T) {
			parley := startParley(t, "parley", &network, "--eth.protocols", fmt.Sprint(version))
			parley.AddPeer(geth.URL())
			if l := linked(t, parley.Node, geth.Node); l.Eth.A.Version != version || l.Eth.B.Version != version {
				t.Errorf("parley shows eth/%d, geth eth/%d; want eth/%d", l.Eth.A.Version, l.Eth.B.Version, version)
			}
		})
	}
}

// A parley that speaks nothing geth speaks is told so, and says so: geth gave up
// eth/68.
func TestNoSharedVersion(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, nil)
	parley := startParley(t, "parley", &network, "--eth.protocols", "68")
	parley.AddPeer(geth.URL())
	refused(t, parley, geth.ID, "useless peer")
	if peers := geth.Peers(); len(peers) != 0 {
		t.Errorf("geth shows %d peers, want none", len(peers))
	}
}

// After blocks were made, parley shows geth's new range.
func TestBlockRange(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, nil)
	parley := startParley(t, "parley", &network)
	parley.AddPeer(geth.URL())
	linked(t, parley.Node, geth.Node)

	number, hash := geth.Mine(nodes.RangeUpdateBlocks)
	if number != nodes.RangeUpdateBlocks {
		t.Fatalf("geth is at block %d, want %d", number, nodes.RangeUpdateBlocks)
	}
	want := nodes.Eth{Version: highestEth, LatestBlock: number, LatestBlockHash: hash}
	took := nodes.Wait(t, soon, "parley shows geth's range as 0 to 32", func() bool {
		_, e, _ := parley.EthPeer(geth.ID)
		return e == want
	})
	t.Logf("range of %d blocks seen %v after the last block", number, took)

	// A peer that comes later learns the range from Status.
	late := startParley(t, "late", &network)
	late.AddPeer(geth.URL())
	if l := linked(t, late.Node, geth.Node); l.Eth.A != want {
		t.Errorf("a later peer shows %+v, want %+v", l.Eth.A, want)
	}
}
