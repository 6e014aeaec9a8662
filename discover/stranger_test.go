package discover

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/discv5"
	"parley/internal/simnet"
)

// A stranger's socket sends bytes to a service, and counts what comes back.
type stranger struct {
	w    *world
	conn *simnet.PacketConn
	at   netip.AddrPort
	in   int // bytes received
	n    int // packets received
}

func (w *world) stranger(i int) *stranger {
	m, conn, _ := w.machine(i)
	w.t.Cleanup(func() { conn.Close() })
	return &stranger{w: w, conn: conn, at: m.AddrPort(30303)}
}

func (s *stranger) send(to *host, data []byte) {
	s.w.t.Helper()
	if _, err := s.conn.WriteToUDPAddrPort(data, to.machine.AddrPort(30303)); err != nil {
		s.w.t.Fatal(err)
	}
}

// drain reads what has come.
func (s *stranger) drain() {
	synctest.Wait()
	var b [2048]byte
	for {
		s.conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
		n, _, err := s.conn.ReadFromUDPAddrPort(b[:])
		if err != nil {
			return
		}
		s.in, s.n = s.in+n, s.n+1
	}
}

// What is no packet of either protocol goes into the socket and nothing comes out,
// each refused for its reason; the service lives.
func TestJunk(t *testing.T) {
	valid := v4Ping(t, 50, netip.MustParseAddrPort("60.0.0.7:30303"), time.Now().Add(time.Hour*24*365*100))
	flip := func(i int) []byte {
		b := bytes.Clone(valid)
		b[i] ^= 1
		return b
	}
	for _, c := range []struct {
		id     string
		data   []byte
		reason string
	}{
		{"F2-hash", flip(0), "hash"},
		{"F2-content", flip(len(valid) - 1), "hash"},
		{"F3-0", nil, "short"},
		{"F3-97", make([]byte, 97), "short"},
		{"F3-98", make([]byte, 98), "short"},
		{"F3-99", make([]byte, 99), "hash"},
		{"F3-1280", make([]byte, 1280), "hash"},
		{"F3-1281", make([]byte, 1281), "long"},
		{"F3-65507", make([]byte, 65507), "long"},
		{"G1-62", make([]byte, 62), "short"},
		{"G1-63", make([]byte, 63), "short"},
		{"F3-valid-and-more", append(bytes.Clone(valid), make([]byte, 1281-len(valid))...), "long"},
	} {
		t.Run(c.id, func(t *testing.T) {
			inWorld(t, simnet.Link{}, func(w *world) {
				a := w.add(both)
				s := w.stranger(98)
				s.send(a, c.data)
				s.drain()
				if s.n != 0 {
					t.Errorf("%d packets came back", s.n)
				}
				total, matching := uint64(0), uint64(0)
				for reason, n := range a.Stats().V4.Dropped {
					total += n
					if strings.Contains(reason, c.reason) {
						matching += n
					}
				}
				if total != 1 || matching != 1 {
					t.Errorf("dropped %v, want one for %q", a.Stats().V4.Dropped, c.reason)
				}
			})
		})
	}
}

// F6, F7, G2: what strangers send a thousand times is answered with no more bytes
// than they sent, or in v4 with one PONG and few PINGs. Nobody's word for it gets
// into the news that a database would be told.
func TestFloods(t *testing.T) {
	const times = 1000
	for _, c := range []struct {
		id   string
		next func(w *world, i int) []byte
		most int // packets that come back, in 10 s
	}{
		// The PONG, and the PING in return for it with none for 2 s after.
		{"F6-replay", func() func(*world, int) []byte {
			var data []byte
			return func(w *world, i int) []byte {
				if i == 0 {
					data = v4Ping(t, 98, w.list[0].machine.AddrPort(30303), time.Now().Add(20*time.Second))
				}
				return data
			}
		}(), 2},
		// One source: 40 at once, then 10 a second.
		{"F7-one-source", func(w *world, i int) []byte {
			return v4Ping(t, 98, w.list[0].machine.AddrPort(30303), time.Now().Add(time.Duration(i+1)*time.Second/10))
		}, 45},
		{"G2-same-source", func() func(*world, int) []byte {
			var data []byte
			return func(w *world, i int) []byte {
				if i == 0 {
					data = v5Random(t, w, 98)
				}
				return data
			}
		}(), times},
	} {
		t.Run(c.id, func(t *testing.T) {
			inWorld(t, simnet.Link{}, func(w *world) {
				a := w.add(both)
				s := w.stranger(98)
				sent := 0
				for i := range times {
					data := c.next(w, i)
					sent += len(data)
					s.send(a, data)
				}
				for range 10 {
					s.drain()
					w.wait(time.Second)
				}
				if s.in > sent || s.n > c.most || s.n == 0 {
					t.Errorf("%d packets of %d bytes in all came back for %d bytes, want 1 to %d packets", s.n, s.in, sent, c.most)
				}
				if news := a.Take(); len(news.Proven)+len(news.Votes) != 0 {
					t.Errorf("a stranger made news: %v", news)
				}
			})
		})
	}
}

// v5Random returns a packet of discovery v5 that the first service cannot
// decrypt, from the node with key i.
func v5Random(t *testing.T, w *world, i int) []byte {
	t.Helper()
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{60, 0, byte(i), 7}), 30303)
	e, err := discv5.New(discv5.Config{Key: testKey(t, i), Self: w.record(i, 1, at), Rand: rand.New(rand.NewPCG(1, 2))})
	if err != nil {
		t.Fatal(err)
	}
	e.Ping(time.Now(), w.list[0].node)
	return bytes.Clone(e.Take().Packets[0].Data)
}
