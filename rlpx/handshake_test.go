package rlpx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"testing"

	"parley/internal/secp"
)

// Every row of section B that a packet can carry, toward the recipient and (B17)
// toward the dialer.
func TestHandshakeAdversaries(t *testing.T) {
	for i := range roles {
		r := &roles[i]
		t.Run(r.name, func(t *testing.T) {
			t.Run("B1", func(t *testing.T) { testTruncated(t, r) })
			t.Run("B2", func(t *testing.T) { testSizes(t, r) })
			t.Run("B3", func(t *testing.T) { testShortBodies(t, r) })
			t.Run("B4", func(t *testing.T) { testWrongTag(t, r) })
			t.Run("B5 B6", func(t *testing.T) { testPoints(t, r) })
			t.Run("B7", func(t *testing.T) { testPointForms(t, r) })
			t.Run("B15", func(t *testing.T) { testForward(t, r) })
		})
	}
}

func testTruncated(t *testing.T, r *role) {
	p := r.packet(append(body(r.fields(), 4), make([]byte, 100)...))
	if err := r.offer(t, p); err != nil {
		t.Fatalf("whole packet: %v", err)
	}
	for n := range len(p) {
		err := r.offer(t, p[:n])
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("%d of %d bytes: %v, want %v", n, len(p), err, want)
		}
		var he *HandshakeError
		if !errors.As(err, &he) || he.Step != Step("read "+r.name) {
			t.Errorf("%d of %d bytes: %v is not of step %q", n, len(p), err, "read "+r.name)
		}
	}
}

func testSizes(t *testing.T, r *role) {
	plain := body(r.fields(), 4)
	for _, c := range []struct {
		size int
		want error // nil: accepted
	}{
		{0, ErrMalformed}, {1, ErrMalformed}, {96, ErrMalformed}, {97, ErrMalformed}, {112, ErrMalformed},
		{113, ErrMalformed}, {2048, nil}, {2049, ErrTooLarge}, {65535, ErrTooLarge},
	} {
		// Sealed with a right tag where there is room for one.
		var p []byte
		if c.size >= envelopeOverhead {
			p = r.packet(append(bytes.Clone(plain), make([]byte, 65535)...)[:c.size-envelopeOverhead])
		} else {
			p = binary.BigEndian.AppendUint16(nil, uint16(c.size))
			p = append(p, make([]byte, c.size)...)
		}
		attacker, victim := pipe()
		attacker.Write(p)
		attacker.hangUp()
		bufs := NewPoisonedBuffers()
		_, err := r.run(victim, bufs)
		if !errors.Is(err, c.want) {
			t.Errorf("size %d: %v, want %v", c.size, err, c.want)
		}
		// Sizes that cannot be right are refused on the prefix: everything came
		// with the first read, and no buffer was taken for more.
		if c.size < minPacket || c.size > maxPacket {
			var he *HandshakeError
			if !errors.As(err, &he) || he.Step != Step("read "+r.name) {
				t.Errorf("size %d: %v, want it refused while reading", c.size, err)
			}
			if victim.in.reads > 1 || bufs.classes[classOf(earlyReadAhead)].Get() != nil {
				t.Errorf("size %d: %d reads, or a buffer taken", c.size, victim.in.reads)
			}
		}
	}
}

// A sound envelope around less than a body, and an envelope whose tag is right
// but that is too short for an initialization vector (CVE-2026-22862).
func testShortBodies(t *testing.T, r *role) {
	for n := range 16 {
		for _, fill := range []byte{0x00, 0x80, 0xc0, 0xff} {
			plain := bytes.Repeat([]byte{fill}, n)
			if err := r.offer(t, r.packet(plain)); !errors.Is(err, ErrMalformed) {
				t.Errorf("body of %d × %#x: %v, want ErrMalformed", n, fill, err)
			}
		}
		prefix := binary.BigEndian.AppendUint16(nil, uint16(envelopeKeySize+n+envelopeTagSize))
		short := sealShort(r.victim.Public(), make([]byte, n), prefix)
		if err := r.offer(t, append(prefix, short...)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes between key and tag: %v, want ErrMalformed", n, err)
		}
		if _, err := openEnvelope(r.victim, short, prefix); !errors.Is(err, ErrMalformed) {
			t.Errorf("openEnvelope, %d bytes between key and tag: %v, want ErrMalformed", n, err)
		}
	}
	// Lists that end early, or whose fields have another size or kind.
	good := r.fields()
	for i := range good {
		for _, f := range [][]byte{nil, good[i][:len(good[i])-1], append(bytes.Clone(good[i]), 0)} {
			fields := append([][]byte(nil), good...)
			fields[i] = f
			if err := r.offer(t, r.packet(body(fields, 4))); !errors.Is(err, ErrMalformed) {
				t.Errorf("field %d of %d bytes: %v, want ErrMalformed", i, len(f), err)
			}
		}
		if err := r.offer(t, r.packet(body(good[:i], 4))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d fields: %v, want ErrMalformed", i, err)
		}
	}
	// A list that claims more than there is.
	if err := r.offer(t, r.packet([]byte{0xfb, 0x7f, 0xff, 0xff, 0xff, 0x80})); !errors.Is(err, ErrMalformed) {
		t.Errorf("list of 2 GiB: %v, want ErrMalformed", err)
	}
}

func testWrongTag(t *testing.T, r *role) {
	p := r.packet(append(body(r.fields(), 4), make([]byte, 100)...))
	for i := len(p) - envelopeTagSize; i < len(p); i++ {
		bad := bytes.Clone(p)
		bad[i] ^= 1
		if err := r.offer(t, bad); !errors.Is(err, ErrMAC) {
			t.Errorf("tag byte %d changed: %v, want ErrMAC", i, err)
		}
	}
	// The tag covers the vector, the ciphertext and the prefix. (One more byte is
	// sent, for the prefix that asks for it.)
	for _, i := range []int{1, packetPrefix + envelopeKeySize, packetPrefix + envelopeKeySize + envelopeIVSize, len(p) - envelopeTagSize - 1} {
		bad := append(bytes.Clone(p), 0)
		bad[i] ^= 1
		if err := r.offer(t, bad); !errors.Is(err, ErrMAC) {
			t.Errorf("byte %d changed: %v, want ErrMAC", i, err)
		}
	}
}

func testPoints(t *testing.T, r *role) {
	good := r.packet(append(body(r.fields(), 4), make([]byte, 100)...))
	from := secp.PublicKey(good[packetPrefix+1 : packetPrefix+envelopeKeySize])
	for name, point := range badPoints(from) {
		bad := bytes.Clone(good)
		copy(bad[packetPrefix+1:], point)
		if err := r.offer(t, bad); !errors.Is(err, secp.ErrPublicKey) {
			t.Errorf("%s as envelope key: %v, want secp.ErrPublicKey", name, err)
		}
	}
	negated := bytes.Clone(good)
	copy(negated[packetPrefix+1:], negate(from))
	// R and -R agree on the same X: the envelope opens, as the curve has it.
	if err := r.offer(t, negated); err != nil {
		t.Errorf("B6 envelope key negated: %v, want it handled", err)
	}
	// The static key of an auth, the ephemeral key of an ack.
	i := map[string]int{"auth": 1, "ack": 0}[r.name]
	for name, point := range badPoints(secp.PublicKey(r.fields()[i])) {
		fields := r.fields()
		fields[i] = point
		if err := r.offer(t, r.packet(body(fields, 4))); !errors.Is(err, secp.ErrPublicKey) {
			t.Errorf("%s as field %d: %v, want secp.ErrPublicKey", name, i, err)
		}
	}
}

func testPointForms(t *testing.T, r *role) {
	good := r.packet(append(body(r.fields(), 4), make([]byte, 100)...))
	for form := range 256 {
		if form == 4 {
			continue
		}
		bad := bytes.Clone(good)
		bad[packetPrefix] = byte(form)
		if err := r.offer(t, bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("form byte %#x: %v, want ErrMalformed", form, err)
		}
	}
}

// What later versions may add is accepted.
func testForward(t *testing.T, r *role) {
	f := r.fields()
	plain := body(f, 4)
	cases := map[string][]byte{
		"version 0":        body(f, 0),
		"version 3":        body(f, 3),
		"version 5":        body(f, 5),
		"version 2^63":     body(f, 1<<63),
		"one extra field":  body(f, 4, []byte{0x80}),
		"extra list":       body(f, 4, []byte{0xc2, 0xc0, 0x01}),
		"extra junk":       body(f, 4, []byte{0xbf, 0xff, 0xff}),
		"trailing zero":    append(bytes.Clone(plain), 0),
		"trailing to 2048": append(bytes.Clone(plain), bytes.Repeat([]byte{0xa5}, maxPacket-envelopeOverhead-len(plain))...),
		"nothing trailing": plain,
	}
	for name, plain := range cases {
		p := r.packet(plain)
		if !tagOf(r, p) {
			t.Fatal("the test's own packet is bad")
		}
		if err := r.offer(t, p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Signatures that are no signature are refused; one with a high s is a valid
// one of the same key and is handled.
func TestB8(t *testing.T) {
	r := &roles[0]
	change := func(f func(r, s *big.Int, v *byte)) []byte {
		sig := bytes.Clone(r.fields()[0])
		x, y := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])
		f(x, y, &sig[64])
		x.FillBytes(sig[:32])
		y.FillBytes(sig[32:64])
		return sig
	}
	cases := map[string][]byte{
		"r = 0":     change(func(r, s *big.Int, v *byte) { r.SetInt64(0) }),
		"s = 0":     change(func(r, s *big.Int, v *byte) { s.SetInt64(0) }),
		"r = N":     change(func(r, s *big.Int, v *byte) { r.Set(order) }),
		"s = N":     change(func(r, s *big.Int, v *byte) { s.Set(order) }),
		"r = N + 1": change(func(r, s *big.Int, v *byte) { r.Add(order, big.NewInt(1)) }),
		"s = 2^256": change(func(r, s *big.Int, v *byte) { s.Sub(s.Lsh(big.NewInt(1), 256), big.NewInt(1)) }),
	}
	for v := 4; v < 256; v++ {
		cases[fmt.Sprintf("v = %d", v)] = change(func(_, _ *big.Int, p *byte) { *p = byte(v) })
	}
	for name, sig := range cases {
		fields := r.fields()
		fields[0] = sig
		if err := r.offer(t, r.packet(body(fields, 4))); !errors.Is(err, secp.ErrSignature) {
			t.Errorf("%s: %v, want secp.ErrSignature", name, err)
		}
	}
	high := r.fields()
	high[0] = change(func(_, s *big.Int, v *byte) { s.Sub(order, s); *v ^= 1 })
	_ = r.offer(t, r.packet(body(high, 4))) // accepted or refused, but in order
}
