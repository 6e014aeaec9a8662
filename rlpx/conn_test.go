package rlpx

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Messages of all kinds of sizes pass in both directions, with Snappy and
// without, and leave nothing behind.
func TestConn(t *testing.T) {
	for _, snappy := range []bool{false, true} {
		a, b, _, _, bufs := session(t)
		a.SetSnappy(snappy)
		b.SetSnappy(snappy)
		if a.Remote() != keyB.Public() || b.Remote() != keyA.Public() {
			t.Fatalf("remote keys %x and %x", a.Remote(), b.Remote())
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for _, size := range []int{0, 1, 15, 16, 17, 100, 200, 300, 4000, 4096, 5000, 64 << 10, 64<<10 + 1, 200_000, 1 << 20, 3_000_001} {
			payload := make([]byte, size)
			for i := range payload {
				payload[i] = byte(rng.Uint32() >> 28)
			}
			for i, from := range []*Conn{a, b} {
				to := []*Conn{b, a}[i]
				if err := from.WriteMsg(uint64(size), payload); err != nil {
					t.Fatalf("write %d bytes: %v", size, err)
				}
				m, err := to.ReadMsg()
				if err != nil {
					t.Fatalf("read %d bytes: %v", size, err)
				}
				if m.Code != uint64(size) || !bytes.Equal(m.Payload, payload) {
					t.Fatalf("message %d of %d bytes came as %d of %d bytes", size, size, m.Code, len(m.Payload))
				}
				m.Release()
				m.Release()
			}
			wantInUse(t, bufs, 0)
		}
	}
}
