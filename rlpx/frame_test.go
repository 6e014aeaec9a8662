package rlpx

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/golang/snappy"

	"parley/rlp"
)

// direct returns a sealing lane and the Conn that reads it, without a handshake.
// What is written to fd is what the Conn reads.
func direct(bufs *Buffers) (out *lane, c *Conn, fd *end) {
	s := secrets{[32]byte{1}, [32]byte{2}}
	tr := &transcript{[32]byte{3}, [32]byte{4}, []byte("auth"), []byte("ack")}
	out, _, _ = newLanes(s, tr)
	fd, victim := pipe()
	c = newConn(victim, bufs)
	c.in, _, _ = newLanes(s, tr)
	c.SetLimits(Limits{})
	return out, c, fd
}

// sealRaw seals any header and any body, whose length is a multiple of 16.
func (l *lane) sealRaw(header [headerSize]byte, body []byte) []byte {
	frame := make([]byte, frameHead+len(body)+macSize)
	copy(frame[frameHead:], body)
	// seal writes the header itself; encrypting the difference changes the
	// plaintext that the other side sees, under a MAC that is right.
	l.stream.XORKeyStream(frame[:headerSize], header[:])
	l.step(frame[:headerSize])
	copy(frame[headerSize:], l.digest[:macSize])
	l.stream.XORKeyStream(frame[frameHead:len(frame)-macSize], frame[frameHead:len(frame)-macSize])
	l.absorb(frame[frameHead : len(frame)-macSize])
	l.finish()
	copy(frame[len(frame)-macSize:], l.digest[:macSize])
	return frame
}

// frameHeader returns a header with a size and nothing unusual.
func frameHeader(size int) [headerSize]byte {
	return [headerSize]byte{byte(size >> 16), byte(size >> 8), byte(size), 0xc2, 0x80, 0x80}
}

// frameOf seals data, of any size, padded with zeros.
func (l *lane) frameOf(data []byte) []byte {
	return l.sealRaw(frameHeader(len(data)), append(bytes.Clone(data), make([]byte, padded(len(data))-len(data))...))
}

// Any changed bit of a frame ends the connection with ErrMAC, without a message.
func TestC1(t *testing.T) {
	data := append([]byte{0x10}, text(40)...)
	out, _, _ := direct(nil)
	frame := out.frameOf(data)
	for bit := range len(frame) * 8 {
		bufs := NewPoisonedBuffers()
		_, c, fd := direct(bufs)
		bad := bytes.Clone(frame)
		bad[bit/8] ^= 1 << (bit % 8)
		fd.Write(bad)
		m, err := c.ReadMsg()
		if !errors.Is(err, ErrMAC) || m.Payload != nil {
			t.Fatalf("bit %d of byte %d changed: %x, %v; want ErrMAC", bit%8, bit/8, m.Payload, err)
		}
		// It is final: a good frame after it is not read.
		fd.Write(frame)
		if _, again := c.ReadMsg(); again != err {
			t.Fatalf("after a bad MAC: %v, want the same error", again)
		}
		wantInUse(t, bufs, 0)
	}
	// A large body, which is not held in the window, in all its chunks.
	large := append([]byte{0x10}, text(300_000)...)
	out, _, _ = direct(nil)
	frame = out.frameOf(large)
	for _, at := range []int{frameHead, frameHead + 70_000, frameHead + 200_000, len(frame) - macSize, len(frame) - 1} {
		bufs := NewPoisonedBuffers()
		_, c, fd := direct(bufs)
		bad := bytes.Clone(frame)
		bad[at] ^= 0x80
		fd.Write(bad)
		if m, err := c.ReadMsg(); !errors.Is(err, ErrMAC) || m.Payload != nil {
			t.Errorf("byte %d of a large frame changed: %d bytes, %v; want ErrMAC", at, len(m.Payload), err)
		}
		wantInUse(t, bufs, 0)
	}
}

// Sizes around the block size, padding and the smallest sizes.
func TestC4(t *testing.T) {
	for size := 1; size <= 33; size++ {
		data := append([]byte{0x10}, text(size-1)...)
		rest := bytes.Repeat([]byte{0xee}, padded(size)-size) // not zero: ignored
		out, c, fd := direct(nil)
		fd.Write(out.sealRaw(frameHeader(size), append(bytes.Clone(data), rest...)))
		fd.Write(out.frameOf([]byte{0x11}))
		m, err := c.ReadMsg()
		if err != nil || m.Code != 0x10 || !bytes.Equal(m.Payload, data[1:]) || m.WireSize != frameLen(size) {
			t.Errorf("size %d: code %#x, %x, %d bytes, %v", size, m.Code, m.Payload, m.WireSize, err)
		}
		if m, err := c.ReadMsg(); err != nil || m.Code != 0x11 {
			t.Errorf("after size %d: %#x, %v", size, m.Code, err)
		}
	}
	for name, body := range map[string][]byte{"no body": nil, "a block": make([]byte, 16)} {
		out, c, fd := direct(nil)
		fd.Write(out.sealRaw(frameHeader(0), body))
		if _, err := c.ReadMsg(); !errors.Is(err, ErrMalformed) {
			t.Errorf("size 0 with %s: %v, want ErrMalformed", name, err)
		}
	}
}

// The limit is 16 MiB - 1 bytes exactly, for what one side seals and what the
// other accepts, and refusing leaves the sealing connection usable.
func TestC5(t *testing.T) {
	big := make([]byte, 1<<24+1)
	for _, c := range []struct {
		name   string
		snappy bool
		size   int // of the payload
		ok     bool
	}{
		// Without compression the code shares the frame with the payload.
		{"plain, frame of 16 MiB - 1", false, 1<<24 - 2, true},
		{"plain, frame of 16 MiB", false, 1<<24 - 1, false},
		{"plain, 16 MiB", false, 1 << 24, false},
		{"plain, 16 MiB + 1", false, 1<<24 + 1, false},
		{"snappy, 16 MiB - 1", true, 1<<24 - 1, true},
		{"snappy, 16 MiB", true, 1 << 24, false},
		{"snappy, 16 MiB + 1", true, 1<<24 + 1, false},
	} {
		bufs := NewPoisonedBuffers()
		out, to, fd := direct(bufs)
		to.SetSnappy(c.snappy)
		from := &Conn{snappy: c.snappy, out: out}
		frame, err := from.AppendMsg([]byte("kept"), 0x10, big[:c.size])
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: sealing: %v", c.name, err)
		}
		if err != nil {
			if string(frame) != "kept" {
				t.Errorf("%s: refused, but dst is now %d bytes", c.name, len(frame))
			}
			// The reader draws the same line, if a frame can tell so much at all.
			data := append([]byte{0x10}, big[:c.size]...)
			if c.snappy {
				data = append([]byte{0x10}, snappy.Encode(nil, big[:c.size])...)
			}
			if len(data) > maxFrame {
				continue
			}
			frame = append(frame, out.frameOf(data)...)
		}
		fd.Write(frame[4:])
		m, err := to.ReadMsg()
		if c.ok != (err == nil) || c.ok && len(m.Payload) != c.size || !c.ok && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: reading: %d bytes, %v", c.name, len(m.Payload), err)
		}
		m.Release()
		wantInUse(t, bufs, 0)
	}

	// What does not shrink must fit the frame with what Snappy adds to it.
	out, _, _ := direct(nil)
	from := &Conn{snappy: true, out: out}
	if _, err := from.AppendMsg(nil, 0x10, noise(1<<24-1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("16 MiB - 1 of noise, compressed: %v, want ErrTooLarge", err)
	}
	if _, err := Compress(nil, big[:1<<24]); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Compress(16 MiB) = %v, want ErrTooLarge", err)
	}
	if _, err := from.AppendCompressed(nil, 0x10, snappy.Encode(nil, big[:1<<24])); !errors.Is(err, ErrTooLarge) {
		t.Errorf("AppendCompressed(16 MiB) = %v, want ErrTooLarge", err)
	}
}

// A Snappy block whose claim cannot be true, or is above the limit, is refused
// before memory is taken for it.
func TestC6(t *testing.T) {
	claim := func(size uint64, rest int) []byte {
		var b []byte
		for ; size >= 0x80; size >>= 7 {
			b = append(b, byte(size)|0x80)
		}
		return append(append(b, byte(size)), make([]byte, rest)...)
	}
	zeros := snappy.Encode(nil, make([]byte, 100_000)) // 1:21, near the densest
	for _, c := range []struct {
		name  string
		block []byte
		limit int
		want  error
	}{
		{"16 MiB of 20 bytes", claim(1<<24-1, 20), MaxMessage, ErrMalformed},
		{"2^32-1 of 20 bytes", claim(1<<32-1, 20), MaxMessage, ErrMalformed},
		{"2^35 of 20 bytes", claim(1<<35, 20), MaxMessage, ErrMalformed},
		{"one above 64/3", claim(64*9/3+1, 8), MaxMessage, ErrMalformed},
		{"truncated size", []byte{0x80}, MaxMessage, ErrMalformed},
		{"endless size", bytes.Repeat([]byte{0xff}, 20), MaxMessage, ErrMalformed},
		{"no block", nil, MaxMessage, ErrMalformed},
		{"claims less than real", append(claim(50_000, 0), zeros[3:]...), MaxMessage, ErrMalformed},
		{"claims more than real", append(claim(100_001, 0), zeros[3:]...), MaxMessage, ErrMalformed},
		{"above the code's limit", zeros, 99_999, ErrTooLarge},
		{"code refused", zeros, 0, ErrTooLarge},
		{"code refused by less", zeros, -1, ErrTooLarge},
		{"at the code's limit", zeros, 100_000, nil},
		{"limit above all", zeros, math.MaxInt, nil},
		{"empty payload", []byte{0}, 1, nil},
		{"empty payload, code refused", []byte{0}, 0, ErrTooLarge},
	} {
		bufs := NewPoisonedBuffers()
		out, to, fd := direct(bufs)
		to.SetSnappy(true)
		to.SetLimits(Limits{Message: func(code uint64) int {
			if code != 0x21 {
				t.Errorf("%s: limit asked for code %#x", c.name, code)
			}
			return c.limit
		}})
		fd.Write(out.frameOf(append([]byte{0x21}, c.block...)))
		m, err := to.ReadMsg()
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		m.Release()
		wantInUse(t, bufs, 0)
		// Nothing larger than the window was ever taken for a false claim.
		if c.want != nil && len(c.block) < 100 {
			for class := classOf(readAhead) + 1; class < classes; class++ {
				if bufs.classes[class].Get() != nil {
					t.Errorf("%s: a buffer of %d bytes was taken", c.name, classSize(class))
				}
			}
		}
	}
}

// After both sides told version 5 a plain Hello is an error; a compressed one
// before that comes as it is, which is no list.
func TestC7(t *testing.T) {
	hello := []byte{0xf8, 0x71, 0x37, 0x91}
	hello = append(hello, bytes.Repeat([]byte{0x6b}, 0x6f)...)
	out, to, fd := direct(nil)
	to.SetSnappy(true)
	fd.Write(out.frameOf(append([]byte{0x80}, hello...)))
	if m, err := to.ReadMsg(); !errors.Is(err, ErrMalformed) {
		t.Errorf("plain Hello with Snappy on: %x, %v; want ErrMalformed", m.Payload, err)
	}

	out, to, fd = direct(nil)
	fd.Write(out.frameOf(append([]byte{0x80}, snappy.Encode(nil, hello)...)))
	m, err := to.ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	cursor := rlp.NewCursor(m.Payload)
	if _, err := cursor.List(); err == nil {
		t.Errorf("compressed Hello with Snappy off reads as a list: %x", m.Payload)
	}
}

// Codes are canonical integers of up to 64 bits.
func TestC9(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		code uint64
		want error
	}{
		{"zero", []byte{0x80, 0xc0}, 0, nil},
		{"2^64-1", []byte{0x88, 255, 255, 255, 255, 255, 255, 255, 255, 0xc0}, 1<<64 - 1, nil},
		{"no payload", []byte{0x10}, 0x10, nil},
		{"zero as a byte", []byte{0x00, 0xc0}, 0, ErrMalformed},
		{"one as a string", []byte{0x81, 0x01, 0xc0}, 0, ErrMalformed},
		{"leading zero", []byte{0x82, 0x00, 0x80, 0xc0}, 0, ErrMalformed},
		{"2^64", []byte{0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0}, 0, ErrMalformed},
		{"list", []byte{0xc1, 0x10}, 0, ErrMalformed},
		{"empty list", []byte{0xc0, 0xc0}, 0, ErrMalformed},
		{"cut", []byte{0x88, 255}, 0, ErrMalformed},
		{"long form", []byte{0xb8, 0x01, 0x10}, 0, ErrMalformed},
		{"2^63 long", []byte{0xbf, 0x80, 0, 0, 0, 0, 0, 0, 0}, 0, ErrMalformed},
	} {
		bufs := NewPoisonedBuffers()
		out, to, fd := direct(bufs)
		fd.Write(out.frameOf(c.data))
		m, err := to.ReadMsg()
		if !errors.Is(err, c.want) || m.Code != c.code {
			t.Errorf("%s: code %d, %v; want %d, %v", c.name, m.Code, err, c.code, c.want)
		}
		m.Release()
		wantInUse(t, bufs, 0)
	}
}

// What a header says beyond the size is ignored: nothing is merged that ids or
// sizes for chunks seem to hold together.
func TestC10(t *testing.T) {
	for name, data := range map[string][]byte{
		"no header-data":  {},
		"not a list":      {0x01, 0x02, 0x03},
		"capability id":   {0xc2, 0x05, 0x80},
		"context id":      {0xc2, 0x80, 0x07},
		"first of chunks": {0xc5, 0x80, 0x01, 0x82, 0x10, 0x00},
		"all ones":        bytes.Repeat([]byte{0xff}, 13),
	} {
		out, to, fd := direct(nil)
		for i := range 3 {
			header := frameHeader(4)
			copy(header[3:], make([]byte, 13))
			copy(header[3:], data)
			fd.Write(out.sealRaw(header, append([]byte{0x10, byte(i), 1, 2}, make([]byte, 12)...)))
		}
		for i := range 3 {
			m, err := to.ReadMsg()
			if err != nil || m.Code != 0x10 || !bytes.Equal(m.Payload, []byte{byte(i), 1, 2}) {
				t.Errorf("%s: message %d = %x, %v", name, i, m.Payload, err)
			}
		}
	}
}

// A stream that ends between frames ends with io.EOF, one that ends elsewhere
// with io.ErrUnexpectedEOF, at each byte; no buffer stays out.
func TestTruncatedFrame(t *testing.T) {
	out, _, _ := direct(nil)
	frame := out.frameOf(append([]byte{0x10}, text(5000)...))
	ends := []int{0, 1, 31, 32, 33, 247, 248, 249, 4096, len(frame) - 17, len(frame) - 16, len(frame) - 1}
	for _, n := range ends {
		bufs := NewPoisonedBuffers()
		_, to, fd := direct(bufs)
		fd.Write(frame[:n])
		fd.hangUp()
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := to.ReadMsg(); !errors.Is(err, want) {
			t.Errorf("%d of %d bytes: %v, want %v", n, len(frame), err, want)
		}
		wantInUse(t, bufs, 0)
	}
}

// Frames do not carry what was in the buffer before: header and padding are
// zeros under the cipher, whatever dst holds beyond its length.
func TestSealOverwrites(t *testing.T) {
	for size := range 40 {
		var frames [2][]byte
		for i, dirt := range []byte{0x00, 0xff} {
			out, _, _ := direct(nil)
			c := &Conn{out: out}
			dst := bytes.Repeat([]byte{dirt}, SealedSize(size))
			frames[i], _ = c.AppendMsg(dst[:0], 0x10, text(size))
		}
		if !bytes.Equal(frames[0], frames[1]) {
			t.Errorf("%d bytes: the frame depends on what the buffer held", size)
		}
	}
}
