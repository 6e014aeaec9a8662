package p2p

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"parley/internal/simnet"
	"parley/rlp"
	"parley/rlpx"
)

// disconnectFrame is the length of a Disconnect on the wire.
const disconnectFrame = 32 + 16 + 16

// breach sends raw over a connection of a peer and checks that it ends it at once
// with nothing but a Disconnect for a breach of protocol.
func (f *forgery) breach(name string, raw []byte, events func() []Event) {
	f.s.w.Helper()
	f.s.w.pass(0)
	f.fd.SetReadDeadline(time.Now().Add(time.Nanosecond)) // what came before
	io.Copy(io.Discard, f.fd)
	peers := f.s.PeerCount()
	began := time.Now()
	f.fd.Write(raw)
	got, want := untilClosed(f.fd, began), (outcome{disconnectFrame, hangs})
	if got != want {
		f.s.w.Errorf("%s: %d bytes answered, closed after %v; want %d and %v", name, got.answered, got.after, want.answered, want.after)
	}
	f.fd.Close()
	all := events()
	if last := all[len(all)-1]; last.Type != EventDrop || last.Reason != DiscProtocolError || last.ByRemote {
		f.s.w.Errorf("%s: last event %+v, want a drop of ours for a breach of protocol", name, last)
	}
	if n := f.s.PeerCount(); n != peers-1 {
		f.s.w.Errorf("%s: %d peers, want %d", name, n, peers-1)
	}
	if held := f.s.Stats().Buffered; held != 0 {
		f.s.w.Errorf("%s: %d bytes are held afterwards, want none", name, held)
	}
}

// flip changes one bit of a copy.
func flip(b []byte, bit int) []byte {
	b = slices.Clone(b)
	b[bit/8] ^= 1 << (bit % 8)
	return b
}

// C1: one wrong bit, in header, header MAC, body or body MAC, closes the
// connection. Of the first frame nothing is used, so there is no verdict on the
// key that was named and no Disconnect; of a later one no message reaches the
// protocol.
func TestC1WrongBit(t *testing.T) {
	inWorld(t, func(w *world) {
		got := make(chan string, 1)
		s := w.server(1, func(c *Config) { c.Protocols = []Protocol{noting(got)} })
		events := s.collect()
		hello := helloBody(200, 5)
		size := 32 + len(hello) + -len(hello)&15 + 16
		for i, bit := range []int{0, 2 * 8, 15*8 + 7, 16 * 8, 31*8 + 7, 32 * 8, 8 * (32 + len(hello)), 8 * (size - 17), 8 * (size - 16), 8*size - 1} {
			n := 200 + 2*i
			f := s.forge(n, nil)
			frame := f.sound(helloBody(n, 5))
			sent := s.Stats().BytesOut
			began := time.Now()
			f.fd.Write(flip(frame, bit))
			if o := untilClosed(f.fd, began); o.after != hangs {
				t.Errorf("bit %d of the first frame: closed after %v, want %v", bit, o.after, hangs)
			}
			f.fd.Close()
			w.pass(0)
			if more := s.Stats().BytesOut - sent; more != 0 || len(s.Explain(newID(n)).Verdicts) != 0 {
				t.Errorf("bit %d of the first frame: %d bytes answered, verdicts %v; want none", bit, more, s.Explain(newID(n)).Verdicts)
			}

			f = s.forgePeer(n+100, 4)
			body := append([]byte{baseLength}, bytes.Repeat([]byte{0x55}, len(hello)-1)...)
			f.breach(fmt.Sprintf("bit %d", bit), flip(f.sound(body), bit), events)
		}
		if len(got) != 0 {
			t.Errorf("the protocol got %q", <-got)
		}
		s.wantNothingHeld()
	})
}

// C4: frames of size 1 to 17, sixteen among them, are taken as they are, with
// whatever lies in the padding; a size of zero ends the connection.
func TestC4FrameSizes(t *testing.T) {
	inWorld(t, func(w *world) {
		got := make(chan string, 1)
		s := w.server(1, func(c *Config) { c.Protocols = []Protocol{noting(got)} })
		events := s.collect()
		f := s.forgePeer(50, 4)
		for size := 1; size <= 17; size++ {
			body := slices.Concat([]byte{baseLength + 2}, bytes.Repeat([]byte{0x7f}, size-1), bytes.Repeat([]byte{0xee}, -size&15))
			f.fd.Write(f.frame(header(size), body))
			if g, want := <-got, fmt.Sprintf("2 %x", bytes.Repeat([]byte{0x7f}, size-1)); g != want {
				t.Errorf("frame of size %d: the protocol got %q, want %q", size, g, want)
			}
		}
		f.breach("size zero, no body", f.frame(header(0), nil), events)
		f = s.forgePeer(60, 5)
		f.breach("size zero, 16 bytes of body", f.frame(header(0), make([]byte, 16)), events)

		g := s.forge(70, nil)
		sent := s.Stats().BytesOut
		g.fd.Write(g.frame(header(0), nil))
		if o := untilClosed(g.fd, time.Now()); o.after != hangs || s.Stats().BytesOut != sent {
			t.Errorf("size zero as the first frame: closed after %v, %d bytes answered; want %v, none", o.after, s.Stats().BytesOut-sent, hangs)
		}
		s.wantNothingHeld()
	})
}

// endless is a Snappy block of zeros that claims, and holds, size bytes: one byte,
// then copies of 64.
func endless(claim uint64, size int) []byte {
	b := binary.AppendUvarint(nil, claim)
	b = append(b, 0, 0)
	for size--; size > 0; size -= 64 {
		b = append(b, byte(min(size, 64)-1)<<2|2, 1, 0)
	}
	return b
}

// C5: the largest payload is 16 MiB - 1 in both directions, compressed, and what
// fits a frame of that size with its code, plain. What the writer refuses leaves
// the connection alone.
func TestC5LargestMessage(t *testing.T) {
	inWorld(t, func(w *world) {
		w.net.SetDefaultLink(simnet.Link{Delay: 10 * time.Millisecond, Window: 1 << 20})
		got := make(chan string, 1)
		peers := make(chan MsgWriter, 1)
		note := noting(got)
		s := w.server(1, func(c *Config) {
			c.Protocols = []Protocol{{Name: "idle", Version: 1, Length: 4, Run: func(p *Peer, rw MsgReadWriter) error {
				peers <- rw
				return note.Run(p, rw)
			}}}
		})
		events := s.collect()
		zeros := make([]byte, MaxPayload+1)
		for _, c := range []struct {
			version uint64
			largest int
		}{{5, MaxPayload}, {4, MaxPayload - 1}} {
			x := s.stranger(20 + int(c.version))
			h := x.hello()
			h.Version = c.version
			x.exchange(h)
			rw := <-peers
			read := make(chan int, 1)
			go func() {
				for {
					m, err := x.conn.ReadMsg()
					if err != nil {
						return
					}
					if m.Code == baseLength {
						read <- len(m.Payload)
					}
					m.Release()
				}
			}()
			if err := x.send(baseLength, zeros[:c.largest]); err != nil {
				w.Fatal(err)
			}
			if g, want := <-got, fmt.Sprint("0 ", c.largest); g != want {
				t.Errorf("version %d: the protocol got %q, want %q", c.version, g, want)
			}
			if err := rw.WriteMsg(Msg{Payload: zeros[:c.largest+1]}); !errors.Is(err, rlpx.ErrTooLarge) {
				t.Errorf("version %d: WriteMsg of %d bytes = %v, want ErrTooLarge", c.version, c.largest+1, err)
			}
			if c.version < snappyVersion && raceEnabled { // slow: once is enough
				x.fd.Close()
				continue
			}
			if err := rw.WriteMsg(Msg{Payload: zeros[:c.largest]}); err != nil {
				t.Errorf("version %d: WriteMsg of %d bytes = %v", c.version, c.largest, err)
			}
			if n := <-read; n != c.largest {
				t.Errorf("version %d: the other side read %d bytes, want %d", c.version, n, c.largest)
			}
			x.fd.Close()
		}
		for i, size := range []int{MaxPayload + 1, MaxPayload + 2} {
			f := s.forgePeer(50+2*i, 5)
			<-peers
			raw := f.sound(append([]byte{baseLength}, endless(uint64(size), size)...))
			f.fd.SetWriteDeadline(time.Now().Add(time.Minute))
			f.breach(fmt.Sprintf("%d bytes", size), raw, events)
		}
		w.pass(time.Minute)
		s.wantNothingHeld()
	})
}

// C6: a Snappy body that lies about its size ends the connection; what it claims
// is not allocated.
func TestC6SnappyLies(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.Protocols[0].MaxMsgSize = 1000 })
		events := s.collect()
		block := func(claim uint64, rest ...byte) []byte { return append(binary.AppendUvarint(nil, claim), rest...) }
		for i, c := range []struct {
			name string
			body []byte
		}{
			{"16 MiB in 20 bytes", block(1<<24-1, make([]byte, 16)...)},
			{"2^32-1", block(1<<32-1, make([]byte, 16)...)},
			{"2^63", block(1<<63, make([]byte, 16)...)},
			{"more than 64/3 of the body", block(500, 0, 0, 0xfe, 1, 0)},
			{"above the protocol's limit", endless(1001, 1001)},
			{"truncated varint", []byte{0xff, 0xff}},
			{"no varint", nil},
			{"less than it holds", endless(100, 500)},
			{"more than it holds", endless(500, 400)},
			{"a copy before the first byte", block(64, 0xfe, 1, 0)},
			{"no Snappy", rlp.AppendString(nil, "plain")},
		} {
			f := s.forgePeer(50+2*i, 5)
			before := s.Stats().Buffered
			most := make(chan int64, 1)
			go func() {
				held := int64(0)
				for range 30 {
					rest(time.Millisecond) // virtual time
					held = max(held, s.Stats().Buffered)
				}
				most <- held - before
			}()
			f.breach(c.name, f.sound(append([]byte{baseLength}, c.body...)), events)
			if held := <-most; held > 64<<10 {
				t.Errorf("%s: %d bytes were held, want at most 64 KiB", c.name, held)
			}
		}
		s.wantNothingHeld()
	})
}

// C9: a message code that is no canonical number of at most 64 bits, or belongs
// to nobody, and a compressed message without a body end the connection. A plain
// one without a body is an empty payload.
func TestC9MessageCodes(t *testing.T) {
	inWorld(t, func(w *world) {
		got := make(chan string, 1)
		s := w.server(1, func(c *Config) { c.Protocols = []Protocol{noting(got)} })
		events := s.collect()
		empty := []byte{0, 0} // Snappy for nothing, and a byte
		for i, c := range []struct {
			name string
			body []byte
		}{
			{"2^64-1", append(bytes.Repeat([]byte{0xff}, 9), empty...)},
			{"2^64-1 as a number", append([]byte{0x88}, append(bytes.Repeat([]byte{0xff}, 8), empty...)...)},
			{"2^64", append([]byte{0x89, 1}, make([]byte, 10)...)},
			{"0x00", append([]byte{0}, empty...)},
			{"0x8101", append([]byte{0x81, 1}, empty...)},
			{"0x820010", append([]byte{0x82, 0, 0x10}, empty...)},
			{"a list", append([]byte{0xc1, 0x10}, empty...)},
			{"the first that belongs to nobody", append([]byte{baseLength + 4}, 1, 0, 0xc0)},
			{"no body", []byte{baseLength}},
		} {
			f := s.forgePeer(50+2*i, 5)
			f.breach(c.name, f.sound(c.body), events)
		}
		f := s.forgePeer(80, 4)
		f.fd.Write(f.sound([]byte{baseLength}))
		if g := <-got; g != "0 " {
			t.Errorf("the protocol got %q, want code 0 and no payload", g)
		}
		f.fd.Close()
		if len(got) != 0 {
			t.Errorf("the protocol got %q", <-got)
		}
		s.wantNothingHeld()
	})
}

// C10: what a header says beyond the size has no effect: frames that say they
// belong together are messages of their own.
func TestC10HeaderData(t *testing.T) {
	inWorld(t, func(w *world) {
		got := make(chan string, 1)
		s := w.server(1, func(c *Config) { c.Protocols = []Protocol{noting(got)} })
		f := s.forgePeer(50, 4)
		body := append([]byte{baseLength + 1, 0xc1, 5}, make([]byte, 13)...)
		for _, data := range [][]byte{
			nil, {0xc2, 0x80, 0x80}, {0xc0}, {0xc2, 0x80, 0x01}, {0xc2, 0x01, 0x80}, // none, usual, empty, context, capability
			{0xc4, 0x80, 0x01, 0x82, 0x40, 0x00}, {0xc2, 0x80, 0x01}, // first and second of a message in two frames
			{0xf8}, bytes.Repeat([]byte{0xff}, 13),
		} {
			h := [16]byte{2: 3}
			copy(h[3:], data)
			f.fd.Write(f.frame(h, body))
			if g := <-got; g != "1 c105" {
				t.Errorf("header-data %x: the protocol got %q, want %q", data, g, "1 c105")
			}
		}
		if s.PeerCount() != 1 {
			t.Errorf("%d peers, want 1", s.PeerCount())
		}
	})
}

// C13 in short: 3,000 messages cut into segments of 1 to 40 bytes on a link that
// loses every twentieth arrive each once and in order. TestMillionMessages is the
// long form.
func TestC13RandomSegments(t *testing.T) {
	const messages = 3000
	inWorld(t, func(w *world) {
		w.net.SetDefaultLink(simnet.Link{Delay: time.Millisecond, Jitter: time.Millisecond, MaxSegment: 40, Loss: 0.05})
		done := make(chan error, 1)
		s := w.server(1, func(c *Config) {
			c.Protocols = []Protocol{{Name: "idle", Version: 1, Length: 4, Run: func(_ *Peer, rw MsgReadWriter) error {
				done <- checkNumbered(rw, 13, messages)
				return nil
			}}}
		})
		x := s.stranger(2)
		x.exchange(x.hello())
		rng := rand.New(rand.NewPCG(13, 1))
		var buf []byte
		go func() {
			for {
				if _, err := x.conn.ReadMsg(); err != nil {
					return
				}
			}
		}()
		for i := range uint64(messages) {
			buf = appendNumbered(buf[:0], rng, i)
			if err := x.send(baseLength+i%4, buf); err != nil {
				w.Fatalf("message %d: %v", i, err)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		x.fd.Close()
	})
}
