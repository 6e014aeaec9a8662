package rlpdiff

import (
	"fmt"
	"testing"
	"time"

	gethrlp "github.com/ethereum/go-ethereum/rlp"

	"parley/rlp"
)

// An announcement is what peers send most: new transactions by hash.
type announcement struct {
	Types  []byte
	Sizes  []uint32
	Hashes [][32]byte
}

func newAnnouncement(n int) *announcement {
	a := new(announcement)
	for i := range n {
		a.Types = append(a.Types, byte(i%4))
		a.Sizes = append(a.Sizes, uint32(100+i*37))
		a.Hashes = append(a.Hashes, [32]byte{byte(i), 31: byte(i)})
	}
	return a
}

// A job is one thing that both sides do.
type job struct {
	name         string
	ours, theirs func() error
}

func jobs() []job {
	var js []job
	for _, n := range []int{4, 16, 256} {
		a := newAnnouncement(n)
		js = append(js, codec(fmt.Sprintf("announcement of %d", n), a)...)
	}
	n := nested{Inner: inner{Number: 1 << 40, Name: "name"}, List: make([]inner, 10), Ptr: new(inner)}
	js = append(js, codec("nested structs", &n)...)
	blobs := make([][]byte, 100)
	for i := range blobs {
		blobs[i] = make([]byte, 110)
	}
	js = append(js, codec("100 byte strings", &blobs)...)
	t := tailed[[]byte]{A: 4, B: 7}
	return append(js, codec("small message", &t)...)
}

// codec returns the two directions for one value.
func codec[T any](name string, v *T) []job {
	enc, err := rlp.Encode(v)
	if err != nil {
		panic(err)
	}
	return []job{
		{
			"encode " + name,
			func() error { _, err := rlp.Encode(v); return err },
			func() error { _, err := gethrlp.EncodeToBytes(v); return err },
		},
		{
			"decode " + name,
			func() error { return rlp.Decode(enc, new(T)) },
			func() error { return gethrlp.DecodeBytes(enc, new(T)) },
		},
	}
}

func run(b *testing.B, f func() error) {
	b.ReportAllocs()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRLP(b *testing.B) {
	for _, j := range jobs() {
		b.Run(j.name+"/parley", func(b *testing.B) { run(b, j.ours) })
		b.Run(j.name+"/go-ethereum", func(b *testing.B) { run(b, j.theirs) })
	}
}

// The time of parley over that of go-ethereum, measured in turns in one process.
// The figures are printed, not asserted: go test -count 1 -v -run Ratio ./rlpdiff
func TestRatio(t *testing.T) {
	if !testing.Verbose() {
		return // nobody would see it
	}
	const rounds, calls = 150, 100 // short turns, of which one at least is not disturbed
	for _, j := range jobs() {
		best := [2]float64{}
		for range rounds {
			for side, f := range []func() error{j.ours, j.theirs} {
				ns := timeOf(t, f, calls)
				if best[side] == 0 || ns < best[side] {
					best[side] = ns
				}
			}
		}
		t.Logf("%-30s parley %7.0f ns, go-ethereum %7.0f ns, ratio %.2f", j.name, best[0], best[1], best[0]/best[1])
	}
}

// timeOf returns the nanoseconds of one call.
func timeOf(t *testing.T, f func() error, calls int) float64 {
	t.Helper()
	start := time.Now()
	for range calls {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	return float64(time.Since(start).Nanoseconds()) / float64(calls)
}
