package p2p

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
)

// Start reports every mistake in the configuration at once and leaves nothing
// open.
func TestStartReportsAllMistakes(t *testing.T) {
	proto := idleProtocol()
	tooLong := idleProtocol()
	tooLong.Name = "overlylong"
	noRun := Protocol{Name: "x", Version: 1, Length: 1}
	s := &Server{Config: Config{
		MaxPendingPeers: -1, DialRatio: -1, DiscoveryRate: -1, DiscoverySessions: -1, Name: "two\nlines",
		Protocols:   []Protocol{proto, proto, tooLong, noRun, {Name: "y", Run: proto.Run}},
		StaticNodes: []*enode.Node{nil},
	}}
	err := s.Start()
	if err == nil {
		t.Fatal("Start succeeded")
	}
	for _, want := range []string{
		"PrivateKey is missing", "MaxPendingPeers is -1", "DialRatio is -1", "DiscoveryRate is -1", "DiscoverySessions is -1", "Name:", "idle/1 is listed twice",
		`"overlylong"`, "x/1 has no Run", "y/0 has no message codes", "StaticNodes[0] is nil",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %q:\n%v", want, err)
		}
	}
}

// A Server is started once: again, after Stop, and with a taken port are
// distinct errors.
func TestStartErrors(t *testing.T) {
	s := &Server{Config: Config{PrivateKey: testKey(1), ListenAddr: "127.0.0.1:0"}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); !errors.Is(err, ErrRunning) {
		t.Errorf("second Start = %v, want ErrRunning", err)
	}
	taken := &Server{Config: Config{PrivateKey: testKey(2), ListenAddr: s.Addr().String()}}
	if err := taken.Start(); err == nil || errors.Is(err, ErrRunning) {
		t.Errorf("Start on a taken port = %v, want the system's error", err)
	}
	s.Stop()
	s.Stop()
	if err := s.Start(); !errors.Is(err, ErrStopped) {
		t.Errorf("Start after Stop = %v, want ErrStopped", err)
	}
	if fd, err := net.Dial("tcp", s.Addr().String()); err == nil {
		fd.Close()
		t.Error("somebody still listens after Stop")
	}
	taken.Stop()
	if err := taken.Start(); !errors.Is(err, ErrStopped) {
		t.Errorf("Start after Stop of a Server that never ran = %v, want ErrStopped", err)
	}
}

// Every method is safe before Start and after Stop.
func TestMethodsAtAnyTime(t *testing.T) {
	s := &Server{Config: Config{PrivateKey: testKey(1), ListenAddr: "127.0.0.1:0", MaxPeers: 9, DialRatio: 3}}
	n := enode.NewV4(testKey(2).Public(), netip.MustParseAddr("127.0.0.1"), 1, 1)
	use := func() {
		s.Peers()
		s.PeersInfo()
		s.NodeInfo()
		s.Stats()
		s.Explain(n.ID())
		s.RemovePeer(n)
		s.RemoveTrustedPeer(n)
		s.Broadcast(Outgoing{Protocol: "idle"}, s.Peers())
		s.LocalNode().Node()
		if s.PeerCount() != 0 || s.MaxDialedConns() != 3 || s.MaxInboundConns() != 6 {
			t.Errorf("PeerCount %d, MaxDialedConns %d, MaxInboundConns %d; want 0, 3, 6", s.PeerCount(), s.MaxDialedConns(), s.MaxInboundConns())
		}
	}
	use()
	if s.Self() != nil || s.Addr() != nil {
		t.Errorf("Self %v, Addr %v before Start; want nil", s.Self(), s.Addr())
	}
	a, b := net.Pipe()
	defer b.Close()
	if err := s.SetupConn(t.Context(), a, nil); !errors.Is(err, ErrNotRunning) {
		t.Errorf("SetupConn before Start = %v, want ErrNotRunning", err)
	}
	// What is asked for before Start holds after it.
	s.AddTrustedPeer(n)
	if err := s.LocalNode().Set(enr.With("note", "before")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	for s.Self() == nil {
		if ctx.Err() != nil {
			t.Fatal(ctx.Err())
		}
	}
	var note string
	if err := s.Self().Record().Load(enr.With("note", &note)); err != nil || note != "before" {
		t.Errorf("entry set before Start = %q, %v; want before", note, err)
	}
	if !s.Explain(n.ID()).Trusted {
		t.Error("a node trusted before Start is not trusted")
	}
	use()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	use()
	if err := s.AddPeer(n); !errors.Is(err, ErrStopped) {
		t.Errorf("AddPeer after Stop = %v, want ErrStopped", err)
	}
}

// Stop tells every peer, ends handshakes and dials in flight, and is done within
// two seconds with every goroutine ended (the bubble checks that).
func TestStopTellsEveryPeer(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			black := w.net.Host(privateAddr(900))
			w.net.BlackHole(black)
			c.StaticNodes = append(c.StaticNodes, enode.NewV4(testKey(900).Public(), black.Addr(), 30303, 0))
		})
		x := s.stranger(2).join()
		deaf := s.stranger(3).join()
		deaf.fd.(interface{ SetWindow(int) }).SetWindow(0) // never reads
		half := s.dialFrom(w.net.Host(privateAddr(800)))   // never sends
		w.pass(time.Second)
		if st := s.Stats(); st.Peers != 2 || st.PendingIn != 1 || st.PendingOut != 1 {
			t.Fatalf("%d peers, %d and %d pending; want 2, 1 and 1", st.Peers, st.PendingIn, st.PendingOut)
		}
		reason := make(chan DiscReason, 1)
		go func() { reason <- x.reason(); x.fd.Close() }()
		began := time.Now()
		s.Stop()
		if d := time.Since(began); d >= 2*time.Second {
			t.Errorf("Stop took %v, want less than 2s", d)
		}
		if got := <-reason; got != DiscQuitting {
			t.Errorf("the peer was told %q, want %q", got, DiscQuitting)
		}
		if _, err := half.Read(make([]byte, 1)); err == nil {
			t.Error("the connection in its handshake is still open")
		}
	})
}

var soak = flag.Bool("soak", false, "run the long forms of tests, as make soak does")

// L10: Stop at any point of the life of connections ends within two seconds and
// leaves no goroutine and no connection; the same key starts again. It is 300
// random times, and 10,000 in make soak.
func TestL10StopAtAnyPoint(t *testing.T) {
	rounds := 300
	if *soak {
		rounds = 10_000
	}
	rng := rand.New(rand.NewPCG(10, 10))
	var longest time.Duration
	for range rounds {
		after := time.Duration(rng.Int64N(int64(300 * time.Millisecond)))
		inWorld(t, func(w *world) {
			a := w.server(1, nil)
			b := w.server(2, func(c *Config) { c.StaticNodes = append(c.StaticNodes, a.node()) })
			for i := range 3 {
				go func() {
					host := w.net.Host(privateAddr(500 + i))
					if fd, err := host.DialContext(w.Context(), "tcp", a.host.AddrPort(30303).String()); err == nil {
						defer fd.Close()
						fd.Write(make([]byte, 10*i))
						fd.Read(make([]byte, 1))
					}
				}()
			}
			w.pass(after)
			began := time.Now()
			a.Stop()
			longest = max(longest, time.Since(began))
			w.pass(time.Second)
			for _, c := range w.net.Conns() {
				if c.LocalAddr().String() == a.host.AddrPort(30303).String() {
					t.Errorf("stopped after %v: a connection of the server is open", after)
				}
			}
			b.Stop()

			again := &Server{Config: a.Config}
			listener, err := a.host.Listen(30303)
			if err != nil {
				w.Fatalf("stopped after %v: %v", after, err)
			}
			again.Listener = listener
			if err := again.Start(); err != nil {
				w.Errorf("stopped after %v: Start again = %v", after, err)
			}
			again.Stop()
		})
	}
	if longest >= 2*time.Second {
		t.Errorf("the longest Stop took %v, want less than 2s", longest)
	}
}
