package discover

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/internal/simnet"
)

// testKey returns one key for each number.
func testKey(t testing.TB, i int) *enode.PrivateKey {
	t.Helper()
	var b [32]byte
	binary.BigEndian.PutUint64(b[24:], uint64(i)+1)
	key, err := enode.ParsePrivateKey(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A world is services on a network in memory, in a synctest bubble.
type world struct {
	t    *testing.T
	net  *simnet.Network
	list []*host
}

// A host is a machine with a Service.
type host struct {
	*Service
	machine *simnet.Host
	conn    *simnet.PacketConn
	node    *enode.Node
}

// inWorld runs f in a world with the given link. At its end all services are
// closed, and synctest sees to it that nothing is left.
func inWorld(t *testing.T, link simnet.Link, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: simnet.New(1)}
		w.net.SetDefaultLink(link)
		defer func() {
			for _, h := range w.list {
				h.Close()
			}
			w.net.Close()
		}()
		f(w)
	})
}

// machine adds a machine with a public address in a network of its own and one
// socket, and returns the node that has the given key there.
func (w *world) machine(i int) (*simnet.Host, *simnet.PacketConn, *enode.Node) {
	w.t.Helper()
	return w.machineAt(i, netip.AddrFrom4([4]byte{60, byte(i >> 8), byte(i), 7}))
}

// machineAt is machine with addresses of the caller's choice.
func (w *world) machineAt(i int, addrs ...netip.Addr) (*simnet.Host, *simnet.PacketConn, *enode.Node) {
	w.t.Helper()
	m := w.net.Host(addrs...)
	conn, err := m.ListenPacket(30303)
	if err != nil {
		w.t.Fatal(err)
	}
	return m, conn, w.record(i, 1, m.AddrPort(30303))
}

// add starts a service whose bootnode is the first one.
func (w *world) add(change func(c *Config)) *host {
	w.t.Helper()
	i := len(w.list)
	return w.addAt(change, netip.AddrFrom4([4]byte{60, byte(i >> 8), byte(i), 7}))
}

// addAt is add on a machine with addresses of the caller's choice.
func (w *world) addAt(change func(c *Config), addrs ...netip.Addr) *host {
	w.t.Helper()
	i := len(w.list)
	h := new(host)
	h.machine, h.conn, h.node = w.machineAt(i, addrs...)
	cfg := Config{PrivateKey: testKey(w.t, i), Self: h.node, Conn: h.conn}
	if i > 0 {
		cfg.Bootnodes = []*enode.Node{w.list[0].node}
	}
	change(&cfg)
	var err error
	if h.Service, err = Listen(cfg); err != nil {
		w.t.Fatal(err)
	}
	w.list = append(w.list, h)
	return h
}

// wait lets virtual time pass.
func (w *world) wait(d time.Duration) { <-time.After(d) }

func onlyV4(c *Config) { c.V4 = true }
func onlyV5(c *Config) { c.V5 = true }
func both(c *Config)   { c.V4, c.V5 = true, true }

// kinds are the ways to run a service.
var kinds = []struct {
	name string
	set  func(*Config)
}{{"v4", onlyV4}, {"v5", onlyV5}, {"both", both}}

func (w *world) context(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	w.t.Cleanup(cancel)
	return ctx
}

// record returns a node of key i with another record.
func (w *world) record(i int, seq uint64, at netip.AddrPort) *enode.Node {
	w.t.Helper()
	return nodeOf(w.t, testKey(w.t, i), seq, at)
}

// nodeOf returns a node with a record that says where it is, and what else is
// given.
func nodeOf(t testing.TB, key *enode.PrivateKey, seq uint64, at netip.AddrPort, more ...enr.Entry) *enode.Node {
	t.Helper()
	entries := more
	if at.IsValid() {
		entries = append(entries, enr.IP(at.Addr()), enr.UDP(at.Port()), enr.TCP(at.Port()))
	}
	r, err := enr.Sign(key, seq, entries...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := enode.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
