package rlpx

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/golang/snappy"
)

// widths are those that processors have a permutation for; without it they work
// as well, see keccak.Bank.
var widths = []int{1, 4, 8}

// A pair is a connection that takes part in broadcasts, a twin of it that does
// the same alone, and the other side.
type pair struct {
	conn, alone *Conn
	to          *Conn
	fd          *end
}

// newPair returns connections whose hash is at a fill level of its own: packets
// of the handshake differ in length.
func newPair(n int) pair {
	s := secrets{[32]byte{1, byte(n)}, [32]byte{2, byte(n >> 8)}}
	tr := &transcript{[32]byte{3}, [32]byte{4}, noise(300 + n), []byte("ack")}
	out := func() *lane {
		l, _, _ := newLanes(s, tr)
		return l
	}
	fd, victim := pipe()
	p := pair{conn: &Conn{out: out(), snappy: true}, alone: &Conn{out: out(), snappy: true}, to: newConn(victim, nil), fd: fd}
	p.to.in = out()
	p.to.SetLimits(Limits{})
	p.to.SetSnappy(true)
	return p
}

// Connections at any fill level, 1 to 9 of them, with payloads of all sizes and
// codes of all lengths, get the frames that they would seal alone, however many are
// sealed side by side. The other sides read them in
// order, among ordinary messages.
func TestSealer(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var pairs []pair
	for range 9 {
		pairs = append(pairs, newPair(rng.IntN(1000)))
	}
	var sealers []*Sealer
	for _, width := range widths {
		sealers = append(sealers, newSealer(width))
	}
	size := func(round int) int {
		switch {
		case round%50 == 0:
			return 100_000 + rng.IntN(200_000)
		case round%5 == 0:
			return rng.IntN(5000)
		}
		return 1 + rng.IntN(300)
	}
	code := func() uint64 { return rng.Uint64() >> rng.IntN(64) }
	for round := range 400 {
		payload := noise(300_000)[:size(round)]
		block, err := Compress(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		rng.Shuffle(len(pairs), func(i, k int) { pairs[i], pairs[k] = pairs[k], pairs[i] })
		some := pairs[:1+rng.IntN(len(pairs))]
		batch := make([]Sealing, len(some))
		for i, p := range some {
			batch[i] = Sealing{Conn: p.conn, Code: code()}
			if rng.IntN(2) == 0 {
				batch[i].Dst = append(make([]byte, 0, 8+SealedSize(len(block))), "kept"...)
			}
		}
		sealers[round%len(sealers)].AppendCompressed(batch, block)
		for i, p := range some {
			f := batch[i]
			want, err := p.alone.AppendCompressed(nil, f.Code, block)
			if err != nil || f.Err != nil {
				t.Fatal(err, f.Err)
			}
			frame, _ := bytes.CutPrefix(f.Dst, []byte("kept"))
			if !bytes.Equal(frame, want) {
				t.Fatalf("round %d, %d bytes to %d connections: frame %d differs", round, len(payload), len(some), i)
			}
			p.read(t, frame, f.Code, payload)
			if rng.IntN(3) == 0 {
				frame, _ = p.conn.AppendMsg(nil, 0x10, payload[:1])
				if want, _ := p.alone.AppendMsg(nil, 0x10, payload[:1]); !bytes.Equal(frame, want) {
					t.Fatalf("round %d: the message after frame %d differs", round, i)
				}
				p.read(t, frame, 0x10, payload[:1])
			}
		}
	}
}

// read has the other side read a frame.
func (p pair) read(t *testing.T, frame []byte, code uint64, payload []byte) {
	t.Helper()
	p.fd.Write(frame)
	m, err := p.to.ReadMsg()
	if err != nil || m.Code != code || !bytes.Equal(m.Payload, payload) {
		t.Fatalf("read code %#x, %d bytes, %v; want %#x, %d bytes", m.Code, len(m.Payload), err, code, len(payload))
	}
	m.Release()
}

// A connection that cannot take part does not keep the others from it, and lives
// on.
func TestSealerRefuses(t *testing.T) {
	block, err := Compress(nil, text(3000))
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range widths {
		sealer := newSealer(width)
		var pairs []pair
		var batch []Sealing
		for i := range 9 {
			p := newPair(i)
			p.conn.SetSnappy(i%3 != 0)
			pairs = append(pairs, p)
			batch = append(batch, Sealing{Conn: p.conn, Code: 0x10, Dst: []byte("kept")})
		}
		sealer.AppendCompressed(batch, block)
		for i, f := range batch {
			want := []byte("kept")
			if i%3 != 0 {
				want, _ = pairs[i].alone.AppendCompressed(want, 0x10, block)
			}
			if (f.Err == nil) != (i%3 != 0) || !bytes.Equal(f.Dst, want) {
				t.Errorf("width %d: connection %d: %d bytes, %v; want %d", width, i, len(f.Dst), f.Err, len(want))
			}
			batch[i].Dst = nil
			pairs[i].conn.SetSnappy(true)
		}

		// What inflates to too much, what is no block, and what is too large for
		// a frame, is refused for all.
		for name, c := range map[string]struct {
			block []byte
			want  error
		}{
			"16 MiB":      {snappy.Encode(nil, make([]byte, 1<<24)), ErrTooLarge},
			"no block":    {nil, ErrMalformed},
			"large frame": {snappy.Encode(nil, noise(1<<24-1)), ErrTooLarge},
		} {
			sealer.AppendCompressed(batch, c.block)
			for i, f := range batch {
				if !errors.Is(f.Err, c.want) || f.Dst != nil {
					t.Errorf("width %d: %s: connection %d: %d bytes, %v", width, name, i, len(f.Dst), f.Err)
				}
			}
		}
		sealer.AppendCompressed(batch, block)
		for i, f := range batch {
			want, _ := pairs[i].alone.AppendCompressed(nil, 0x10, block)
			if i%3 == 0 && (f.Err != nil || !bytes.Equal(f.Dst, want)) {
				t.Errorf("width %d: connection %d after what was refused: %d bytes, %v", width, i, len(f.Dst), f.Err)
			}
		}
	}
}

// Sealing for many connections allocates nothing.
func TestSealerAllocs(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates; counts are not asserted")
		return
	}
	for _, width := range widths {
		sealer := newSealer(width)
		block, _ := Compress(nil, text(20_000))
		batch := make([]Sealing, 9)
		for i := range batch {
			batch[i].Conn = newPair(i).conn
			batch[i].Dst = make([]byte, 0, SealedSize(len(block)))
		}
		if n := testing.AllocsPerRun(100, func() {
			for i := range batch {
				batch[i].Dst = batch[i].Dst[:0]
			}
			sealer.AppendCompressed(batch, block)
		}); n > 0 {
			t.Errorf("width %d: %v allocations", width, n)
		}
	}
}

// Two broadcasts at a time do not disturb each other.
func TestSealerConcurrent(t *testing.T) {
	sealer := newSealer(8)
	done := make(chan error, 2)
	for g := range cap(done) {
		go func() {
			var batch []Sealing
			var pairs []pair
			for i := range 6 {
				pairs = append(pairs, newPair(10*g+i))
				batch = append(batch, Sealing{Conn: pairs[i].conn, Code: uint64(g)})
			}
			for size := range 200 {
				block := snappy.Encode(nil, text(size))
				sealer.AppendCompressed(batch, block)
				for i, f := range batch {
					if want, _ := pairs[i].alone.AppendCompressed(nil, f.Code, block); !bytes.Equal(f.Dst, want) {
						done <- fmt.Errorf("broadcast %d: %d bytes: frame %d differs", g, size, i)
						return
					}
					batch[i].Dst = f.Dst[:0]
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// FuzzSealer seals any payload for connections with any codes and fill levels.
func FuzzSealer(f *testing.F) {
	f.Add([]byte("payload"), uint64(0x10), uint16(0), uint8(4))
	f.Add(noise(1000), uint64(1<<40), uint16(77), uint8(9))
	f.Fuzz(func(t *testing.T, payload []byte, code uint64, fill uint16, n uint8) {
		block, err := Compress(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		var batch []Sealing
		var pairs []pair
		for i := range int(n%10) + 1 {
			pairs = append(pairs, newPair(int(fill%500)+i*int(n)))
			batch = append(batch, Sealing{Conn: pairs[i].conn, Code: code >> (7 * i)})
		}
		newSealer(4+4*int(n%2)).AppendCompressed(batch, block)
		for i, f := range batch {
			want, err := pairs[i].alone.AppendCompressed(nil, f.Code, block)
			if err != nil || f.Err != nil || !bytes.Equal(f.Dst, want) {
				t.Errorf("frame %d of %d differs: %v, %v", i, len(batch), f.Err, err)
			}
		}
	})
}

// One payload for 100 connections; the figure is for one frame.
func BenchmarkSealer(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 128 << 10} {
		for _, n := range []int{1, 2, 4, 8, 100} {
			for _, width := range widths {
				if n == 1 && width > 1 {
					continue
				}
				b.Run(fmt.Sprintf("%d/%d/width=%d", size, n, width), func(b *testing.B) {
					sealer := newSealer(width)
					block, _ := Compress(nil, text(size))
					batch := make([]Sealing, n)
					for i := range batch {
						batch[i] = Sealing{Conn: newPair(i).conn, Code: 0x10, Dst: make([]byte, 0, SealedSize(len(block)))}
					}
					b.ReportAllocs()
					for b.Loop() {
						for i := range batch {
							batch[i].Dst = batch[i].Dst[:0]
						}
						sealer.AppendCompressed(batch, block)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/frame")
				})
			}
		}
	}
}
