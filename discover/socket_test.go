package discover

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/simnet"
)

// G11: whatever error a read returns, once or a thousand times, the reader goes on,
// says so at most once a second, and does not spin on an error that stays.
func TestG11ReadErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		times int
		deaf  time.Duration // at most
		logs  int
	}{
		{"one", syscall.ENOBUFS, 1, 0, 1},
		{"ENOBUFS", syscall.ENOBUFS, 1000, 5 * time.Second, 5},
		{"ECONNREFUSED", syscall.ECONNREFUSED, 1000, 0, 1},
		{"WSAEMSGSIZE", syscall.Errno(10040), 1000, 0, 1},
		{"unknown", errors.New("what nobody has seen yet"), 1000, 5 * time.Second, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: time.Millisecond}, func(w *world) {
				var log bytes.Buffer
				a := w.add(func(c *Config) {
					both(c)
					c.Logger = slog.New(slog.NewTextHandler(&log, nil))
				})
				b := w.add(both)
				if _, err := b.Ping(context.Background(), a.node); err != nil {
					t.Fatal(err)
				}
				a.conn.FailRead(c.err, c.times)
				w.wait(c.deaf)
				if _, err := b.Ping(context.Background(), a.node); err != nil {
					t.Errorf("Ping after the errors: %v", err)
				}
				if got := a.Stats().ReadErrors; got != uint64(c.times) {
					t.Errorf("%d read errors counted, want %d", got, c.times)
				}
				a.Close()
				if got := strings.Count(log.String(), "Cannot read packets"); got < 1 || got > c.logs {
					t.Errorf("%d lines of log, want 1 to %d:\n%s", got, c.logs, &log)
				}
			})
		})
	}
	t.Run("stays", func(t *testing.T) {
		inWorld(t, simnet.Link{}, func(w *world) {
			a := w.add(both)
			before := a.conn.Stats().Reads
			a.conn.FailRead(syscall.ENOMEM, -1)
			w.wait(10 * time.Second)
			if got := a.conn.Stats().Reads - before; got > 2100 {
				t.Errorf("%d reads in 10 s of nothing but errors, want at most 2100", got)
			}
			a.conn.FailRead(nil, 0)
			b := w.add(both)
			if _, err := b.Ping(context.Background(), a.node); err != nil {
				t.Errorf("Ping after the errors: %v", err)
			}
		})
	})
}

// The same service works on a net.PacketConn that has nothing but the methods of
// one.
func TestAnyPacketConn(t *testing.T) {
	inWorld(t, simnet.Link{Delay: time.Millisecond}, func(w *world) {
		a := w.add(func(c *Config) {
			both(c)
			c.Conn = struct{ net.PacketConn }{c.Conn}
		})
		b := w.add(both)
		if p, err := b.Ping(context.Background(), a.node); err != nil || p.RTT != 2*time.Millisecond {
			t.Errorf("Ping = %v, %v; want 2ms", p, err)
		}
		if p, err := a.Ping(context.Background(), b.node); err != nil || p.RTT != 2*time.Millisecond {
			t.Errorf("Ping = %v, %v; want 2ms", p, err)
		}
	})
}

// listen starts a service on a real socket.
func listen(t *testing.T, i int, change func(*Config)) *Service {
	t.Helper()
	cfg := Config{PrivateKey: testKey(t, i), V4: true, V5: true, Addr: "127.0.0.1:0"}
	change(&cfg)
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// self returns the node of a service as others may know it.
func self(t *testing.T, i int, s *Service) *enode.Node {
	return enode.NewV4(testKey(t, i).Public(), netip.MustParseAddr("127.0.0.1"), 0, s.Addr().Port())
}

// Two services on sockets of the system find each other, by either protocol, on a
// socket of one family or of both, and with a burst of packets in each direction.
func TestRealSocket(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", ":0"} {
		for _, kind := range kinds {
			t.Run(kind.name+" "+addr, func(t *testing.T) {
				set := func(c *Config) {
					c.V4, c.V5, c.Addr = false, false, addr
					kind.set(c)
				}
				a := listen(t, 1, set)
				node := self(t, 1, a)
				b := listen(t, 2, func(c *Config) {
					set(c)
					c.Bootnodes = []*enode.Node{node}
				})
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				if p, err := b.Ping(ctx, node); err != nil || p.RTT <= 0 {
					t.Errorf("Ping = %v, %v", p, err)
				}
				if n, err := b.RequestENR(ctx, node); err != nil || n.ID() != node.ID() || n.Record() == nil {
					t.Errorf("RequestENR = %v, %v", n, err)
				}
				for n := range b.Nodes(ctx) {
					if n.ID() != node.ID() {
						t.Errorf("found %v, want %v", n, node)
					}
					break
				}
				results := make(chan error)
				const burst = 12
				for range burst {
					go func() {
						_, err := b.Ping(ctx, node)
						results <- err
					}()
				}
				for range burst {
					if err := <-results; err != nil {
						t.Errorf("one of %d pings at once: %v", burst, err)
					}
				}
				if st := a.Stats(); st.WriteErrors+st.ReadErrors != 0 {
					t.Errorf("%d write errors, %d read errors", st.WriteErrors, st.ReadErrors)
				}
			})
		}
	}
}

// A batch goes out through one system call and comes in through few reads, whole, in
// order and from where it was sent; a packet that cannot be sent takes none with
// it.
func TestBatch(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", ":0"} {
		t.Run(addr, func(t *testing.T) {
			open := func() (*socket, netip.AddrPort) {
				conn, err := net.ListenPacket("udp", addr)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				return newSocket(conn), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), localAddr(conn).Port())
			}
			a, from := open()
			b, to := open()
			const packets = 2*batchSize + 3
			var out []outgoing
			for i := range packets {
				out = append(out, outgoing{to, bytes.Repeat([]byte{byte(i)}, 100+i)})
				if i == 4 {
					out = append(out, outgoing{to, make([]byte, 70_000)}) // larger than any datagram
				}
			}
			lost := 0
			a.write(out, func(at netip.AddrPort, err error) {
				if lost++; at != to || err == nil {
					t.Errorf("write lost a packet to %v, %v; want %v and the reason", at, err, to)
				}
			})
			if lost != 1 {
				t.Errorf("write lost %d packets, want 1", lost)
			}
			reads := 0
			for next := 0; next < packets; reads++ {
				got, err := b.read()
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range got {
					if p.from != from || !bytes.Equal(p.data, bytes.Repeat([]byte{byte(next)}, 100+next)) {
						t.Fatalf("packet %d is %d bytes of %x from %v, want %d from %v", next, len(p.data), p.data[0], p.from, 100+next, from)
					}
					next++
				}
			}
			if runtime.GOOS == "linux" && reads == packets {
				t.Errorf("%d reads for %d packets", reads, packets)
			}
		})
	}
}

// D8: a service is two goroutines, whatever it speaks, and three with two sockets.
func TestD8Goroutines(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   int
	}{
		{"both", func(*Config) {}, 2},
		{"v5", func(c *Config) { c.V4 = false }, 2},
		{"two sockets", func(c *Config) {
			var err error
			c.Addr = ""
			if c.Conn, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			if c.Conn6, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil { // whatever it is bound to
				t.Fatal(err)
			}
		}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := listen(t, 1, c.change)
			got := goroutines()
			for end := time.Now().Add(5 * time.Second); got < c.want && time.Now().Before(end); got = goroutines() {
				runtime.Gosched() // one that has not run yet is not seen
			}
			if got != c.want {
				t.Errorf("%d goroutines, want %d", got, c.want)
			}
			s.Close()
			if got = goroutines(); got != 0 {
				t.Errorf("%d goroutines after Close", got)
			}
		})
	}
}

// goroutines returns how many goroutines Services have.
func goroutines() (n int) {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	for stack := range strings.SplitSeq(string(b), "\n\n") {
		if strings.Contains(stack, "created by sync.(*WaitGroup).Go") && strings.Contains(stack, "discover.(*Service)") {
			n++
		}
	}
	return n
}
