package simnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func endpoint(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// twoHosts returns hosts 192.0.2.1 and 192.0.2.2, the second of which listens on
// port 30303, joined by a link of 40 ms.
func twoHosts(t *testing.T, delay time.Duration) (n *simnet.Network, a, b *simnet.Host, l *simnet.Listener) {
	t.Helper()
	n = simnet.New(1)
	t.Cleanup(n.Close)
	n.SetDefaultLink(simnet.Link{Delay: delay})
	a, b = n.Host(addr("192.0.2.1")), n.Host(addr("192.0.2.2"), addr("2001:db8::2"))
	l, err := b.Listen(30303)
	if err != nil {
		t.Fatal(err)
	}
	return n, a, b, l
}

const listenAddr = "192.0.2.2:30303"

// connect dials listenAddr and accepts.
func connect(t *testing.T, from *simnet.Host, l *simnet.Listener) (dialed, accepted *simnet.Conn) {
	t.Helper()
	c, err := from.DialContext(t.Context(), "tcp", listenAddr)
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*simnet.Conn), d.(*simnet.Conn)
}

// A dial takes a round trip; the connection can be accepted half of one later,
// which is when the first bytes can be there too.
func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, _, l := twoHosts(t, 40*ms)
		passed := stopwatch()
		c, err := a.DialContext(t.Context(), "tcp", listenAddr)
		if err != nil || passed() != 80*ms {
			t.Fatalf("Dial = %v after %v; want success after 80ms", err, passed())
		}
		mustWrite(t, c, "hello")
		d, err := l.Accept()
		if err != nil || passed() != 120*ms {
			t.Fatalf("Accept = %v after %v; want success after 120ms", err, passed())
		}
		wantRead(t, d, "hello")
		if passed() != 120*ms {
			t.Errorf("the first bytes came after %v, want 120ms", passed())
		}
		if got := d.RemoteAddr().String(); got != "192.0.2.1:32768" || got != c.LocalAddr().String() {
			t.Errorf("RemoteAddr = %s, the dialer's LocalAddr %s; want 192.0.2.1:32768", got, c.LocalAddr())
		}
		if got := c.RemoteAddr().String(); got != listenAddr || got != d.LocalAddr().String() {
			t.Errorf("RemoteAddr = %s, the acceptor's LocalAddr %s; want %s", got, d.LocalAddr(), listenAddr)
		}
	})
}

// A dial that cannot succeed fails like one on a real network: at once, after a
// round trip, when the caller's patience ends, or after 127 s.
func TestDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := twoHosts(t, 40*ms)
		short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		dead, cancel := context.WithCancel(t.Context())
		cancel()
		hole := n.Host(addr("192.0.2.66"))
		n.BlackHole(hole)
		for _, test := range []struct {
			name, network, address string
			ctx                    context.Context
			err                    error
			after                  time.Duration
		}{
			{"refused", "tcp", "192.0.2.2:1", t.Context(), syscall.ECONNREFUSED, 80 * ms},
			{"no host", "tcp", "198.51.100.1:30303", t.Context(), syscall.ETIMEDOUT, 127 * time.Second},
			{"black hole", "tcp", "192.0.2.66:30303", short, context.DeadlineExceeded, 10 * time.Second},
			{"given up", "tcp", listenAddr, dead, context.Canceled, 0},
			{"no IPv6 here", "tcp", "[2001:db8::2]:30303", t.Context(), syscall.ENETUNREACH, 0},
			{"wrong family", "tcp6", listenAddr, t.Context(), &net.AddrError{}, 0},
			{"wrong network", "udp", listenAddr, t.Context(), net.UnknownNetworkError("udp"), 0},
			{"a name", "tcp", "localhost:30303", t.Context(), &net.AddrError{}, 0},
		} {
			if test.name == "black hole" {
				short, cancel = context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				test.ctx = short
			}
			passed := stopwatch()
			c, err := a.DialContext(test.ctx, test.network, test.address)
			var op *net.OpError
			var asAddr *net.AddrError
			if _, wantAddr := test.err.(*net.AddrError); c != nil || !errors.As(err, &op) || op.Op != "dial" ||
				!errors.Is(err, test.err) && !(wantAddr && errors.As(err, &asAddr)) || passed() != test.after {
				t.Errorf("%s: Dial = %v, %v after %v; want %v after %v", test.name, c, err, passed(), test.err, test.after)
			}
		}

		l.Close()
		if _, err := a.DialContext(t.Context(), "tcp", listenAddr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial of a closed listener = %v, want ECONNREFUSED", err)
		}
		if l, err := b.Listen(30303); err != nil {
			t.Errorf("Listen again = %v", err)
		} else {
			l.Close()
		}
	})
}

// The other side sees the source that DialFrom was given, whatever it is (A11).
func TestDialFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, _, l := twoHosts(t, 0)
		for _, source := range []string{"203.0.113.9:0", "[::ffff:203.0.113.9]:4000", "[fe80::1%eth0]:4000", "192.0.2.2:30303"} {
			c, err := a.DialFrom(t.Context(), endpoint(source), endpoint(listenAddr))
			if err != nil {
				t.Fatal(err)
			}
			d, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if got := d.RemoteAddr().(*net.TCPAddr).AddrPort(); got != endpoint(source) {
				t.Errorf("RemoteAddr = %v, want %s", got, source)
			}
			mustWrite(t, d, "back")
			wantRead(t, c, "back")
		}
	})
}

// A listener without address hears all addresses of its host, one with an
// address only that, and every host has a loopback of its own.
func TestListenAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		defer n.Close()
		h := n.Host(addr("192.0.2.1"), addr("10.0.0.1"), addr("2001:db8::1"))
		all, err := h.ListenContext(t.Context(), "tcp", ":30303")
		if err != nil || all.Addr().String() != "[::]:30303" {
			t.Fatalf("Listen = %v, %v", all, err)
		}
		for _, address := range []string{"192.0.2.1:30303", "10.0.0.1:30303", "[2001:db8::1]:30303", "127.0.0.1:30303", "[::1]:30303", "[::ffff:10.0.0.1]:30303"} {
			if _, err := h.DialContext(t.Context(), "tcp", address); err != nil {
				t.Errorf("Dial(%s) = %v", address, err)
			}
		}
		one, err := h.ListenContext(t.Context(), "tcp4", "10.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := one.Addr().(*net.TCPAddr).AddrPort().Port()
		if _, err := h.DialContext(t.Context(), "tcp", fmt.Sprint("10.0.0.1:", port)); err != nil {
			t.Errorf("Dial of the one address = %v", err)
		}
		if _, err := h.DialContext(t.Context(), "tcp", fmt.Sprint("192.0.2.1:", port)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial of another address = %v, want ECONNREFUSED", err)
		}
		for address, want := range map[string]error{
			":30303":          syscall.EADDRINUSE,
			"10.0.0.1:30303":  syscall.EADDRINUSE,
			"192.0.2.7:30303": syscall.EADDRNOTAVAIL,
		} {
			if _, err := h.ListenContext(t.Context(), "tcp", address); !errors.Is(err, want) {
				t.Errorf("Listen(%s) = %v, want %v", address, err, want)
			}
		}
	})
}

// Accept returns the errors that a test asks for, and then goes on (A9).
func TestFailAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, _, l := twoHosts(t, 0)
		time.AfterFunc(time.Second, func() { l.FailAccept(syscall.EMFILE, 2) })
		passed := stopwatch()
		for range 2 {
			_, err := l.Accept()
			var temporary interface{ Temporary() bool }
			if !errors.Is(err, syscall.EMFILE) || !errors.As(err, &temporary) || !temporary.Temporary() || passed() != time.Second {
				t.Fatalf("Accept = %v after %v; want a temporary EMFILE after 1s", err, passed())
			}
		}
		connect(t, a, l)

		l.FailAccept(syscall.EMFILE, -1)
		for range 10 {
			if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
				t.Fatalf("Accept = %v, want EMFILE", err)
			}
		}
		l.FailAccept(nil, 0)
		connect(t, a, l)
	})
}

// When all ephemeral ports are in use a dial fails at once; closing a connection
// frees its port (A10).
func TestEphemeralPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, _, l := twoHosts(t, 0)
		a.SetEphemeralPorts(50000, 50001)
		c, _ := connect(t, a, l)
		connect(t, a, l)
		if _, err := a.DialContext(t.Context(), "tcp", listenAddr); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Fatalf("third Dial = %v, want EADDRNOTAVAIL", err)
		}
		c.Close()
		if d, _ := connect(t, a, l); d.LocalAddr().String() != "192.0.2.1:50000" {
			t.Errorf("LocalAddr = %v, want the freed port 50000", d.LocalAddr())
		}
	})
}

// A partition holds what is under way and sent, and says nothing; after it all
// arrives. What had arrived can be read meanwhile.
func TestPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := twoHosts(t, 40*ms)
		c, d := connect(t, a, l)
		mustWrite(t, c, "before ")
		<-time.After(40 * ms)
		mustWrite(t, c, "under way ")
		n.Partition(b, a)
		mustWrite(t, c, "meanwhile")
		c.Close()
		wantRead(t, d, "before ")
		passed := stopwatch()
		time.AfterFunc(10*time.Minute, func() { n.Heal(a, b) })
		wantRead(t, d, "under way meanwhile")
		if _, err := read(d); err != io.EOF || passed() != 10*time.Minute+40*ms {
			t.Errorf("Read = %v after %v; want EOF after 10m0.04s", err, passed())
		}
	})
}

// An end or a reset that a partition holds back arrives after it; that of an end
// that has vanished never does.
func TestPartitionHoldsEnd(t *testing.T) {
	for _, test := range []struct {
		name  string
		end   func(*simnet.Conn)
		err   error
		after time.Duration
	}{
		{"Close", func(c *simnet.Conn) { c.Close() }, io.EOF, time.Minute + 40*ms},
		{"Reset", (*simnet.Conn).Reset, syscall.ECONNRESET, time.Minute + 40*ms},
		{"Vanish", func(c *simnet.Conn) { c.Vanish(); c.Close() }, os.ErrDeadlineExceeded, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, a, b, l := twoHosts(t, 40*ms)
				c, d := connect(t, a, l)
				test.end(c)
				n.Partition(a, b)
				passed := stopwatch()
				time.AfterFunc(time.Minute, func() { n.Heal(a, b) })
				d.SetDeadline(time.Now().Add(time.Hour))
				if _, err := read(d); !errors.Is(err, test.err) || passed() != test.after {
					t.Errorf("Read = %v after %v; want %v after %v", err, passed(), test.err, test.after)
				}
			})
		})
	}
}

// A dial during a partition succeeds with its next attempt after it: they come
// 1, 3, 7 … seconds after the first.
func TestDialAcrossPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _ := twoHosts(t, 40*ms)
		n.Partition(a, b)
		time.AfterFunc(4*time.Second, func() { n.Heal(a, b) })
		passed := stopwatch()
		if _, err := a.DialContext(t.Context(), "tcp", listenAddr); err != nil || passed() != 7*time.Second+80*ms {
			t.Errorf("Dial = %v after %v; want success after 7.08s", err, passed())
		}
	})
}

// A black hole swallows everything of a host until it is restored.
func TestBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := twoHosts(t, 40*ms)
		c, d := connect(t, a, l)
		n.BlackHole(b)
		mustWrite(t, c, "to b")
		mustWrite(t, d, "to a")
		n.Partition(a, b)
		passed := stopwatch()
		time.AfterFunc(time.Minute, func() { n.Restore(b) }) // not enough,
		time.AfterFunc(time.Hour, func() { n.Heal(a, b) })   // this too
		wantRead(t, d, "to b")
		wantRead(t, c, "to a")
		if passed() != time.Hour+40*ms {
			t.Errorf("bytes came after %v, want 1h0.04s", passed())
		}
	})
}

// A link applies to the pair it was set for, both ways, also to connections that
// are open; what is under way keeps its time.
func TestSetLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := twoHosts(t, 40*ms)
		other := n.Host(addr("192.0.2.3"))
		c, d := connect(t, a, l)
		e, f := connect(t, other, l)
		mustWrite(t, c, "old")
		n.SetLink(b, a, simnet.Link{Delay: time.Second})
		passed := stopwatch()
		wantRead(t, d, "old")
		if passed() != 40*ms {
			t.Errorf("bytes under way took %v, want 40ms", passed())
		}
		for _, test := range []struct {
			from, to *simnet.Conn
			delay    time.Duration
		}{{c, d, time.Second}, {d, c, time.Second}, {e, f, 40 * ms}} {
			passed := stopwatch()
			mustWrite(t, test.from, "x")
			wantRead(t, test.to, "x")
			if passed() != test.delay {
				t.Errorf("a byte took %v, want %v", passed(), test.delay)
			}
		}
	})
}

// Close frees every call that is blocked in the network and waits for it.
func TestNetworkClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, _, l := twoHosts(t, 40*ms)
		c, d := connect(t, a, l)
		c.SetWindow(0)
		var wg sync.WaitGroup
		ended := 0
		var mu sync.Mutex
		blocked := func(name string, call func() error) {
			wg.Go(func() {
				if err := call(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s = %v, want ErrClosed", name, err)
				}
				mu.Lock()
				ended++
				mu.Unlock()
			})
		}
		blocked("Accept", func() error { _, err := l.Accept(); return err })
		blocked("Read", func() error { _, err := read(c); return err })
		blocked("Write", func() error { return second(d.Write([]byte("x"))) })
		blocked("Dial", func() error { _, err := a.DialContext(t.Context(), "tcp", "203.0.113.1:1"); return err })
		synctest.Wait()
		n.Close()
		wg.Wait()
		if ended != 4 {
			t.Errorf("%d of 4 calls ended", ended)
		}
		if _, err := a.DialContext(t.Context(), "tcp", listenAddr); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Dial after Close = %v", err)
		}
		if _, err := a.Listen(1); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Listen after Close = %v", err)
		}
		if len(n.Conns()) != 0 {
			t.Errorf("%d connections are left", len(n.Conns()))
		}
	})
}

// Closing a listener resets the connections that nobody has accepted.
func TestListenerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, _, l := twoHosts(t, 40*ms)
		c, err := a.DialContext(t.Context(), "tcp", listenAddr)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		passed := stopwatch()
		if _, err := read(c); !errors.Is(err, syscall.ECONNRESET) || passed() != 40*ms {
			t.Errorf("Read = %v after %v; want ECONNRESET after 40ms", err, passed())
		}
		c.Close()
		if len(n.Conns()) != 0 {
			t.Error("the connection is still known")
		}
	})
}

// Hosts and the network list open connections in the order of their opening.
func TestConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := twoHosts(t, 0)
		c1, d1 := connect(t, a, l)
		c2, d2 := connect(t, a, l)
		same := func(what string, got []*simnet.Conn, want ...*simnet.Conn) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s = %p, want %p", what, got, want)
			}
		}
		same("the network's Conns", n.Conns(), c1, d1, c2, d2)
		same("the dialer's Conns", a.Conns(), c1, c2)
		same("the acceptor's Conns", b.Conns(), d1, d2)
		d1.Close()
		same("Conns, half closed", a.Conns(), c1, c2)
		c1.Close()
		same("Conns, one closed", a.Conns(), c2)
	})
}

// 4,000 connections of one listener exchange a message each way.
func TestManyConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conns = 4000
		n, a, _, l := twoHosts(t, 40*ms)
		var wg sync.WaitGroup
		wg.Go(func() {
			for range conns {
				c, err := l.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				wg.Go(func() {
					io.Copy(c, c)
					c.Close()
				})
			}
		})
		passed := stopwatch()
		for i := range conns {
			wg.Go(func() {
				c, err := a.DialContext(t.Context(), "tcp", listenAddr)
				if err != nil {
					t.Error(err)
					return
				}
				want := fmt.Sprint("message ", i)
				mustWrite(t, c, want)
				wantRead(t, c, want)
				c.Close()
			})
		}
		wg.Wait()
		// Round trip to connect, one for the echo, and the other side's end.
		if passed() != 200*ms {
			t.Errorf("it took %v, want 200ms", passed())
		}
		if len(n.Conns()) != 0 {
			t.Errorf("%d connections are left", len(n.Conns()))
		}
	})
}

// Connections that arrive at the same time are accepted in the order in which
// they were dialed.
func TestAcceptOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, _, l := twoHosts(t, 0)
		for range 3 {
			if _, err := a.DialContext(t.Context(), "tcp", listenAddr); err != nil {
				t.Fatal(err)
			}
		}
		for port := range 3 {
			c, err := l.Accept()
			if want := fmt.Sprint("192.0.2.1:", 32768+port); err != nil || c.RemoteAddr().String() != want {
				t.Errorf("Accept = %v, %v; want %s", c.RemoteAddr(), err, want)
			}
		}
	})
}

// A listener that accepts nothing has room for 4,096 connections; the next one is
// not answered until there is room again.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, _, l := twoHosts(t, 0)
		for range 4096 {
			if _, err := a.DialContext(t.Context(), "tcp", listenAddr); err != nil {
				t.Fatal(err)
			}
		}
		passed := stopwatch()
		time.AfterFunc(2*time.Second, func() { l.Accept() })
		if _, err := a.DialContext(t.Context(), "tcp", listenAddr); err != nil || passed() != 3*time.Second {
			t.Errorf("Dial = %v after %v; want success with the attempt after 3s", err, passed())
		}
	})
}
