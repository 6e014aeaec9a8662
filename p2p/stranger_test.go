package p2p

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/simnet"
	"parley/rlp"
	"parley/rlpx"
)

// closedAfter reads until the connection ends and returns how long after began
// that was.
func closedAfter(fd interface {
	Read([]byte) (int, error)
	SetReadDeadline(time.Time) error
}, began time.Time) time.Duration {
	fd.SetReadDeadline(began.Add(time.Hour))
	buf := make([]byte, 4096)
	for {
		if _, err := fd.Read(buf); err != nil {
			return time.Since(began)
		}
	}
}

// A1: 10,000 connections that send nothing hold no more than the pending slots;
// each is closed within 5 s, and an honest node becomes a peer within a second
// meanwhile.
func TestA1SilentConnections(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		flood := w.net.Host(privateAddr(700))
		type ended struct{ after time.Duration }
		results := make(chan ended, 10_000)
		go func() {
			for range 10_000 { // 1,000 a second for ten seconds
				fd, err := flood.DialContext(w.Context(), "tcp", s.host.AddrPort(30303).String())
				if err != nil {
					t.Error(err)
					return
				}
				began := time.Now()
				go func() { results <- ended{closedAfter(fd, began)}; fd.Close() }()
			}
		}()
		honest, slowest := 0, time.Duration(0)
		for i := range 10 {
			w.pass(900 * time.Millisecond)
			if st := s.Stats(); st.PendingIn > DefaultMaxPendingPeers {
				t.Errorf("%d handshakes in flight, want at most %d", st.PendingIn, DefaultMaxPendingPeers)
			}
			if held := s.Stats().Buffered; held > 64<<10*DefaultMaxPendingPeers {
				t.Errorf("%d bytes are held, want at most 64 KiB a slot", held)
			}
			began := time.Now()
			s.stranger(10 + i).join()
			honest++
			slowest = max(slowest, time.Since(began))
		}
		if slowest > time.Second {
			t.Errorf("the slowest of %d honest handshakes took %v, want at most 1s", honest, slowest)
		}
		var longest time.Duration
		for range 10_000 {
			longest = max(longest, (<-results).after)
		}
		if longest > 5*time.Second+20*time.Millisecond { // and two delays of the link
			t.Errorf("the last silent connection was closed after %v, want 5s", longest)
		}
	})
}

// A2, A3, C2: however it is drawn out, a connection is closed 5 s after it was
// accepted if it has not said Hello.
func TestA2A3C2HandshakeDeadlineIsAbsolute(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(*stranger)
		dial func(*world, *testServer) *stranger
	}{
		{name: "A2 one byte of auth a second", dial: rawStranger, send: func(x *stranger) {
			auth := append([]byte{0x01, 0x80}, bytes.Repeat([]byte{4}, 0x180)...)
			for i := range auth {
				if _, err := x.fd.Write(auth[i : i+1]); err != nil {
					return
				}
				rest(time.Second) // virtual time
			}
		}},
		{name: "A3 full auth, then silence", dial: func(w *world, s *testServer) *stranger { return s.stranger(2) }},
		{name: "C2 header that claims 16 MiB, then silence", dial: func(w *world, s *testServer) *stranger { return s.stranger(2) }, send: func(x *stranger) {
			frame, err := x.conn.AppendMsg(nil, codeHello, make([]byte, 1<<24-20))
			if err != nil {
				t.Error(err)
			}
			x.fd.Write(frame[:32])
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := w.server(1, nil)
				began := time.Now()
				x := c.dial(w, s)
				if c.send != nil {
					go c.send(x)
				}
				held := make(chan int64, 1)
				go func() {
					var most int64
					for range 40 {
						rest(100 * time.Millisecond) // virtual time
						most = max(most, s.Stats().Buffered)
					}
					held <- most
				}()
				d := closedAfter(x.fd, began)
				if strings.HasPrefix(c.name, "C2") {
					if d > 100*time.Millisecond {
						t.Errorf("closed after %v, want at once", d)
					}
				} else if d < 4*time.Second || d > 5*time.Second+50*time.Millisecond {
					t.Errorf("closed after %v, want 5s", d)
				}
				if most := <-held; most > 64<<10 {
					t.Errorf("%d bytes were held, want at most 64 KiB", most)
				}
				x.fd.Close()
				w.pass(time.Second) // the sender notices
			})
		})
	}
}

// rawStranger connects without a handshake.
func rawStranger(w *world, s *testServer) *stranger {
	return &stranger{t: s, key: testKey(2), fd: s.dialFrom(w.net.Host(privateAddr(1002)))}
}

// A4: 1,000 connections from one public address get 4 handshakes in flight at
// most, those from one /24 get 16; others are let in.
func TestA4ConnectionsFromOneNetwork(t *testing.T) {
	for _, c := range []struct {
		name    string
		from    func(i int) netip.Addr
		pending int
	}{
		{"one address", func(int) netip.Addr { return netip.MustParseAddr("80.1.1.1") }, 4},
		{"one /24", func(i int) netip.Addr { return netip.AddrFrom4([4]byte{80, 1, 1, byte(i)}) }, 16},
	} {
		inWorld(t, func(w *world) {
			s := w.serverAt(1, netip.MustParseAddr("81.1.1.1"), nil)
			host := w.net.Host(netip.MustParseAddr("80.1.1.254"))
			to := s.host.AddrPort(30303)
			most := 0
			for i := range 1000 {
				fd, err := host.DialFrom(w.Context(), netip.AddrPortFrom(c.from(i), uint16(1+i)), to)
				if err == nil {
					fd.Write([]byte{1}) // not silent: nobody gives way
					defer fd.Close()
				}
				most = max(most, s.Stats().PendingIn)
			}
			w.pass(time.Second)
			if most > c.pending || most == 0 {
				t.Errorf("%s: %d handshakes in flight, want 1 to %d", c.name, most, c.pending)
			}
			x := s.strangerFrom(5, w.net.Host(netip.MustParseAddr("80.1.2.1")))
			x.join()
		})
	}
}

// A4, A5: one address gets 8 peers at most, one /24 16; so do one IPv6 /64 and one /48.
func TestA4A5PeersFromOneNetwork(t *testing.T) {
	for _, c := range []struct {
		name string
		from func(i int) netip.Addr
		want int
	}{
		{"one address", func(int) netip.Addr { return netip.MustParseAddr("80.1.1.1") }, 8},
		{"one /24", func(i int) netip.Addr { return netip.AddrFrom4([4]byte{80, 1, 1, byte(i)}) }, 16},
		{"one /64", func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0x26, 6, 15: byte(i)}) }, 8},
		{"one /48", func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0x26, 6, 7: byte(i), 15: 1}) }, 16},
	} {
		inWorld(t, func(w *world) {
			s := w.serverAt(1, netip.MustParseAddr("81.1.1.1"), func(c *Config) { c.MaxPeers = 200 })
			host := w.net.Host(netip.MustParseAddr("80.1.1.254"))
			for i := range 30 {
				from := netip.AddrPortFrom(c.from(i), uint16(1000+i))
				fd, err := host.DialFrom(w.Context(), from, s.host.AddrPort(30303))
				if err != nil {
					t.Fatal(err)
				}
				x := &stranger{t: s, key: testKey(100 + i), fd: fd}
				if x.conn, err = rlpx.Initiate(fd, x.key, s.PrivateKey.Public(), nil); err == nil {
					x.exchange(x.hello())
				}
				go func() { // stays alive
					for x.conn != nil {
						m, err := x.conn.ReadMsg()
						if err != nil {
							break
						}
						if m.Code == codePing {
							x.send(codePong, emptyList[:])
						}
					}
					fd.Close()
				}()
				w.pass(31 * time.Second)
			}
			if n := s.PeerCount(); n != c.want {
				t.Errorf("%s: %d peers, want %d", c.name, n, c.want)
			}
		})
	}
}

// A7: a reset at any of 20 points returns the slot and leaves nothing running.
func TestA7ResetDuringHandshake(t *testing.T) {
	for point := range 20 {
		inWorld(t, func(w *world) {
			s := w.server(1, nil)
			host := w.net.Host(privateAddr(600))
			fd := s.dialFrom(host)
			sim := fd.(*simnet.Conn)
			go func() {
				rest(time.Duration(point) * 3 * time.Millisecond) // virtual time
				sim.Reset()
			}()
			x := &stranger{t: s, key: testKey(2), fd: fd}
			if conn, err := rlpx.Initiate(fd, x.key, s.PrivateKey.Public(), nil); err == nil {
				x.conn = conn
				if payload, err := x.hello().append(nil); err == nil {
					x.send(codeHello, payload)
				}
			}
			w.pass(2 * time.Second)
			if st := s.Stats(); st.PendingIn != 0 || st.Peers != 0 || st.Buffered != 0 {
				t.Errorf("reset at point %d: %d pending, %d peers, %d bytes held; want none", point, st.PendingIn, st.Peers, st.Buffered)
			}
		})
	}
}

// A11: a source port of 0, an IPv4-mapped address and a zone are one and the same
// address to the limits.
func TestA11AddressForms(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.serverAt(1, netip.MustParseAddr("81.1.1.1"), nil)
		host := w.net.Host(netip.MustParseAddr("80.1.1.1"))
		got := 0
		for _, from := range []string{"80.1.1.1:0", "[::ffff:80.1.1.1]:4000", "[::ffff:80.1.1.1]:0", "80.1.1.1:5000"} {
			fd, err := host.DialFrom(w.Context(), netip.MustParseAddrPort(from), s.host.AddrPort(30303))
			if err != nil {
				t.Fatal(err)
			}
			defer fd.Close()
			fd.Write([]byte{1})
			w.pass(50 * time.Millisecond)
			got = max(got, s.Stats().PendingIn)
		}
		if got != 1 || s.Stats().Refused[GateHistory] != 3 {
			t.Errorf("%d handshakes, %d refused by history; want 1, 3", got, s.Stats().Refused[GateHistory])
		}
		scoped, err := host.DialFrom(w.Context(), netip.MustParseAddrPort("[fe80::1%eth0]:1"), s.host.AddrPort(30303))
		if err != nil {
			t.Fatal(err)
		}
		defer scoped.Close()
		w.pass(50 * time.Millisecond)
		if n := s.Stats().PendingIn; n != 2 {
			t.Errorf("%d handshakes with one from a scoped address, want 2", n)
		}
	})
}

// A12: one node ID from two addresses at the same time, 1,000 times: one peer
// stays, no slot leaks.
func TestA12SameIDTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		hosts := []*simnet.Host{w.net.Host(privateAddr(601)), w.net.Host(privateAddr(602))}
		w.net.SetLink(hosts[1], s.host, simnet.Link{Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond})
		for range 1000 {
			done := make(chan *stranger, 2)
			for _, h := range hosts {
				go func() {
					fd, err := h.DialContext(w.Context(), "tcp", s.host.AddrPort(30303).String())
					if err != nil {
						t.Error(err)
						done <- nil
						return
					}
					x := &stranger{t: s, key: testKey(2), fd: fd}
					if x.conn, err = rlpx.Initiate(fd, x.key, s.PrivateKey.Public(), nil); err != nil {
						t.Error(err)
					}
					payload, _ := x.hello().append(nil)
					x.send(codeHello, payload)
					done <- x
				}()
			}
			a, b := <-done, <-done
			w.pass(700 * time.Millisecond)
			if st := s.Stats(); st.Peers != 1 || st.PendingIn != 0 {
				t.Fatalf("%d peers and %d handshakes in flight, want 1 and 0", st.Peers, st.PendingIn)
			}
			a.fd.Close()
			b.fd.Close()
			w.pass(100 * time.Millisecond)
			if st := s.Stats(); st.Peers != 0 {
				t.Fatalf("%d peers after both connections ended, want 0", st.Peers)
			}
		}
	})
}

// recordedAuth returns an auth packet that the named key once made for s. Who
// replays it has none of its secrets.
func (w *world) recordedAuth(s *testServer, named *enode.PrivateKey) []byte {
	w.Helper()
	a, b := simnet.Pipe(simnet.PipeOptions{})
	defer a.Close()
	defer b.Close()
	go rlpx.Initiate(a, named, s.PrivateKey.Public(), nil)
	buf := make([]byte, 4096)
	b.SetReadDeadline(time.Now().Add(time.Second))
	n, err := b.Read(buf)
	if err != nil {
		w.Fatal(err)
	}
	return buf[:n]
}

// B10 to B13: a replayed auth that names X gets the same answer, of the same
// length class and for the same time, whoever X is to us: nobody, a peer, a
// trusted node when we are full, a node that is being dialed. And it keeps X from
// nothing.
func TestB10B11B12B13ForgedAuth(t *testing.T) {
	type outcome struct {
		answer   string
		duration time.Duration
	}
	outcomes := make(map[string]outcome)
	for _, c := range []struct {
		name    string
		named   int
		replays int
	}{{"unknown", 50, 20}, {"connected", 51, 1000}, {"trusted when full", 52, 20}, {"being dialed", 53, 20}} {
		inWorld(t, func(w *world) {
			black := w.net.Host(privateAddr(53))
			w.net.BlackHole(black)
			s := w.server(1, func(cfg *Config) {
				cfg.MaxPeers, cfg.DialRatio = 2, 2
				cfg.TrustedNodes = append(cfg.TrustedNodes, nodeAt(52, privateAddr(52)))
				cfg.StaticNodes = append(cfg.StaticNodes, nodeAt(53, privateAddr(53)))
			})
			x := s.strangerFrom(51, w.net.Host(privateAddr(51))).join()
			auth := w.recordedAuth(s, testKey(c.named))

			began := time.Now()
			raw := s.dialFrom(w.net.Host(privateAddr(600)))
			raw.Write(auth)
			raw.Write(make([]byte, 32+64)) // a frame without the secrets
			answer := 0
			buf := make([]byte, 4096)
			for {
				n, err := raw.Read(buf)
				answer += n
				if err != nil {
					break
				}
			}
			class := "ack and Hello"
			if answer < 200 || answer > 900 {
				class = fmt.Sprintf("%d bytes", answer)
			}
			outcomes[c.name] = outcome{class, time.Since(began)}

			if s.PeerCount() != 1 || !s.Explain(newID(51)).Connected {
				t.Errorf("%s: the real peer is gone", c.name)
			}
			for n := range c.replays { // B10: a thousand times changes nothing
				if n%100 == 0 {
					w.pass(100 * time.Millisecond)
				}
				fd := s.dialFrom(w.net.Host(privateAddr(2000 + n)))
				fd.Write(auth)
				fd.Close()
			}
			w.pass(6 * time.Second)
			id := newID(c.named)
			for _, v := range s.Explain(id).Verdicts {
				if v.Inbound {
					t.Errorf("%s: an unproven connection left a verdict on the node it named: %v", c.name, v.Err)
				}
			}
			if st := s.Stats(); st.PendingIn != 0 || st.Peers != 1 {
				t.Errorf("%s: %d pending, %d peers; want 0, 1", c.name, st.PendingIn, st.Peers)
			}
			_ = x
		})
	}
	want := outcomes["unknown"]
	for name, got := range outcomes {
		if got != want {
			t.Errorf("%s: %v, unknown: %v; want no difference", name, got, want)
		}
	}
}

// B12: while a forged connection that names X is held open, X is dialed and
// becomes a peer.
func TestB12ForgedConnectionDoesNotBlockDial(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.server(2, nil)
		a := w.server(1, nil)
		raw := a.dialFrom(w.net.Host(privateAddr(600)))
		raw.Write(w.recordedAuth(a, b.PrivateKey))
		w.pass(time.Second)
		a.AddPeer(b.node())
		w.eventually(time.Second, "a and b are peers", func() bool { return a.PeerCount() == 1 })
	})
}

// B14: our own record among the static nodes is not dialed, our own address under
// another key is tried and left alone, and a connection that proves our own key is
// told so.
func TestB14Self(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		s.AddPeer(s.node())
		s.AddPeer(enode.NewV4(testKey(9).Public(), s.host.Addr(), 30303, 0))
		x := &stranger{t: s, key: testKey(1), fd: s.dialFrom(w.net.Host(privateAddr(600)))}
		conn, err := rlpx.Initiate(x.fd, x.key, s.PrivateKey.Public(), nil)
		if err == nil {
			x.conn = conn
			payload, _ := x.hello().append(nil)
			x.send(codeHello, payload)
		}
		w.pass(30 * time.Minute)
		st := s.Stats()
		if st.Peers != 0 || s.Explain(newID(1)).Failures != 0 {
			t.Errorf("%d peers, %d dials to self; want none", st.Peers, s.Explain(newID(1)).Failures)
		}
		if st.Dials == 0 || st.Dials > 10 {
			t.Errorf("%d dials in half an hour to an address that is our own, want 1 to 10", st.Dials)
		}
		if got := s.Explain(newID(1)).Advice; got != "This is the node itself." {
			t.Errorf("Advice = %q", got)
		}
	})
}

// C3: a message that claims 16 MiB and comes at one byte a second costs no more
// memory than twice what came and 64 KiB, and ends the connection within 30 s.
func TestC3DripAfterHello(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		frame, err := x.conn.AppendMsg(nil, baseLength, incompressible(1<<24 - 1000)[:1<<24-900])
		if err != nil {
			frame, err = x.conn.AppendMsg(nil, baseLength, incompressible(13<<20))
			if err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		x.fd.Write(frame[:32])
		go func() {
			for i := 32; ; i++ {
				rest(time.Second) // virtual time
				if _, err := x.fd.Write(frame[i : i+1]); err != nil {
					return
				}
			}
		}()
		var most int64
		for s.PeerCount() == 1 && time.Since(began) < time.Minute {
			w.pass(100 * time.Millisecond)
			most = max(most, s.Stats().Buffered)
		}
		if d := time.Since(began); d > 30*time.Second {
			t.Errorf("ended after %v, want at most 30s", d)
		}
		x.fd.Close()
		w.pass(2 * time.Second) // the sender notices
		if most > 64<<10+200 {
			t.Errorf("%d bytes were held, want at most 64 KiB and a little", most)
		}
	})
}

// D1 to D8: what a Hello may hold.
func TestHelloOfStrangers(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		name   string
		change func(*helloItems)
		want   DiscReason // DiscInvalid: becomes a peer
		check  func(*testing.T, *Peer)
	}{
		{name: "plain", want: DiscInvalid},
		{name: "D1 2,049 bytes", change: func(h *helloItems) { h.Name = long[:maxHello-81] }, want: DiscNetworkError},
		{name: "D2 500 capabilities", change: func(h *helloItems) {
			for i := range 200 {
				h.Caps = append(h.Caps, capItem{Name: "c", Version: uint64(i % 100)})
			}
		}, want: DiscInvalid, check: func(t *testing.T, p *Peer) {
			if n := len(p.Caps()); n != maxCaps {
				t.Errorf("%d capabilities are kept, want %d", n, maxCaps)
			}
		}},
		{name: "D2 the same capability 100 times", change: func(h *helloItems) {
			for range 100 {
				h.Caps = append(h.Caps, capItem{Name: "idle", Version: 1})
			}
		}, want: DiscInvalid, check: func(t *testing.T, p *Peer) {
			if n := len(p.Caps()); n != 1 || p.run[0].offset != baseLength {
				t.Errorf("%d capabilities, offset %#x; want 1, %#x", n, p.run[0].offset, baseLength)
			}
		}},
		{name: "D2 versions up to 2^63", change: func(h *helloItems) {
			h.Caps = append(h.Caps, capItem{Name: "idle", Version: 1 << 63}, capItem{Name: "idle", Version: 2})
		}, want: DiscInvalid, check: func(t *testing.T, p *Peer) {
			if v, _ := p.Running("idle"); v != 1 {
				t.Errorf("idle/%d runs, want 1", v)
			}
		}},
		{name: "D3 bad capability names", change: func(h *helloItems) {
			for _, n := range []string{"", "ninechars", "a\nb", "\x1b[2J", "\xff", "é"} {
				h.Caps = append(h.Caps, capItem{Name: n, Version: 1})
			}
		}, want: DiscInvalid, check: func(t *testing.T, p *Peer) {
			if n := len(p.Caps()); n != 1 {
				t.Errorf("capabilities %v are kept, want idle/1 only", p.Caps())
			}
		}},
		{name: "D4 client name", change: func(h *helloItems) { h.Name = "a\n\x1b[2J\x00\u202e\xff" + long[:1500] }, want: DiscInvalid, check: func(t *testing.T, p *Peer) {
			if len(p.Name()) > maxName || strings.ContainsAny(p.Name(), "\n\x1b\x00\u202e") {
				t.Errorf("Name = %q", p.Name())
			}
			if b, err := json.Marshal(p.Info()); err != nil || !json.Valid(b) {
				t.Errorf("Info does not encode: %v", err)
			}
		}},
		{name: "D5 another key", change: func(h *helloItems) { k := testKey(3).Public(); h.Key = k[:] }, want: DiscUnexpectedIdentity},
		{name: "D5 63 bytes", change: func(h *helloItems) { h.Key = h.Key[:63] }, want: DiscInvalidIdentity},
		{name: "D5 65 bytes", change: func(h *helloItems) { h.Key = append([]byte{4}, h.Key...) }, want: DiscInvalidIdentity},
		{name: "D5 zero", change: func(h *helloItems) { h.Key = make([]byte, 64) }, want: DiscInvalidIdentity},
		{name: "D6 version 0", change: func(h *helloItems) { h.Version = 0 }, want: DiscInvalid, check: plainPeer},
		{name: "D6 version 3", change: func(h *helloItems) { h.Version = 3 }, want: DiscInvalid, check: plainPeer},
		{name: "D6 version 4", change: func(h *helloItems) { h.Version = 4 }, want: DiscInvalid, check: plainPeer},
		{name: "D6 version 9999", change: func(h *helloItems) { h.Version = 9999 }, want: DiscInvalid},
		{name: "D6 version 2^63", change: func(h *helloItems) { h.Version = 1 << 63 }, want: DiscInvalid},
		{name: "D7 port 2^63, more fields", change: func(h *helloItems) {
			h.ListenPort = rlp.AppendUint(nil, 1<<63)
			h.Rest = []rlp.Raw{{0xc0}, {0x01}, rlp.AppendString(nil, "later")}
		}, want: DiscInvalid},
		{name: "D7 port is a list", change: func(h *helloItems) { h.ListenPort = rlp.Raw{0xc1, 0x01} }, want: DiscInvalid},
		{name: "D8 nothing shared", change: func(h *helloItems) { h.Caps = []capItem{{Name: "eth", Version: 69}} }, want: DiscUselessPeer},
		{name: "D8 other version", change: func(h *helloItems) { h.Caps = []capItem{{Name: "idle", Version: 2}} }, want: DiscUselessPeer},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := w.server(1, nil)
				x := s.stranger(2)
				h := x.hello()
				items := helloItems{Version: h.Version, Name: h.Name, Caps: capItems(h.Caps), ListenPort: rlp.Raw{0x80}, Key: h.PublicKey[:]}
				if c.change != nil {
					c.change(&items)
				}
				payload, err := rlp.Encode(&items)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(c.name, "D1") && len(payload) != maxHello+1 {
					w.Fatalf("Hello has %d bytes, want one more than %d", len(payload), maxHello)
				}
				began := time.Now()
				x.send(codeHello, payload)
				if m, err := x.conn.ReadMsg(); err != nil || m.Code != codeHello {
					t.Fatalf("ReadMsg = %#x, %v; want their Hello", m.Code, err)
				}
				x.conn.SetLimits(rlpx.Limits{})
				x.conn.SetSnappy(items.Version >= snappyVersion)
				if c.want != DiscInvalid {
					x.wantReason(c.want)
					if d := time.Since(began); d > time.Second {
						t.Errorf("refused after %v, want at most 1s", d)
					}
					return
				}
				w.eventually(time.Second, "it is a peer", func() bool { return s.PeerCount() == 1 })
				p := s.Peers()[0]
				if c.check != nil {
					c.check(t, p)
				}
				// Whatever was in Hello, the two sides understand each other.
				x.send(codePing, emptyList[:])
				if m, err := x.conn.ReadMsg(); err != nil || m.Code != codePong {
					t.Errorf("ReadMsg = %#x, %v; want a pong", m.Code, err)
				}
			})
		})
	}
}

func plainPeer(t *testing.T, p *Peer) {
	if p.conn.Snappy() {
		t.Error("messages are compressed for a side below version 5")
	}
}

// C7: Hello itself is never compressed, and after it everything is.
func TestC7SnappyInItsPlace(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2)
		payload, _ := x.hello().append(nil)
		x.conn.SetSnappy(true)
		x.send(codeHello, payload)
		x.conn.SetSnappy(false)
		if m, err := x.conn.ReadMsg(); err != nil || m.Code != codeHello {
			t.Fatalf("ReadMsg = %#x, %v; want their Hello", m.Code, err)
		}
		x.wantReason(DiscProtocolError)

		y := s.stranger(3).join()
		y.conn.SetSnappy(false)
		y.send(baseLength, rlp.AppendString(nil, "plain"))
		y.conn.SetSnappy(true)
		y.wantReason(DiscProtocolError)
	})
}

// A context that ends takes a connection in SetupConn with it, and SetupConn
// tells how setup failed.
func TestSetupConn(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		b := w.server(2, nil)
		fd, err := s.host.DialContext(w.Context(), "tcp", b.host.AddrPort(30303).String())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetupConn(w.Context(), fd, b.node()); err != nil {
			t.Fatalf("SetupConn = %v", err)
		}
		if s.PeerCount() != 1 || s.Peers()[0].Inbound() {
			t.Error("no dialed peer after SetupConn")
		}
		x, y := simnet.Pipe(simnet.PipeOptions{})
		defer y.Close()
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := s.SetupConn(ctx, x, nil); err == nil || time.Since(began) != time.Second {
			t.Errorf("SetupConn = %v after %v, want an error after 1s", err, time.Since(began))
		}
		fd2, _ := s.host.DialContext(w.Context(), "tcp", b.host.AddrPort(30303).String())
		var setup *SetupError
		if err := s.SetupConn(w.Context(), fd2, b.node()); !errors.As(err, &setup) || !errors.Is(err, DiscAlreadyConnected) {
			t.Errorf("SetupConn to a peer = %v, want a SetupError with already connected", err)
		}
	})
}

// SetupConn works over a connection that buffers nothing, such as tests use.
func TestSetupConnOverNetPipe(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.server(1, nil), w.server(2, nil)
		x, y := net.Pipe()
		done := make(chan error)
		go func() { done <- a.SetupConn(w.Context(), x, b.node()) }()
		if err := b.SetupConn(w.Context(), y, nil); err != nil {
			t.Errorf("b: SetupConn = %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("a: SetupConn = %v", err)
		}
		if a.PeerCount() != 1 || b.PeerCount() != 1 {
			t.Errorf("%d and %d peers, want 1 and 1", a.PeerCount(), b.PeerCount())
		}
		w.pass(time.Minute)
		if a.PeerCount() != 1 {
			t.Error("the connection did not stay")
		}
	})
}

// Whoever is refused for want of a place is told so before it is asked what it
// speaks.
func TestAdmissionComesBeforeCapabilities(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.MaxPeers = -1 })
		x := s.stranger(2)
		h := x.hello()
		h.Caps = []Cap{{"other", 1}}
		x.exchange(h)
		x.wantReason(DiscTooManyPeers)
	})
}
