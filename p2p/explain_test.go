package p2p

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// A story is a reason for which two nodes are not peers: it is acted out, and
// returns whom to ask and about whom.
type story struct {
	name string
	act  func(w *world) (*testServer, enode.ID)
	gate Gate
	err  error // what the last verdict wraps; nil if there is none
}

// dialing returns a server that has the nodes as static ones.
func (w *world) dialing(configure func(*Config), nodes ...*enode.Node) *testServer {
	s := w.server(1, configure)
	for _, n := range nodes {
		if err := s.AddPeer(n); err != nil {
			w.Fatal(err)
		}
	}
	w.pass(time.Second)
	return s
}

// runs is a configuration whose protocol does f.
func runs(f func(*Peer, MsgReadWriter) error) func(*Config) {
	return func(c *Config) { c.Protocols[0].Run = f }
}

var errGenesis = errors.New("eth: genesis mismatch: ours 0x41c2, theirs 0x9a1f")

var stories = []story{
	{"never heard of", func(w *world) (*testServer, enode.ID) { return w.server(1, nil), newID(99) }, "", nil},
	{"static, dialing is off", func(w *world) (*testServer, enode.ID) {
		return w.dialing(func(c *Config) { c.NoDial = true }, nodeAt(99, privateAddr(99))), newID(99)
	}, "", nil},
	{"ourselves", func(w *world) (*testServer, enode.ID) { return w.server(1, nil), newID(1) }, "", nil},
	{"closed port", func(w *world) (*testServer, enode.ID) {
		w.net.Host(privateAddr(2))
		return w.dialing(nil, nodeAt(2, privateAddr(2))), newID(2)
	}, GateDial, errAny},
	{"black hole", func(w *world) (*testServer, enode.ID) {
		w.net.BlackHole(w.net.Host(privateAddr(2)))
		s := w.dialing(nil, nodeAt(2, privateAddr(2)))
		w.pass(dialTimeout)
		return s, newID(2)
	}, GateDial, errAny},
	{"no endpoint", func(w *world) (*testServer, enode.ID) {
		return w.dialing(nil, enode.NewV4(testKey(2).Public(), netip.Addr{}, 0, 0)), newID(2)
	}, GateRecord, errAny},
	{"another key at the address", func(w *world) (*testServer, enode.ID) {
		b := w.server(2, nil)
		return w.dialing(nil, nodeAt(3, b.host.Addr())), newID(3)
	}, GateRLPx, errAny},
	{"our own address under another key", func(w *world) (*testServer, enode.ID) {
		s := w.server(1, nil)
		s.AddPeer(nodeAt(3, s.host.Addr()))
		w.pass(time.Second)
		return s, newID(3)
	}, GateRLPx, errAny},
	{"outside NetRestrict", func(w *world) (*testServer, enode.ID) {
		return w.dialing(func(c *Config) { c.NetRestrict = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")} }, nodeAt(2, privateAddr(2))), newID(2)
	}, GateNetRestrict, errAny},
	{"they are full", func(w *world) (*testServer, enode.ID) {
		b := w.server(2, func(c *Config) { c.MaxPeers = -1 })
		return w.dialing(nil, b.node()), newID(2)
	}, GateProtocol, DiscTooManyPeers}, // their Hello comes before their refusal
	{"we are full", func(w *world) (*testServer, enode.ID) {
		b := w.server(2, nil)
		return w.dialing(func(c *Config) { c.MaxPeers = -1 }, b.node()), newID(2)
	}, GateQuota, errAny},
	{"we are full, they came", func(w *world) (*testServer, enode.ID) {
		s := w.server(1, func(c *Config) { c.MaxPeers = -1 })
		x := s.stranger(2)
		x.exchange(x.hello())
		x.wantReason(DiscTooManyPeers)
		return s, newID(2)
	}, GateQuota, DiscTooManyPeers},
	{"nothing in common", func(w *world) (*testServer, enode.ID) {
		b := w.server(2, func(c *Config) { c.Protocols[0].Version = 2 })
		return w.dialing(nil, b.node()), newID(2)
	}, GateHello, DiscUselessPeer},
	{"our protocol failed", func(w *world) (*testServer, enode.ID) {
		b := w.server(2, nil)
		return w.dialing(runs(func(*Peer, MsgReadWriter) error { return errGenesis }), b.node()), newID(2)
	}, GateProtocol, errGenesis},
	{"their protocol failed", func(w *world) (*testServer, enode.ID) {
		b := w.server(2, runs(func(*Peer, MsgReadWriter) error { return errGenesis }))
		return w.dialing(nil, b.node()), newID(2)
	}, GateProtocol, DiscSubprotocolError},
	{"their protocol has no use for us", func(w *world) (*testServer, enode.ID) {
		b := w.server(2, runs(func(*Peer, MsgReadWriter) error { return DiscUselessPeer }))
		return w.dialing(nil, b.node()), newID(2)
	}, GateProtocol, DiscUselessPeer},
	{"removed by the operator", func(w *world) (*testServer, enode.ID) {
		b := w.server(2, nil)
		s := w.dialing(nil, b.node())
		s.RemovePeer(b.node())
		w.pass(time.Second)
		return s, newID(2)
	}, GateProtocol, errRemoved},
	{"connected", func(w *world) (*testServer, enode.ID) {
		b := w.server(2, nil)
		return w.dialing(nil, b.node()), newID(2)
	}, "", nil},
}

// errAny stands for whatever error.
var errAny = errors.New("any")

// Explain tells why a node is not a peer: by the gate that refused it and its
// error, and in a sentence what to do. The sentences are in testdata/advice.txt.
func TestExplain(t *testing.T) {
	var text strings.Builder
	text.WriteString("# What Explain advises, by what keeps two nodes apart. Made by: go test -run TestExplain -update\n")
	for _, c := range stories {
		inWorld(t, func(w *world) {
			s, id := c.act(w)
			synctest.Wait()
			e := s.Explain(id)
			fmt.Fprintf(&text, "%s: %s\n", c.name, e.Advice)
			if e.ID != id || e.Connected != (c.name == "connected") {
				t.Errorf("%s: Explain is about %v, connected %v", c.name, e.ID, e.Connected)
			}
			if c.err == nil {
				if len(e.Verdicts) != 0 {
					t.Errorf("%s: verdicts %+v, want none", c.name, e.Verdicts)
				}
				return
			}
			v := s.lastVerdict(id)
			if v.Gate != c.gate || c.err != errAny && !errors.Is(v.Err, c.err) {
				t.Errorf("%s: gate %q, error %v; want %q, %v", c.name, v.Gate, v.Err, c.gate, c.err)
			}
			if v.Count != 1 || v.Time.IsZero() || time.Since(v.Time) > 10*time.Second {
				t.Errorf("%s: the verdict was given %d times, at %v", c.name, v.Count, v.Time)
			}
		})
	}
	const golden = "testdata/advice.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("%s differs; now it would be:\n%s", golden, &text)
	}
}

// What a gate says several times in a row is one verdict with a count.
func TestExplainCountsRepeats(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.server(3, nil)
		s := w.dialing(nil, nodeAt(2, b.host.Addr()))
		w.pass(3 * time.Minute) // dialed at 0, 35 s, 105 s
		e := s.Explain(newID(2))
		if len(e.Verdicts) != 1 || e.Verdicts[0].Count != 3 || e.Failures != 3 || !e.Static {
			w.Fatalf("verdicts %+v, %d failures; want one verdict, 3 times", e.Verdicts, e.Failures)
		}
		if d := e.Verdicts[0].Time.Sub(e.Verdicts[0].First).Round(time.Second); d != 105*time.Second {
			t.Errorf("from the first to the last %v, want 105s", d)
		}
		if e.NextDial.Before(time.Now()) {
			t.Errorf("NextDial is %v ago", time.Since(e.NextDial))
		}
	})
}

// A static node is dialed again 35 s after a dial that failed, then after twice
// that each time, up to ten minutes.
func TestStaticNodeIsDialedLessAndLess(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.net.Host(privateAddr(2))
		l, err := host.Listen(30303)
		if err != nil {
			w.Fatal(err)
		}
		defer l.Close()
		calls := make(chan time.Time, 20)
		go func() {
			for {
				fd, err := l.Accept()
				if err != nil {
					return
				}
				calls <- time.Now()
				fd.Close()
			}
		}()
		w.dialing(nil, nodeAt(2, host.Addr()))
		w.pass(time.Hour)
		last := <-calls
		for i, seconds := range []int{35, 70, 140, 280, 560, 600, 600} {
			call, want := <-calls, time.Duration(seconds)*time.Second
			if d := call.Sub(last); d < want || d > want+100*time.Millisecond {
				t.Errorf("pause %d is %v, want %v and what a dial takes", i, d, want)
			}
			last = call
		}
	})
}

// A static peer that was connected for some time and went away is dialed again
// soon, but not within 35 s of the dial before.
func TestStaticPeerIsDialedAgain(t *testing.T) {
	for _, c := range []struct{ up, pause time.Duration }{
		{time.Minute, 2 * time.Second},
		{31 * time.Second, 4 * time.Second},
	} {
		inWorld(t, func(w *world) {
			b := w.server(2, nil)
			s := w.dialing(nil, b.node())
			w.pass(c.up - time.Second)
			p := b.Peers()[0]
			p.Disconnect(DiscRequested)
			began := time.Now()
			w.pass(100 * time.Millisecond)
			if s.PeerCount() != 0 {
				w.Fatal("still connected")
			}
			w.eventually(time.Minute, "they are peers again", func() bool { return s.PeerCount() == 1 })
			if d := time.Since(began); d < c.pause-50*time.Millisecond || d > c.pause+150*time.Millisecond {
				t.Errorf("up for %v, then connected again after %v, want %v", c.up, d, c.pause)
			}
		})
	}
}

// A trusted node is admitted above MaxPeers and takes no slot from others; who is
// not trusted is refused until a slot is free.
func TestTrustedAboveMaxPeers(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.MaxPeers, c.DialRatio, c.NoDial = 1, 1, true })
		first := s.stranger(2).join()
		x := s.stranger(3)
		x.exchange(x.hello())
		x.wantReason(DiscTooManyPeers)

		if err := s.AddTrustedPeer(nodeAt(4, privateAddr(4))); err != nil {
			w.Fatal(err)
		}
		s.stranger(4).join()
		if n := s.PeerCount(); n != 2 || !s.Explain(newID(4)).Trusted {
			t.Errorf("%d peers, want 2 with the trusted one", n)
		}
		first.fd.Close()
		w.pass(time.Second)
		s.strangerFrom(5, w.net.Host(privateAddr(5))).join() // the slot is free although the trusted one is there
		s.RemoveTrustedPeer(nodeAt(4, privateAddr(4)))
		if n := s.PeerCount(); n != 2 {
			t.Errorf("%d peers after the trust was taken away, want 2: the connection stays", n)
		}
		y := s.stranger(6)
		y.exchange(y.hello())
		y.wantReason(DiscTooManyPeers)
	})
}

// Two servers without a free slot become peers if each is static to one and
// trusted by both; trusted by one only, they do not.
func TestFullServersThatTrustEachOther(t *testing.T) {
	for _, both := range []bool{true, false} {
		inWorld(t, func(w *world) {
			full := func(c *Config) { c.MaxPeers, c.DialRatio = 2, 2 }
			a, b := w.server(1, full), w.server(2, full)
			for i, s := range []*testServer{a, b} {
				s.strangerFrom(10+i, w.net.Host(privateAddr(1100+i))).join()
				s.strangerFrom(20+i, w.net.Host(privateAddr(1200+i)))
				x := w.server(30+i, nil)
				s.AddPeer(x.node())
			}
			w.eventually(time.Minute, "both are full", func() bool { return a.PeerCount() == 2 && b.PeerCount() == 2 })
			a.AddTrustedPeer(b.node())
			if both {
				b.AddTrustedPeer(a.node())
			}
			a.AddPeer(b.node())
			w.pass(time.Second)
			if got := a.Explain(newID(2)).Connected; got != both {
				t.Errorf("trusted by both %v: connected %v", both, got)
			}
			if e := a.Explain(newID(2)); !both && !strings.Contains(e.Advice, "The other side is full") {
				t.Errorf("Advice = %q, want that the other side is full", e.Advice)
			}
		})
	}
}
