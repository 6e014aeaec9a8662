package keccak

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/cloudflare/circl/simd/keccakf1600"
	"golang.org/x/crypto/sha3"
)

// The digests of the empty string and of "abc" are public knowledge.
func TestVectors(t *testing.T) {
	for in, want := range map[string]string{
		"":    "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
		"abc": "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
	} {
		got := Sum256([]byte(in))
		if hex.EncodeToString(got[:]) != want {
			t.Errorf("Keccak-256 of %q = %x, want %s", in, got, want)
		}
	}
}

// The permutation is the one of another implementation, on states that set each
// bit alone and on random ones.
func TestPermute(t *testing.T) {
	var four keccakf1600.StateX4
	a := four.Initialize(false)
	check := func(state [25]uint64) {
		t.Helper()
		for i := range state {
			a[4*i] = state[i]
		}
		four.Permute()
		got := state
		permute(&got)
		for i := range got {
			if got[i] != a[4*i] {
				t.Fatalf("%x: lane %d = %#x, want %#x", state, i, got[i], a[4*i])
			}
		}
	}
	check([25]uint64{})
	for bit := range 1600 {
		var state [25]uint64
		state[bit/64] = 1 << (bit % 64)
		check(state)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var state [25]uint64
		for i := range state {
			state[i] = rng.Uint64()
		}
		check(state)
	}
}

// Inputs of all lengths up to three blocks, in one piece and in two, give the
// digests of another implementation, and a digest does not disturb the hash.
func TestSponge(t *testing.T) {
	data := make([]byte, 3*rate+1)
	rand.NewChaCha8([32]byte{1}).Read(data)
	for n := range data {
		in := data[:n]
		h := sha3.NewLegacyKeccak256()
		h.Write(in)
		want := h.Sum(nil)
		if got := Sum256(in); !bytes.Equal(got[:], want) {
			t.Fatalf("%d bytes: %x, want %x", n, got, want)
		}
		for _, cut := range []int{0, 1, 7, 8, 9, 16, n / 2, rate - 1, rate, rate + 1, n - 1} {
			if cut < 0 || cut > n {
				continue
			}
			var s Sponge
			s.Absorb(in[:cut])
			s.Sum()
			other := s
			s.Absorb(in[cut:])
			if got := s.Sum(); !bytes.Equal(got[:], want) {
				t.Fatalf("%d and %d bytes: %x, want %x", cut, n-cut, got, want)
			}
			if got := other.Sum(); got != Sum256(in[:cut]) {
				t.Fatalf("the copy after %d bytes: %x", cut, got)
			}
		}
	}
}

// Hashes that meet in a Bank at any fill level, with inputs of any lengths, get
// the digests and the states that they get alone, whether the processor has a
// permutation of that width or not.
func TestBank(t *testing.T) {
	t.Logf("this processor permutes %d at once", Width())
	rng := rand.New(rand.NewPCG(3, 4))
	data := make([]byte, 5000)
	rand.NewChaCha8([32]byte{2}).Read(data)
	var banks []*Bank
	for width := range MaxWidth {
		banks = append(banks, NewBank(width+1))
	}
	for round := range 1000 {
		b := banks[rng.IntN(len(banks))]
		if round%2 == 0 {
			b = banks[4*rng.IntN(2)+3]
		}
		var alone, together [17]Sponge
		var want, got [17][][Size]byte
		var inputs [17][][]byte
		n := 1 + round%len(alone)
		for i := range n {
			start := data[:rng.IntN(500)]
			alone[i].Absorb(start)
			together[i].Absorb(start)
			for range 1 + rng.IntN(4) {
				in := data[rng.IntN(1000):][:rng.IntN(3*rate)]
				switch rng.IntN(10) {
				case 0:
					in = data[rng.IntN(1000):][:rng.IntN(4000)]
				case 1:
					in = data[:rate-alone[i].n]
				}
				inputs[i] = append(inputs[i], in)
				alone[i].Absorb(in)
				want[i] = append(want[i], alone[i].Sum())
			}
			got[i] = make([][Size]byte, len(want[i]))
		}
		bank(b, together[:n], inputs[:n], got[:n])
		for i := range n {
			for k := range want[i] {
				if got[i][k] != want[i][k] {
					t.Fatalf("width %d, hash %d of %d, input %d: %x, want %x", len(b.columns), i, n, k, got[i][k], want[i][k])
				}
			}
			if together[i] != alone[i] {
				t.Fatalf("width %d, hash %d of %d: another state", len(b.columns), i, n)
			}
		}
	}
}

// bank runs the inputs of each hash one after the other, all hashes side by side.
func bank(b *Bank, hashes []Sponge, inputs [][][]byte, digests [][][Size]byte) {
	type place struct{ hash, input int }
	places := make([]place, len(b.columns))
	next, busy := 0, 0
	for i := range places {
		places[i] = place{hash: -1}
	}
	for first := true; first || busy > 0; first = false {
		if !first {
			b.Advance()
		}
		for i := range places {
			p := &places[i]
			if !b.Free(i) {
				continue
			}
			if p.hash >= 0 {
				busy--
				p.input++
			}
			if p.hash < 0 || p.input == len(inputs[p.hash]) {
				if next == len(hashes) {
					p.hash = -1
					continue
				}
				*p = place{hash: next}
				next++
			}
			busy++
			b.Start(i, &hashes[p.hash], inputs[p.hash][p.input], &digests[p.hash][p.input])
		}
	}
}

func FuzzSponge(f *testing.F) {
	f.Add([]byte("abc"), 1, 2)
	f.Add(make([]byte, 3*rate), rate, 2*rate)
	f.Fuzz(func(t *testing.T, data []byte, a, b int) {
		a = min(max(a, 0), len(data))
		b = min(max(b, a), len(data))
		h := sha3.NewLegacyKeccak256()
		h.Write(data)
		if got := Sum256(data[:a], data[a:b], data[b:]); !bytes.Equal(got[:], h.Sum(nil)) {
			t.Errorf("%x, cut at %d and %d: %x", data, a, b, got)
		}
	})
}
