//go:build interop

package interop

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"parley/enode"
	"parley/eth"
	"parley/interop/nodes"
	"parley/p2p"
)

// A library is a node in this process: what a program that embeds parley has.
type library struct {
	*p2p.Server
	eth *eth.Service
}

// startLibrary starts a node on a network, with the versions of eth given or
// all. It ends with the test.
func startLibrary(t *testing.T, network nodes.Network, handler eth.Handler, versions ...uint) *library {
	t.Helper()
	genesis, err := eth.ParseHash(network.GenesisHash)
	if err != nil {
		t.Fatal(err)
	}
	fork, err := eth.ParseForkID(network.ForkID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := enode.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	logger := newLogger(t)
	service, err := eth.New(eth.Config{
		Network: network.ID, Genesis: genesis, ForkID: &fork, Versions: versions, Handler: handler, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := &p2p.Server{Config: p2p.Config{
		PrivateKey:  key,
		Name:        "parley/interop",
		Protocols:   service.Protocols(),
		ListenAddr:  "127.0.0.1:0",
		NetRestrict: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Logger:      logger,
	}}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	return &library{Server: srv, eth: service}
}

// newLogger logs everything to a file that is kept if the test fails.
func newLogger(t *testing.T) *slog.Logger {
	t.Helper()
	dir := filepath.Join(logs(t), filepath.FromSlash(t.Name()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(dir, "library-*.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		file.Close()
		if !t.Failed() {
			os.Remove(file.Name())
			os.Remove(dir) // stays if there is something else in it
		}
	})
	return slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// url is where the node listens.
func (l *library) url() string {
	addr := netip.MustParseAddrPort(l.Addr().String())
	return enode.NewV4(l.Self().PublicKey(), addr.Addr(), addr.Port(), 0).URL()
}

// id is the node's ID in the form of the API.
func (l *library) id() string { return l.Self().ID().String() }

// dial has the node keep a connection to another one.
func (l *library) dial(n *nodes.Node) error {
	node, err := enode.Parse(n.URL())
	if err != nil {
		return err
	}
	return l.AddPeer(node)
}

// session dials a node and waits for the session with it.
func (l *library) session(t *testing.T, n *nodes.Node, added <-chan *eth.Peer) *eth.Peer {
	t.Helper()
	if err := l.dial(n); err != nil {
		t.Fatal(err)
	}
	return receive(t, added, "a session with "+n.Name)
}

// receive waits for a value that a handler sends.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(soon):
		t.Fatalf("not within %v: %s", soon, what)
		panic("unreachable")
	}
}
