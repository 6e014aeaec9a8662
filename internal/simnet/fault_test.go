package simnet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

// A reset is known at once here and after the link's delay there, where it takes
// with it what was not read.
func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 40 * ms}})
		passed := stopwatch()
		mustWrite(t, a, "unread")
		a.Reset()
		if _, err := read(a); !errors.Is(err, syscall.ECONNRESET) || passed() != 0 {
			t.Errorf("own Read = %v after %v", err, passed())
		}
		mustWrite(t, b, "into the void")
		if got, err := read(b); got != "" || !errors.Is(err, syscall.ECONNRESET) || passed() != 40*ms {
			t.Errorf("other Read = %q, %v after %v; want ECONNRESET after 40ms", got, err, passed())
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("other Write = %v", err)
		}
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	})
}

// After Vanish nothing arrives, no end and no reset either, and the other side
// blocks when the window is full.
func TestVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 40 * ms}})
		mustWrite(t, a, "under way")
		a.Vanish()
		mustWrite(t, a, "more")
		a.Reset()
		a.Close()

		passed := stopwatch()
		b.SetDeadline(time.Now().Add(time.Hour))
		n, err := b.Write(make([]byte, 1<<20))
		if n != simnet.DefaultWindow || !errors.Is(err, os.ErrDeadlineExceeded) || passed() != time.Hour {
			t.Errorf("Write = %d, %v after %v; want the window and a timeout after 1h", n, err, passed())
		}
		b.SetDeadline(time.Now().Add(time.Hour))
		if got, err := read(b); got != "" || !errors.Is(err, os.ErrDeadlineExceeded) || passed() != 2*time.Hour {
			t.Errorf("Read = %q, %v after %v; want a timeout", got, err, passed())
		}
	})
}

// A stall keeps back what is under way and what follows, not what has arrived.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 40 * ms}})
		passed := stopwatch()
		mustWrite(t, a, "1")
		<-time.After(40 * ms)
		mustWrite(t, a, "2")
		a.Stall(time.Second)
		mustWrite(t, a, "3")
		wantRead(t, b, "1")
		wantRead(t, b, "23")
		if passed() != 40*ms+time.Second {
			t.Errorf("the stalled bytes came after %v, want 1.04s", passed())
		}
		mustWrite(t, a, "4")
		wantRead(t, b, "4")
		if passed() != 80*ms+time.Second {
			t.Errorf("the next byte came after %v, want 1.08s", passed())
		}
	})
}

// A Read takes no more than one segment, and the sizes are those asked for.
func TestSegments(t *testing.T) {
	a, b := simnet.Pipe(simnet.PipeOptions{})
	sizes := []int{1, 3, -5, 100}
	a.Segments(func(int) int {
		n := sizes[0]
		sizes = sizes[1:]
		return n
	})
	mustWrite(t, a, "abcdefgh")
	for _, want := range []string{"a", "bcd", "e", "fgh"} {
		wantRead(t, b, want)
	}
	a.Segments(nil)
	mustWrite(t, a, "to")
	mustWrite(t, a, "gether")
	wantRead(t, b, "together")
}

var roughLinks = map[string]simnet.Link{
	"1-byte segments": {MaxSegment: 1, Window: 100},
	"random segments": {MaxSegment: 100, Delay: ms, Jitter: 10 * ms},
	"jitter":          {Delay: ms, Jitter: time.Second},
	"loss":            {Delay: 40 * ms, Loss: 0.3},
	"all":             {Delay: 40 * ms, Jitter: 40 * ms, Loss: 0.1, Bandwidth: 100_000, MaxSegment: 3000, Window: 10_000},
}

// Whatever a link does to segments, a stream loses, doubles and reorders
// nothing.
func TestStreamIsWhole(t *testing.T) {
	for name, link := range roughLinks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { transfer(t, link, 1) })
		})
	}
}

// The same writes at the same times arrive in the same pieces at the same times
// if the seed is the same, and only then.
func TestSeed(t *testing.T) {
	for name, link := range roughLinks {
		t.Run(name, func(t *testing.T) {
			link.Window = 0
			trace := func(seed uint64) (out []string) {
				synctest.Test(t, func(t *testing.T) {
					a, b := simnet.Pipe(simnet.PipeOptions{Link: link, Seed: seed})
					passed := stopwatch()
					a.Write(make([]byte, 20_000))
					a.Close()
					for {
						got, err := read(b)
						if err != nil {
							break
						}
						out = append(out, fmt.Sprint(len(got), passed()))
					}
					b.Close()
				})
				return out
			}
			first := trace(1)
			if !slices.Equal(first, trace(1)) {
				t.Error("the same seed gave two results")
			}
			if link.MaxSegment != 1 && slices.Equal(first, trace(2)) {
				t.Error("two seeds gave the same result")
			}
		})
	}
}

// transfer sends 200,000 random bytes in writes of random sizes, stalls now and
// then, and checks that they arrive.
func transfer(t *testing.T, link simnet.Link, seed uint64) {
	a, b := simnet.Pipe(simnet.PipeOptions{Link: link, Seed: seed})
	chance := rand.New(rand.NewPCG(seed, 0))
	want := make([]byte, 200_000)
	for i := range want {
		want[i] = byte(chance.Uint32())
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for rest := want; len(rest) > 0; {
			n := min(1+chance.IntN(5000), len(rest))
			if _, err := a.Write(rest[:n]); err != nil {
				t.Error(err)
			}
			rest = rest[n:]
			if chance.IntN(10) == 0 {
				a.Stall(50 * ms)
			}
		}
		a.Close()
	})
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadAll = %d bytes, %v; want the %d sent", len(got), err, len(want))
	}
	wg.Wait()
	b.Close()
}

// Loss shows as delay: at 30 % loss and one segment at a time, the mean over
// 2,000 segments is within 5 % of what the retransmission rule gives.
func TestLossDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tries = 2000
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 50 * ms, Loss: 0.3}, Seed: 1})
		passed := stopwatch()
		late := 0
		for range tries {
			start := passed()
			mustWrite(t, a, "x")
			wantRead(t, b, "x")
			switch d := passed() - start; d {
			case 50 * ms:
			case 350 * ms, 950 * ms, 2150 * ms, 4550 * ms, 9350 * ms, 18950 * ms:
				late++ // one to six retransmissions
			default:
				t.Errorf("a segment took %v", d)
			}
		}
		if late < tries*28/100 || late > tries*32/100 {
			t.Errorf("%d of %d segments were lost, want about 30 %%", late, tries)
		}
	})
}
