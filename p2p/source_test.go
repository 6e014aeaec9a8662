package p2p

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/dnsdisc"
	"parley/enode"
	"parley/enr"
)

// A zone is TXT records in memory. It counts what it is asked.
type zone struct {
	mu      sync.Mutex // guards the field below
	asked   int
	records map[string]string // by name, in lower case
}

func (z *zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	text, ok := z.records[strings.ToLower(strings.TrimSuffix(name, "."))]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return []string{text}, nil
}

// lower turns names into lower case.
func lower(records iter.Seq2[string, string]) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, text := range records {
			if !yield(strings.ToLower(name), text) {
				return
			}
		}
	}
}

// publish signs a list of nodes and returns its URL and the zone that it is in.
func publish(t *testing.T, seq uint64, nodes ...*enode.Node) (string, *zone) {
	t.Helper()
	tree, err := dnsdisc.New(seq, nodes, nil)
	if err != nil {
		t.Fatal(err)
	}
	link, err := tree.Sign(testKey(99), "nodes.example.org")
	if err != nil {
		t.Fatal(err)
	}
	return link.String(), &zone{records: maps.Collect(lower(tree.Records(link.Domain)))}
}

// Nodes of a list in DNS are dialed, without discovery over UDP, and a list that is
// older than the one seen before the restart is not believed.
func TestNodesFromDNS(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.finder(1, w.net.Host(privateAddr(1)), func(c *Config) { c.NoDial = true })
		url, list := publish(t, 7, first.Self())
		database, host := t.TempDir(), w.net.Host(privateAddr(2))
		reader := func(z *zone) *testServer {
			return w.serverOn(2, host, nil, func(c *Config) {
				c.NoDiscovery = true
				c.NetRestrict = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
				c.DNSDiscovery, c.DNSResolver, c.NodeDatabase = []string{url}, z, database
			})
		}
		second := reader(list)
		w.eventually(5*time.Second, "a peer from the list", func() bool { return second.PeerCount() == 1 })
		if got := second.Stats().Sources["dns"]; got.Peer != 1 {
			t.Errorf("the list led to %+v, want one peer", got)
		}
		second.Stop()

		_, older := publish(t, 6, first.Self())
		again := reader(older)
		w.pass(time.Minute)
		if got := again.Stats().Sources["dns"]; got.Offered != 0 || older.asked == 0 {
			t.Errorf("a list from before the restart led to %+v after %d lookups, want none offered", got, older.asked)
		}
	})
}

// With enough peers, lists in DNS are not read.
func TestNoLookupsInDNSWithoutDemand(t *testing.T) {
	inWorld(t, func(w *world) {
		url, list := publish(t, 1, w.server(1, nil).Self())
		w.server(2, func(c *Config) { c.MaxPeers, c.DNSDiscovery, c.DNSResolver = -1, []string{url}, list })
		w.pass(time.Minute)
		if list.asked != 0 {
			t.Errorf("%d lookups of a node that wants no peers", list.asked)
		}
	})
}

// A node that discovery v4 finds is asked for its record before the filter decides
// about it: one of another network is not dialed, the others are.
func TestRecordBeforeFilter(t *testing.T) {
	inWorld(t, func(w *world) {
		wrong := errors.New("another network")
		onlyV4 := func(c *Config) { c.DiscoveryV4 = true }
		boot := w.finder(1, w.net.Host(privateAddr(1)), onlyV4)
		known := func(c *Config) {
			onlyV4(c)
			c.NoDial = true
			c.BootstrapNodes = []*enode.Node{boot.node()}
		}
		good, bad := w.finder(2, w.net.Host(privateAddr(2)), known), w.finder(3, w.net.Host(privateAddr(3)), known)
		for s, network := range map[*testServer]string{boot: "ours", good: "ours", bad: "theirs"} {
			if err := s.LocalNode().Set(enr.With("net", network)); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(10 * time.Second)
		picky := w.finder(4, w.net.Host(privateAddr(4)), func(c *Config) {
			onlyV4(c)
			c.BootstrapNodes = []*enode.Node{boot.node()}
			c.Protocols[0].Filter = func(n *enode.Node) error {
				if n.Record() == nil {
					return errors.New("no record")
				}
				var network string
				if err := n.Record().Load(enr.With("net", &network)); err != nil || network != "ours" {
					return wrong
				}
				return nil
			}
		})
		w.eventually(20*time.Second, "two peers", func() bool { return picky.PeerCount() == 2 })
		w.pass(20 * time.Second)
		if v := picky.lastVerdict(bad.Self().ID()); !errors.Is(v.Err, wrong) || v.Gate != GateRecord {
			t.Errorf("verdict on the node of another network: %v %v, want the filter's", v.Gate, v.Err)
		}
		if got := picky.Stats(); got.Dials != 2 {
			t.Errorf("%d dials, want 2: %+v", got.Dials, got.Sources)
		}
	})
}
