package p2p

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/peerset"
)

// An exhausted listener has no file descriptor for anybody until a given time.
type exhausted struct {
	net.Listener
	until time.Time
	calls atomic.Int64
}

func (l *exhausted) Accept() (net.Conn, error) {
	l.calls.Add(1)
	if time.Now().Before(l.until) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// lines counts what is logged at level Info and above.
type lines struct {
	slog.Handler
	mu   sync.Mutex
	text []string
}

func (h *lines) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h *lines) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *lines) WithGroup(string) slog.Handler                { return h }
func (h *lines) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = append(h.text, r.Message)
	return nil
}

// A9 without processes: while the system has no file descriptors, Accept is asked
// at most once a second after a short while, there is at most a line of log a
// second, and at most a second after the end somebody is let in.
func TestA9AcceptErrors(t *testing.T) {
	inWorld(t, func(w *world) {
		log := new(lines)
		var l *exhausted
		began := time.Now()
		s := w.server(1, func(c *Config) {
			l = &exhausted{Listener: c.Listener, until: began.Add(10 * time.Second)}
			c.Listener, c.Logger = l, slog.New(log)
		})
		w.pass(10*time.Second - time.Millisecond)
		// 5, 10, 20 … 640 ms are 1.275 s, then one a second.
		if n := l.calls.Load(); n != 17 {
			t.Errorf("Accept was called %d times in 10 s, want 17", n)
		}
		if n := len(log.text); n < 1 || n > 10 {
			t.Errorf("%d lines of log in 10 s, want 1 to 10: %q", n, log.text)
		}
		x := s.stranger(2)
		x.join()
		if d := time.Since(began) - 10*time.Second; d > time.Second+100*time.Millisecond {
			t.Errorf("somebody was let in %v after the end, want at most 1s and a handshake", d)
		}
	})
}

// When all slots for handshakes are taken, the oldest connection that has sent
// nothing gives way; one that has sent something does not.
func TestSilentConnectionGivesWay(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.MaxPendingPeers = 3 })
		open := func(n int) (closed func() bool, fd net.Conn) {
			fd = s.dialFrom(w.net.Host(privateAddr(500 + n)))
			var gone atomic.Bool
			go func() { fd.Read(make([]byte, 1)); gone.Store(true) }()
			return gone.Load, fd
		}
		spoke, fd := open(0)
		fd.Write([]byte{1})
		w.pass(20 * time.Millisecond)
		older, _ := open(1)
		newer, _ := open(2)
		w.pass(20 * time.Millisecond)
		want := func(what string, spokeGone, olderGone, newerGone bool) {
			t.Helper()
			w.pass(40 * time.Millisecond)
			if spoke() != spokeGone || older() != olderGone || newer() != newerGone {
				t.Errorf("%s: closed are spoke %v, older %v, newer %v; want %v, %v, %v", what, spoke(), older(), newer(), spokeGone, olderGone, newerGone)
			}
			if n := s.Stats().PendingIn; n != 3 {
				t.Errorf("%s: %d handshakes in flight, want 3", what, n)
			}
		}
		want("three", false, false, false)
		_, fd = open(3)
		fd.Write([]byte{1})
		want("a fourth", false, true, false)
		_, fd = open(4)
		fd.Write([]byte{1})
		want("a fifth", false, true, true)
		last, _ := open(5)
		want("a sixth, all have spoken", false, true, true)
		if !last() || s.Stats().Refused[GateQuota] != 1 {
			t.Errorf("the sixth is closed %v, %d refused by quota; want true, 1", last(), s.Stats().Refused[GateQuota])
		}
	})
}

// More than 50 handshakes at once wait for their turn, 200 a second.
func TestHandshakesArePaced(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.MaxPendingPeers = 200 })
		host := w.net.Host(privateAddr(500))
		bad := append([]byte{0, 113}, make([]byte, 113)...)
		took := make(chan time.Duration, 150)
		for range 150 {
			go func() { took <- s.offer(host, bad).after }()
		}
		atOnce := 0
		var longest time.Duration
		for range 150 {
			d := <-took
			if d == hangs {
				atOnce++
			}
			longest = max(longest, d)
		}
		if atOnce != 50 || longest != hangs+500*time.Millisecond {
			t.Errorf("%d of 150 were looked at at once, the last %v later; want 50, 500ms", atOnce, longest-hangs)
		}
	})
}

// Candidates of a protocol's source are dialed while slots are free and not asked
// for otherwise; those that its filter or NetRestrict refuses are not dialed, and
// Explain says why.
func TestDialCandidates(t *testing.T) {
	inWorld(t, func(w *world) {
		var nodes []*enode.Node
		for n := 10; n < 16; n++ {
			nodes = append(nodes, w.server(n, nil).node())
		}
		outside := nodeAt(30, netip.MustParseAddr("192.168.1.1"))
		filtered := nodes[0]
		var pulled atomic.Int64
		s := w.server(1, func(c *Config) {
			c.MaxPeers, c.DialRatio = 6, 2 // three dialed
			c.NetRestrict = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			c.Protocols[0].DialCandidates = func(context.Context) iter.Seq[*enode.Node] {
				return func(yield func(*enode.Node) bool) {
					for _, n := range append([]*enode.Node{nil, filtered, outside}, nodes...) {
						pulled.Add(1)
						if !yield(n) {
							return
						}
					}
				}
			}
			c.Protocols[0].Filter = func(n *enode.Node) error {
				if n.ID() == filtered.ID() {
					return errGenesis
				}
				return nil
			}
		})
		w.eventually(5*time.Second, "three peers are dialed", func() bool { return s.PeerCount() == 3 })
		before := pulled.Load()
		w.pass(time.Minute)
		if st := s.Stats(); st.Dialed != 3 || pulled.Load() != before || st.DialsOK != 3 {
			t.Errorf("%d dialed peers of %d dials, %d nodes pulled after that; want 3, 3, none", st.Dialed, st.DialsOK, pulled.Load()-before)
		}
		if v := s.lastVerdict(filtered.ID()); v.Gate != GateRecord || !strings.Contains(v.Err.Error(), "idle/1: "+errGenesis.Error()) {
			t.Errorf("verdict on the filtered node: %q %v", v.Gate, v.Err)
		}
		if v := s.lastVerdict(outside.ID()); v.Gate != GateNetRestrict {
			t.Errorf("verdict on the node outside: %q %v", v.Gate, v.Err)
		}
		for _, p := range s.Peers() {
			if p.ID() == filtered.ID() {
				t.Error("the filtered node is a peer")
			}
		}
	})
}

// At most MaxPendingPeers dials are in flight, and each ends after ten seconds.
func TestDialsInFlight(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			c.MaxPendingPeers = 4
			for i := range 8 {
				black := w.net.Host(privateAddr(500 + i))
				w.net.BlackHole(black)
				c.StaticNodes = append(c.StaticNodes, nodeAt(500+i, black.Addr()))
			}
		})
		w.pass(dialTimeout - time.Millisecond)
		if st := s.Stats(); st.PendingOut != 4 || st.Dials != 4 {
			t.Errorf("%d dials in flight of %d, want 4 of 4", st.PendingOut, st.Dials)
		}
		w.pass(2 * time.Millisecond)
		if st := s.Stats(); st.PendingOut != 4 || st.Dials != 8 {
			t.Errorf("after %v %d dials in flight of %d, want 4 of 8", dialTimeout, st.PendingOut, st.Dials)
		}
	})
}

// An address that a host name leads to is held against NetRestrict like any other.
func TestHostNameOutsideNetRestrict(t *testing.T) {
	s := &Server{Config: Config{
		PrivateKey: testKey(1), NoDial: true, Logger: slog.New(slog.DiscardHandler),
		NetRestrict: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
	}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	n, err := enode.Parse(strings.Replace(nodeAt(2, privateAddr(2)).URL(), privateAddr(2).String(), "localhost", 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.open(n); !errors.Is(err, peerset.ErrRestricted) {
		t.Errorf("open = %v, want ErrRestricted", err)
	}
}

// A server without a free slot dials no static node, unless it trusts it.
func TestFullServerDoesNotDial(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.server(2, nil)
		s := w.dialing(func(c *Config) { c.MaxPeers = -1 }, b.node())
		w.pass(time.Minute)
		if n := s.Stats().Dials; n != 0 {
			t.Errorf("%d dials, want none", n)
		}
		s.AddTrustedPeer(b.node())
		w.pass(time.Second)
		if n := s.Stats().Dials; n != 1 || s.PeerCount() != 1 {
			t.Errorf("%d dials, %d peers once it is trusted; want 1, 1", n, s.PeerCount())
		}
	})
}
