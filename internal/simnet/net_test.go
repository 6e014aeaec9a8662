package simnet_test

import (
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
