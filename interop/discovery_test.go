//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"parley/dnsdisc"
	"parley/enode"
	"parley/interop/nodes"
	"parley/interop/programs"
)

// found is the longest time in which nodes that know one of them must be peers
// of each other, and in which one that comes back must be so again.
const found = 10 * time.Second

// written is a time after which a parley has written down whom it knows, which it
// does each second.
const written = 2 * time.Second

// Three nodes of which the later ones are told of the first only are all peers of
// each other within 10 s, whichever of them is geth. A parley that is killed and
// told of nobody when it starts again is so again within 10 s, out of its database,
// with the same ID and a record that is not older.
func TestThreeNodes(t *testing.T) {
	t.Parallel()
	const parley, geth = "parley", "geth"
	for _, order := range [][]string{{parley, geth, parley}, {geth, parley, parley}, {parley, parley, geth}} {
		t.Run(fmt.Sprintf("%.1s%.1s%.1s", order[0], order[1], order[2]), func(t *testing.T) {
			network := nodes.Private()
			var all []*nodes.Node
			var parleys []*nodes.Parley
			for i, kind := range order {
				name := fmt.Sprint(kind, "-", i)
				var boot []string
				if i > 0 {
					boot = []string{all[0].URL()}
				}
				if kind == geth {
					all = append(all, startGeth(t, name, network, func(o *nodes.GethOptions) { o.Discovery, o.Bootnodes = true, boot }).Node)
					continue
				}
				p := nodes.StartParley(t, nodes.ParleyOptions{
					Path: path(t, (*programs.Set).Parley), Logs: logs(t), Name: name, Network: &network, Bootnodes: boot,
				})
				all, parleys = append(all, p.Node), append(parleys, p)
			}
			t.Logf("all are peers after %v", allPeers(t, all))
			for _, p := range parleys {
				p.Watch().Quiet(written, "drop") // until its database has the others
				id, seq := p.ID, recordSeq(t, p.ENR)
				p.Crash()
				took := allPeers(t, all)
				t.Logf("%s is back after %v: %v", p.Name, took, directions(p))
				if now := recordSeq(t, p.ENR); p.ID != id || now < seq {
					t.Errorf("%s came back as %s with record %d, want %s with %d or later", p.Name, p.ID, now, id, seq)
				}
			}
		})
	}
}

// allPeers waits until each of the nodes shows all the others as eth peers.
func allPeers(t *testing.T, all []*nodes.Node) time.Duration {
	t.Helper()
	return nodes.Wait(t, found, "all nodes are peers of each other", func() bool {
		for _, a := range all {
			for _, b := range all {
				if a == b {
					continue
				}
				if _, _, ok := a.EthPeer(b.ID); !ok {
					return false
				}
			}
		}
		return true
	})
}

// directions tells who dialed the peers of a node.
func directions(p *nodes.Parley) (d []string) {
	for _, peer := range p.Peers() {
		d = append(d, map[bool]string{true: "inbound", false: "dialed"}[peer.Network.Inbound])
	}
	return d
}

func recordSeq(t *testing.T, record string) uint64 {
	t.Helper()
	n, err := enode.Parse(record)
	if err != nil {
		t.Fatal(err)
	}
	return n.Seq()
}

const (
	crawlParleys = 8
	crawlGeths   = 4

	// crawlTime is how long a crawl of the devp2p tool takes, which does not end
	// when there is nobody left.
	crawlTime = 15 * time.Second

	// settled is the longest time until nodes that have just started know each
	// other well enough to be found.
	settled = 60 * time.Second
)

// The crawls of the devp2p tool find all nodes of a network of parleys that were
// told of the first of them.
func TestCrawlParleys(t *testing.T) {
	t.Parallel()
	devp2p := path(t, (*programs.Set).Devp2p)
	var all []*nodes.Node
	for i := range crawlParleys {
		o := nodes.ParleyOptions{Path: path(t, (*programs.Set).Parley), Logs: logs(t), Name: fmt.Sprint("parley-", i)}
		if i > 0 {
			o.Bootnodes = []string{all[0].URL()}
		}
		all = append(all, nodes.StartParley(t, o).Node)
	}
	for command, boot := range map[string]string{"discv4": all[0].URL(), "discv5": all[0].ENR} {
		t.Run(command, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "nodes.json")
			run(t, devp2p, command, "crawl", "--addr", "127.0.0.1:0", "--bootnodes", boot, "--timeout", crawlTime.String(), file)
			set := readNodes(t, file)
			if missing := missing(set, all); len(missing) != 0 || len(set) != len(all) {
				t.Errorf("%d nodes found, without %v; want the %d of the network", len(set), missing, len(all))
			}
			t.Logf("devp2p %s crawl: %d of %d nodes", command, len(set), len(all))
		})
	}
}

// The crawls of parley find all nodes of a network of geths that were told of the
// first of them, as soon as these know each other.
func TestCrawlGeths(t *testing.T) {
	t.Parallel()
	parley := path(t, (*programs.Set).Parley)
	var all []*nodes.Node
	for i := range crawlGeths {
		all = append(all, startGeth(t, fmt.Sprint("geth-", i), nodes.Private(), func(o *nodes.GethOptions) {
			o.Discovery = true
			if i > 0 {
				o.Bootnodes = []string{all[0].URL()}
			}
		}).Node)
	}
	for command, boot := range map[string]string{"discv4": all[0].URL(), "discv5": all[0].ENR} {
		t.Run(command, func(t *testing.T) {
			var set dnsdisc.NodeSet
			crawls := 0
			took := nodes.Wait(t, settled, "a crawl finds all nodes", func() bool {
				file := filepath.Join(t.TempDir(), "nodes.json")
				run(t, parley, command, "crawl", "--addr", "127.0.0.1:0", "--netrestrict", "127.0.0.0/8", "--bootnodes", boot, file)
				set = readNodes(t, file)
				crawls++
				return len(missing(set, all)) == 0
			})
			if len(set) != len(all) {
				t.Errorf("%d nodes found, want the %d of the network", len(set), len(all))
			}
			t.Logf("parley %s crawl: %d of %d nodes, in crawl %d, after %v", command, len(set), len(all), crawls, took)
		})
	}
}

// readNodes reads a nodes.json. Reading verifies every record.
func readNodes(t *testing.T, file string) dnsdisc.NodeSet {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	set, err := dnsdisc.ParseNodeSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// missing returns the names of the nodes that a set does not have with the
// endpoint that they listen on.
func missing(set dnsdisc.NodeSet, all []*nodes.Node) (names []string) {
	has := make(map[string]bool)
	for id, status := range set {
		if n, err := enode.New(status.Record); err == nil {
			for ap := range n.TCPEndpoints() {
				has[fmt.Sprintf("%s %d", id, ap.Port())] = true
			}
		}
	}
	for _, n := range all {
		if !has[fmt.Sprintf("%s %d", n.ID, n.Ports.Listener)] {
			names = append(names, n.Name)
		}
	}
	return names
}
