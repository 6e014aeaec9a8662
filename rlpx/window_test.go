package rlpx

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Whatever sizes are asked for and whatever segments come, a window yields the
// bytes of the stream in order, none twice, and its buffers go back.
func TestWindow(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 9))
		bufs := NewPoisonedBuffers()
		a, b := pipe()
		stream := noise(60_000)
		a.Write(stream)
		most := 1 << rng.IntN(13)
		b.in.segment = func(have int) int { return 1 + rng.IntN(min(have, most)) }
		w := window{bufs: bufs, ahead: earlyReadAhead << (2 * rng.IntN(2))}
		for at := 0; at < len(stream); {
			n := min(1+rng.IntN(1<<rng.IntN(13)), len(stream)-at)
			if err := w.fill(b, n); err != nil {
				t.Fatal(err)
			}
			if got := w.take(n); !bytes.Equal(got, stream[at:at+n]) {
				t.Fatalf("seed %d: bytes %d to %d are wrong", seed, at, at+n)
			}
			at += n
			if rng.IntN(2) == 0 {
				w.settle()
			}
		}
		w.settle()
		wantInUse(t, bufs, 0)
	}
}
