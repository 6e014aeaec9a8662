package simnet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

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
		hole := n.Host(addr("192.0.2.66"))
		n.BlackHole(hole)
		for _, test := range []struct {
			name, network, address string
			patience               time.Duration
			err                    error
			after                  time.Duration
		}{
			{"refused", "tcp", "192.0.2.2:1", time.Hour, syscall.ECONNREFUSED, 80 * ms},
			{"no host", "tcp", "198.51.100.1:30303", time.Hour, syscall.ETIMEDOUT, 127 * time.Second},
			{"black hole", "tcp", "192.0.2.66:30303", 10 * time.Second, context.DeadlineExceeded, 10 * time.Second},
			{"under way", "tcp", listenAddr, 79 * ms, context.DeadlineExceeded, 79 * ms},
			{"no patience", "tcp", listenAddr, 0, context.DeadlineExceeded, 0},
			{"no IPv6 here", "tcp", "[2001:db8::2]:30303", time.Hour, syscall.ENETUNREACH, 0},
			{"wrong family", "tcp6", listenAddr, time.Hour, &net.AddrError{}, 0},
			{"wrong network", "udp", listenAddr, time.Hour, net.UnknownNetworkError("udp"), 0},
			{"a name", "tcp", "localhost:30303", time.Hour, &net.AddrError{}, 0},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), test.patience)
			defer cancel()
			passed := stopwatch()
			c, err := a.DialContext(ctx, test.network, test.address)
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
