package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"parley/enode"
)

// A phoneBook is a Resolver whose entries change.
type phoneBook struct {
	mu    sync.Mutex
	hosts map[string][]netip.Addr
	asked int
}

func (b *phoneBook) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	addrs := b.hosts[host]
	if network != "ip" || addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

func (b *phoneBook) set(host string, addrs ...netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hosts == nil {
		b.hosts = make(map[string][]netip.Addr)
	}
	b.hosts[host] = addrs
}

const theirName = "node.example.org"

// named returns the node with the n-th key at theirName.
func named(t *testing.T, n int) *enode.Node {
	t.Helper()
	key := testKey(n).Public()
	node, err := enode.Parse(fmt.Sprintf("enode://%x@%s:30303", key[:], theirName))
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// A host name is looked up for each dial: a node that moved is found again.
func TestHostNameResolvedOnRedial(t *testing.T) {
	inWorld(t, func(w *world) {
		book := &phoneBook{}
		book.set(theirName, privateAddr(2))
		b := w.server(2, nil)
		a := w.server(1, func(c *Config) { c.Resolver, c.StaticNodes = book, []*enode.Node{named(t, 2)} })
		w.eventually(time.Second, "the node is a peer", func() bool { return a.PeerCount() == 1 })
		b.Stop()
		w.serverAt(2, privateAddr(3), nil)
		book.set(theirName, privateAddr(3))
		w.eventually(2*time.Minute, "it is a peer at its new address", func() bool {
			return a.PeerCount() == 1 && a.Peers()[0].RemoteAddr().Addr() == privateAddr(3)
		})
	})
}

// All addresses of a name are tried, of both families.
func TestHostNameWithManyAddresses(t *testing.T) {
	inWorld(t, func(w *world) {
		book := &phoneBook{}
		// Two that nobody has, one that refuses, and the node.
		w.net.Host(privateAddr(5))
		book.set(theirName, privateAddr(6), theirs6, privateAddr(5), privateAddr(2))
		w.server(2, nil)
		home := w.net.Host(home4, home6)
		a := w.serverOn(1, home, nil, func(c *Config) {
			c.Resolver, c.StaticNodes, c.Dialer = book, []*enode.Node{named(t, 2)}, newEndpointDialer(home)
		})
		w.eventually(time.Second, "the node is a peer", func() bool { return a.PeerCount() == 1 })
		if got := a.Peers()[0].Node().Addr(); got != privateAddr(2) {
			t.Errorf("the peer's node is at %v, want %v", got, privateAddr(2))
		}
	})
}

// An address outside of NetRestrict is left out, not the node: it is dialed as soon
// as its name leads to one inside.
func TestHostNameIsNotLostToNetRestrict(t *testing.T) {
	inWorld(t, func(w *world) {
		book := &phoneBook{}
		book.set(theirName, netip.MustParseAddr("192.168.1.1"))
		b := w.server(2, nil)
		a := w.server(1, func(c *Config) {
			c.Resolver, c.StaticNodes = book, []*enode.Node{named(t, 2)}
			c.NetRestrict = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}
		})
		w.pass(time.Minute)
		if v := a.lastVerdict(newID(2)); v.Gate != GateNetRestrict {
			t.Errorf("verdict %s, %v; want netrestrict", v.Gate, v.Err)
		}
		book.set(theirName, netip.MustParseAddr("192.168.1.1"), privateAddr(2))
		w.eventually(5*time.Minute, "the node is a peer", func() bool { return a.PeerCount() == 1 })
		if n := b.Stats().Accepted; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// Nobody is contacted at a banned address, whatever name led to it.
func TestHostNameOfBannedAddress(t *testing.T) {
	inWorld(t, func(w *world) {
		book := &phoneBook{}
		book.set(theirName, privateAddr(2))
		b := w.server(2, nil)
		prefix := netip.PrefixFrom(privateAddr(2), 32)
		a := w.server(1, func(c *Config) { c.Resolver = book })
		if err := a.Ban(Ban{Net: prefix, Why: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := a.AddPeer(named(t, 2)); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Minute)
		if v := a.lastVerdict(newID(2)); v.Gate != GateBan || v.Count < 2 {
			t.Errorf("verdict %s, %v, %d times; want ban, again and again", v.Gate, v.Err, v.Count)
		}
		if e := a.Explain(newID(2)); e.Ban == nil {
			t.Errorf("Explain names no ban: %q", e.Advice)
		}
		if n := b.Stats().Accepted; n != 0 {
			t.Errorf("%d connections to a banned address", n)
		}
		// Another address of the same name is not banned.
		book.set(theirName, privateAddr(2), privateAddr(3))
		w.serverAt(2, privateAddr(3), nil)
		w.eventually(10*time.Minute, "the node is a peer", func() bool { return a.PeerCount() == 1 })
		if n := b.Stats().Accepted; n != 0 {
			t.Errorf("%d connections to a banned address", n)
		}
	})
}

// A name that cannot be looked up is tried again.
func TestHostNameNotFound(t *testing.T) {
	inWorld(t, func(w *world) {
		book := &phoneBook{}
		a := w.server(1, func(c *Config) { c.Resolver, c.StaticNodes = book, []*enode.Node{named(t, 2)} })
		w.pass(3 * time.Minute)
		v := a.lastVerdict(newID(2))
		if _, ok := errors.AsType[*net.DNSError](v.Err); !ok || v.Gate != GateDial || book.asked < 3 {
			t.Errorf("verdict %s, %v after %d questions; want a DNS error at dial after at least 3", v.Gate, v.Err, book.asked)
		}
	})
}
