// Package rlpxb: section B, RLPx handshake and frame throughput.
//
//nolint:errorlint // kept as it is: figures must stay comparable
package rlpxb

import (
	"bytes"
	"crypto/ecdsa"
	"fmt"
	"net"
	"testing"
	"time"

	"parley/interop/bench/internal/cpu"
	"parley/interop/bench/internal/impl"
	"parley/interop/bench/internal/payload"

	"github.com/ethereum/go-ethereum/crypto"
)

var k1, _ = crypto.GenerateKey()
var k2, _ = crypto.GenerateKey()

func tcpPair(tb testing.TB, ln net.Listener) (net.Conn, net.Conn) {
	ch := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			panic(err)
		}
		ch <- c
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return c, <-ch
}

// shake runs both sides.
func shake(tb testing.TB, im impl.Impl, c, s net.Conn) (impl.Conn, impl.Conn) {
	ic, is := im.New(c, &k2.PublicKey), im.New(s, nil)
	errc := make(chan error, 1)
	go func() { errc <- is.Handshake(k2) }()
	if err := ic.Handshake(k1); err != nil {
		tb.Fatal(err)
	}
	if err := <-errc; err != nil {
		tb.Fatal(err)
	}
	return ic, is
}

func BenchmarkHandshake(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	for _, im := range impl.All {
		b.Run("pipe/"+im.Name, func(b *testing.B) {
			b.ReportAllocs()
			cpu.Track(b)
			for i := 0; i < b.N; i++ {
				c, s := net.Pipe()
				ic, is := shake(b, im, c, s)
				ic.Close()
				is.Close()
			}
		})
		b.Run("tcp/"+im.Name, func(b *testing.B) {
			b.ReportAllocs()
			cpu.Track(b)
			for i := 0; i < b.N; i++ {
				c, s := tcpPair(b, ln)
				ic, is := shake(b, im, c, s)
				ic.Close()
				is.Close()
			}
		})
	}
}

var sizes = []struct {
	name string
	n    int
}{{"64B", 64}, {"1KB", 1 << 10}, {"32KB", 32 << 10}, {"256KB", 256 << 10}, {"1MB", 1 << 20}}

func eachPayload(f func(name string, data []byte)) {
	for _, s := range sizes {
		f("comp/"+s.name, payload.Compressible(s.n))
		f("rand/"+s.name, payload.Random(s.n))
	}
}

// One direction over TCP loopback: writer and reader are two goroutines of this process.
// cpu-ns/op is therefore sender + receiver + both kernel halves.
func BenchmarkTCP(b *testing.B) {
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	for _, im := range impl.All {
		eachPayload(func(name string, data []byte) {
			b.Run(name+"/"+im.Name, func(b *testing.B) {
				c, s := tcpPair(b, ln)
				ic, is := shake(b, im, c, s)
				defer ic.Close()
				defer is.Close()
				ic.SetSnappy(true)
				is.SetSnappy(true)
				done := make(chan error, 1)
				n := b.N
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				b.ResetTimer()
				cpu.Track(b)
				t0 := time.Now()
				go func() {
					for i := 0; i < n; i++ {
						if _, d, err := is.Read(); err != nil || len(d) != len(data) {
							done <- fmt.Errorf("read %d: %v", len(d), err)
							return
						}
					}
					done <- nil
				}()
				for i := 0; i < n; i++ {
					if err := ic.Write(17, data); err != nil {
						b.Fatal(err)
					}
				}
				if err := <-done; err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(n)/time.Since(t0).Seconds(), "msg/s")
			})
		})
	}
}

// memConn lets a session run without the kernel: writes are dropped or recorded, reads replay.
type memConn struct {
	net.Conn
	on  bool
	rec *bytes.Buffer
	src *bytes.Reader
}

func (m *memConn) Write(p []byte) (int, error) {
	if !m.on {
		return m.Conn.Write(p)
	}
	if m.rec != nil {
		m.rec.Write(p)
	}
	return len(p), nil
}

func (m *memConn) Read(p []byte) (int, error) {
	if !m.on {
		return m.Conn.Read(p)
	}
	return m.src.Read(p)
}

func memPair(tb testing.TB, im impl.Impl) (w, r impl.Conn, wc, rc *memConn) {
	c, s := net.Pipe()
	wc, rc = &memConn{Conn: c}, &memConn{Conn: s}
	w, r = shake(tb, im, wc, rc)
	w.SetSnappy(true)
	r.SetSnappy(true)
	wc.on, rc.on = true, true
	return
}

// Pure user-space cost of sending one message (no syscalls).
func BenchmarkWriteMem(b *testing.B) {
	for _, im := range impl.All {
		eachPayload(func(name string, data []byte) {
			b.Run(name+"/"+im.Name, func(b *testing.B) {
				w, _, _, _ := memPair(b, im)
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				b.ResetTimer()
				cpu.Track(b)
				for i := 0; i < b.N; i++ {
					if err := w.Write(17, data); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// Pure user-space cost of receiving one message: frames are recorded first, then replayed.
func BenchmarkReadMem(b *testing.B) {
	for _, im := range impl.All {
		eachPayload(func(name string, data []byte) {
			b.Run(name+"/"+im.Name, func(b *testing.B) {
				w, r, wc, rc := memPair(b, im)
				chunk := max(1, (4<<20)/len(data))
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				var used time.Duration
				b.ResetTimer()
				for i := 0; i < b.N; i += chunk {
					b.StopTimer()
					k := min(chunk, b.N-i)
					wc.rec = new(bytes.Buffer)
					for j := 0; j < k; j++ {
						w.Write(17, data)
					}
					rc.src = bytes.NewReader(wc.rec.Bytes())
					t := cpu.Process()
					b.StartTimer()
					for j := 0; j < k; j++ {
						if _, _, err := r.Read(); err != nil {
							b.Fatal(err)
						}
					}
					used += cpu.Process() - t
				}
				b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
			})
		})
	}
}

var _ *ecdsa.PublicKey
