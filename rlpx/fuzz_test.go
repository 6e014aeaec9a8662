package rlpx

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/golang/snappy"
)

// fuzzPacket offers input to a role in two ways: as raw bytes, and as the
// plaintext of a packet whose envelope is right, which gets past the tag.
func fuzzPacket(f *testing.F, r *role) {
	f.Add(body(r.fields(), 4))
	f.Add(append(body(r.fields(), 1<<63, []byte{0xc0}), make([]byte, 100)...))
	f.Add(r.packet(body(r.fields(), 4)))
	f.Add([]byte{0x04, 0x8c})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, input []byte) {
		_ = r.offer(t, input)
		if len(input) <= maxPacket-envelopeOverhead {
			_ = r.offer(t, r.packet(input))
		}
	})
}

func FuzzAuth(f *testing.F) { fuzzPacket(f, &roles[0]) }
func FuzzAck(f *testing.F)  { fuzzPacket(f, &roles[1]) }

// FuzzFrame reads frames that were sealed by somebody who knows the secrets: any
// header, any body, then raw bytes, in random segments. ReadMsg must end, give
// its buffers back, and return only what was sealed.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 0, 2, 0xc2, 0x80, 0x80}, []byte{0x10, 0xc0}, []byte{}, false)
	f.Add([]byte{0, 0, 5}, append([]byte{0x80}, snappy.Encode(nil, []byte("text"))...), []byte{1}, true)
	f.Add([]byte{0xff, 0xff, 0xff}, []byte{}, []byte{}, false)
	f.Add([]byte{0, 0x10, 0}, text(4096), text(100), true)
	f.Fuzz(func(t *testing.T, header, content, rest []byte, compressed bool) {
		bufs := NewPoisonedBuffers()
		out, to, fd := direct(bufs)
		to.SetSnappy(compressed)
		rng := rand.New(rand.NewPCG(uint64(len(content)), uint64(len(rest))))
		fd.out.segment = func(have int) int { return 1 + rng.IntN(have) }

		var h [headerSize]byte
		copy(h[:], header)
		fd.Write(out.sealRaw(h, append(bytes.Clone(content), make([]byte, padded(len(content))-len(content))...)))
		fd.Write(rest)
		fd.hangUp()
		for n := 0; ; n++ {
			m, err := to.ReadMsg()
			if err != nil {
				break
			}
			if n > 0 {
				t.Fatal("more than one message came out of one sealed frame")
			}
			if size := int(h[0])<<16 | int(h[1])<<8 | int(h[2]); !compressed && size <= len(content) {
				if _, want, err := splitCode(content[:size]); err != nil || !bytes.Equal(m.Payload, want) {
					t.Fatalf("payload %x, want %x, %v", m.Payload, want, err)
				}
			}
			if compressed && len(m.Payload) > 64*len(content)/3 {
				t.Fatalf("%d bytes came out of %d", len(m.Payload), len(content))
			}
			m.Release()
		}
		wantInUse(t, bufs, 0)
	})
}

// FuzzSnappy inflates any block: it succeeds only with exactly the bytes that the
// library's decoder finds, and never takes more than the claim may be.
func FuzzSnappy(f *testing.F) {
	f.Add(snappy.Encode(nil, text(1000)))
	f.Add(snappy.Encode(nil, make([]byte, 1000)))
	f.Add([]byte{0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3})
	f.Fuzz(func(t *testing.T, block []byte) {
		size, err := inflatedSize(block)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("inflatedSize: %v", err)
			}
			// Refusing must not lose a block that is good. (The library takes memory
			// for any claim: ask it about those that a test can afford.)
			if size, err := snappy.DecodedLen(block); err == nil && size < 1<<20 {
				if _, err := snappy.Decode(nil, block); err == nil {
					t.Fatalf("refused a block of %d bytes that holds %d", len(block), size)
				}
			}
			return
		}
		if size > 64*len(block)/3 {
			t.Fatalf("claim of %d for %d bytes", size, len(block))
		}
		got := bytes.Repeat([]byte{0xdb}, size)
		err = inflate(got, block)
		want, wantErr := snappy.Decode(nil, block)
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("inflate: %v; the library: %v", err, wantErr)
		}
		// What was inflated can be compressed, and comes back.
		if err == nil {
			again, err := Compress(nil, got)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := snappy.Decode(nil, again); err != nil || !bytes.Equal(back, got) {
				t.Fatalf("compressed again: %v", err)
			}
		}
	})
}
