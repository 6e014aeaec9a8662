package rlpx

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// text returns n bytes that compress about as well as protocol data does, and
// noise returns bytes that do not compress.
func text(n int) []byte {
	rng := rand.New(rand.NewPCG(3, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		if i%64 < 24 {
			b[i] = byte(rng.Uint32())
		}
	}
	return b
}

func noise(n int) []byte {
	rng := rand.NewChaCha8([32]byte{4, byte(n)})
	b := make([]byte, n)
	rng.Read(b)
	return b
}

// Both sides, one after the other's packet, without a kernel between them.
func BenchmarkHandshake(b *testing.B) {
	b.ReportAllocs()
	bufs := NewBuffers()
	for b.Loop() {
		ea, eb := net.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := Accept(eb, keyB, bufs)
			done <- err
		}()
		if _, err := Initiate(ea, keyA, keyB.Public(), bufs); err != nil {
			b.Fatal(err)
		}
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

var benchSizes = []int{64, 1 << 10, 32 << 10, 1 << 20}

func BenchmarkSeal(b *testing.B) {
	for _, snappy := range []bool{false, true} {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("snappy=%v/%d", snappy, size), func(b *testing.B) {
				c, _, _, _, _ := session(b)
				c.SetSnappy(snappy)
				payload := text(size)
				buf := make([]byte, 0, SealedSize(size))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.AppendMsg(buf, 17, payload); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// replay is a net.Conn that reads from memory.
type replay struct {
	net.Conn
	data []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// SetReadDeadline does nothing: all there is to read is there.
func (r *replay) SetReadDeadline(time.Time) error { return nil }

func BenchmarkRead(b *testing.B) {
	for _, snappy := range []bool{false, true} {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("snappy=%v/%d", snappy, size), func(b *testing.B) {
				from, to, _, eb, _ := session(b)
				from.SetSnappy(snappy)
				to.SetSnappy(snappy)
				payload := text(size)
				r := &replay{Conn: eb}
				to.src.fd = r
				to.win.bufs = NewBuffers()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				var wire []byte
				for b.Loop() {
					if len(r.data) == 0 {
						b.StopTimer()
						wire = wire[:0]
						for range max(1, 1<<20/size) {
							wire, _ = from.AppendMsg(wire, 17, payload)
						}
						r.data = wire
						b.StartTimer()
					}
					m, err := to.ReadMsg()
					if err != nil {
						b.Fatal(err)
					}
					m.Release()
				}
			})
		}
	}
}

// One connection over loopback TCP, one write call for each message and one for
// each 16.
func BenchmarkStream(b *testing.B) {
	for _, burst := range []int{1, 16} {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("burst=%d/%d", burst, size), func(b *testing.B) {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				defer ln.Close()
				bufs := NewBuffers()
				payload := text(size)
				done := make(chan error, 1)
				go func() {
					fd, err := ln.Accept()
					if err != nil {
						done <- err
						return
					}
					c, err := Accept(fd, keyB, bufs)
					if err != nil {
						done <- err
						return
					}
					defer c.Close()
					c.SetSnappy(true)
					c.SetLimits(Limits{})
					for {
						m, err := c.ReadMsg()
						if err != nil {
							done <- nil
							return
						}
						if len(m.Payload) != size {
							done <- fmt.Errorf("message of %d bytes", len(m.Payload))
							return
						}
						m.Release()
					}
				}()
				fd, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				c, err := Initiate(fd, keyA, keyB.Public(), bufs)
				if err != nil {
					b.Fatal(err)
				}
				c.SetSnappy(true)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				buf := make([]byte, 0, burst*SealedSize(size))
				n := 0
				for b.Loop() {
					buf, _ = c.AppendMsg(buf, 17, payload)
					if n++; n%burst == 0 {
						if _, err := fd.Write(buf); err != nil {
							b.Fatal(err)
						}
						buf = buf[:0]
					}
				}
				fd.Write(buf)
				c.Close()
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
