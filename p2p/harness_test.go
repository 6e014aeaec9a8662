package p2p

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/internal/simnet"
	"parley/rlp"
	"parley/rlpx"
)

// testKey returns a key that depends only on n.
func testKey(n int) *enode.PrivateKey {
	sum := sha256.Sum256(fmt.Appendf(nil, "parley p2p test key %d", n))
	key, err := enode.ParsePrivateKey(sum[:])
	if err != nil {
		panic(err)
	}
	return key
}

// privateAddr returns the n-th of a row of private addresses, which are exempt
// from the limits by address.
func privateAddr(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
}

// A world is a simulated network with servers, inside a synctest bubble.
type world struct {
	*testing.T
	net *simnet.Network
}

// inWorld runs f in a bubble with a network of 10 ms links. When f returns, every
// server is stopped; a goroutine that is left makes the test fail.
func inWorld(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t, simnet.New(1)}
		w.net.SetDefaultLink(simnet.Link{Delay: 10 * time.Millisecond})
		t.Cleanup(w.net.Close)
		f(w)
	})
}

// A simDialer is the NodeDialer of a simulated host.
type simDialer struct{ host *simnet.Host }

func (d simDialer) DialNode(ctx context.Context, n *enode.Node) (net.Conn, error) {
	ep, ok := n.TCPEndpoint()
	if !ok {
		return nil, errNoTCP
	}
	return d.host.DialContext(ctx, "tcp", ep.String())
}

// A testServer is a Server on a simulated host.
type testServer struct {
	*Server
	host *simnet.Host
	w    *world
}

// server starts a Server with the n-th key at the n-th private address. configure
// may change its Config.
func (w *world) server(n int, configure func(*Config)) *testServer {
	w.Helper()
	return w.serverAt(n, privateAddr(n), configure)
}

func (w *world) serverAt(n int, addr netip.Addr, configure func(*Config)) *testServer {
	w.Helper()
	host := w.net.Host(addr)
	listener, err := host.Listen(30303)
	if err != nil {
		w.Fatal(err)
	}
	return w.serverOn(n, host, listener, configure)
}

// serverOn starts a Server with the n-th key on a host.
func (w *world) serverOn(n int, host *simnet.Host, listener net.Listener, configure func(*Config)) *testServer {
	w.Helper()
	s := &testServer{Server: &Server{Config: Config{
		PrivateKey: testKey(n),
		Name:       fmt.Sprintf("test/%d", n),
		Listener:   listener,
		Dialer:     simDialer{host},
		Logger:     slog.New(slog.DiscardHandler),
		Protocols:  []Protocol{idleProtocol()},
	}}, host: host, w: w}
	if configure != nil {
		configure(&s.Config)
	}
	if err := s.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(s.Stop)
	return s
}

// node returns how others reach the server.
func (s *testServer) node() *enode.Node {
	return enode.NewV4(s.PrivateKey.Public(), s.host.Addr(), 30303, 30303)
}

// idleProtocol reads and ignores everything until the connection ends.
func idleProtocol() Protocol {
	return Protocol{Name: "idle", Version: 1, Length: 4, Run: func(_ *Peer, rw MsgReadWriter) error {
		for {
			m, err := rw.ReadMsg()
			if err != nil {
				return err
			}
			m.Release()
		}
	}}
}

// A stranger is the other side of a connection, driven byte by byte by a test.
type stranger struct {
	t    *testServer
	key  *enode.PrivateKey
	fd   net.Conn
	conn *rlpx.Conn
}

// dialFrom opens a connection from the host to the server, without a handshake.
func (s *testServer) dialFrom(host *simnet.Host) net.Conn {
	s.w.Helper()
	fd, err := host.DialContext(s.w.Context(), "tcp", s.host.AddrPort(30303).String())
	if err != nil {
		s.w.Fatal(err)
	}
	s.w.Cleanup(func() { fd.Close() })
	return fd
}

// stranger connects from a new host with the n-th key and ends the RLPx handshake.
func (s *testServer) stranger(n int) *stranger {
	s.w.Helper()
	return s.strangerFrom(n, s.w.net.Host(privateAddr(1000+n)))
}

func (s *testServer) strangerFrom(n int, host *simnet.Host) *stranger {
	s.w.Helper()
	x := &stranger{t: s, key: testKey(n), fd: s.dialFrom(host)}
	conn, err := rlpx.Initiate(x.fd, x.key, s.PrivateKey.Public(), nil)
	if err != nil {
		s.w.Fatal(err)
	}
	x.conn = conn
	return x
}

// hello returns a Hello of the stranger that shares the idle protocol.
func (x *stranger) hello() *Hello {
	return &Hello{Version: 5, Name: "stranger", Caps: []Cap{{"idle", 1}}, PublicKey: x.key.Public()}
}

// send writes a message.
func (x *stranger) send(code uint64, payload []byte) error { return x.conn.WriteMsg(code, payload) }

// exchange sends the Hello and reads the server's.
func (x *stranger) exchange(h *Hello) {
	x.t.w.Helper()
	payload, err := h.append(nil)
	if err != nil {
		x.t.w.Fatal(err)
	}
	if err := x.send(codeHello, payload); err != nil {
		x.t.w.Fatal(err)
	}
	m, err := x.conn.ReadMsg()
	if err != nil || m.Code != codeHello {
		x.t.w.Fatalf("ReadMsg = code %#x, %v; want their Hello", m.Code, err)
	}
	x.conn.SetLimits(rlpx.Limits{})
	x.conn.SetSnappy(h.Version >= snappyVersion)
}

// join makes the stranger a peer.
func (x *stranger) join() *stranger {
	x.t.w.Helper()
	x.exchange(x.hello())
	x.t.w.eventually(time.Second, "the stranger is a peer", func() bool { return x.t.Explain(enode.PubkeyID(x.key.Public())).Connected })
	return x
}

// reason reads until the connection ends and returns the reason that was given,
// and DiscNetworkError if none was.
func (x *stranger) reason() DiscReason {
	for {
		m, err := x.conn.ReadMsg()
		if err != nil {
			return DiscNetworkError
		}
		if m.Code == codeDisconnect {
			return parseDisconnect(m.Payload)
		}
	}
}

// wantReason checks how the server ends the connection.
func (x *stranger) wantReason(want DiscReason) {
	x.t.w.Helper()
	if got := x.reason(); got != want {
		x.t.w.Errorf("connection ended with %q, want %q", got, want)
	}
}

// pass lets virtual time pass. It is the only way to wait here: the clock is the
// bubble's.
func (w *world) pass(d time.Duration) {
	rest(d)
	synctest.Wait()
}

// rest lets virtual time pass for one goroutine.
func rest(d time.Duration) { <-time.After(d) }

// eventually waits in virtual time, at most d, until f is true.
func (w *world) eventually(d time.Duration, what string, f func() bool) {
	w.Helper()
	synctest.Wait()
	for end := time.Now().Add(d); ; w.pass(10 * time.Millisecond) {
		if f() {
			return
		}
		if time.Now().After(end) {
			w.Fatalf("not within %v: %s", d, what)
		}
	}
}

// collect gathers the server's events in the background; the function it returns
// gives those so far.
func (s *testServer) collect() func() []Event {
	ctx, cancel := context.WithCancel(context.Background())
	s.w.Cleanup(cancel)
	events := s.Events(ctx)
	out := make(chan []Event, 1)
	out <- nil
	go func() {
		for e := range events {
			out <- append(<-out, e)
		}
	}()
	return func() []Event {
		synctest.Wait()
		all := <-out
		out <- all
		return all
	}
}

// lastVerdict returns the newest verdict on a node.
func (s *testServer) lastVerdict(id enode.ID) Verdict {
	vs := s.Explain(id).Verdicts
	if len(vs) == 0 {
		return Verdict{Err: errors.New("no verdict")}
	}
	return vs[len(vs)-1]
}

// newID returns the node ID of the n-th key.
func newID(n int) enode.ID { return enode.PubkeyID(testKey(n).Public()) }

// nodeAt returns the node with the n-th key at an address.
func nodeAt(n int, addr netip.Addr) *enode.Node {
	return enode.NewV4(testKey(n).Public(), addr, 30303, 0)
}

// incompressible returns the RLP encoding of n bytes that Snappy cannot shrink.
func incompressible(n int) []byte {
	data := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(data)
	return rlp.AppendBytes(nil, data)
}
