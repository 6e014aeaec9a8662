package simnet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

const ms = time.Millisecond

// stopwatch returns a function that tells how much time has passed.
func stopwatch() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

func mustWrite(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if n, err := io.WriteString(c, s); n != len(s) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", s, n, err)
	}
}

// read does one Read, of at most 8 KiB.
func read(c net.Conn) (string, error) {
	b := make([]byte, 8<<10)
	n, err := c.Read(b)
	return string(b[:n]), err
}

func wantRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	if got, err := read(c); got != want || err != nil {
		t.Fatalf("Read = %q, %v; want %q", got, err, want)
	}
}

// What is written arrives after the link's delay, not before.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 40 * ms}})
		passed := stopwatch()
		mustWrite(t, a, "ping")
		if passed() != 0 {
			t.Errorf("Write took %v", passed())
		}
		wantRead(t, b, "ping")
		if passed() != 40*ms {
			t.Errorf("Read returned after %v, want 40ms", passed())
		}
		mustWrite(t, b, "pong")
		wantRead(t, a, "pong")
		if passed() != 80*ms {
			t.Errorf("the answer came after %v, want 80ms", passed())
		}
	})
}

// A link of 1,460 B/s delivers a segment of 1,460 B each second.
func TestBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 40 * ms, Bandwidth: 1460}})
		passed := stopwatch()
		mustWrite(t, a, string(make([]byte, 3*1460+730)))
		for i, want := range []time.Duration{1040 * ms, 2040 * ms, 3040 * ms, 3540 * ms} {
			got, err := read(b)
			if size := min(1460, 3*1460+730-i*1460); len(got) != size || err != nil || passed() != want {
				t.Errorf("Read %d = %d B, %v after %v; want %d B after %v", i, len(got), err, passed(), size, want)
			}
		}
	})
}

// A writer that nobody reads from fills the window and then waits, until its
// deadline or until there is room.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{})
		passed := stopwatch()
		a.SetWriteDeadline(time.Now().Add(20 * time.Second))
		n, err := a.Write(make([]byte, 1<<20))
		if n != simnet.DefaultWindow || !errors.Is(err, os.ErrDeadlineExceeded) || passed() != 20*time.Second {
			t.Fatalf("Write = %d, %v after %v; want the window of 262144, a timeout after 20s", n, err, passed())
		}
		a.SetWriteDeadline(time.Time{})

		done := make(chan int)
		go func() {
			n, _ := a.Write([]byte("0123456789"))
			done <- n
		}()
		synctest.Wait()
		io.ReadFull(b, make([]byte, 9))
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("Write returned with 9 of 10 bytes of room")
		default:
		}
		io.ReadFull(b, make([]byte, 1))
		if n := <-done; n != 10 {
			t.Errorf("Write = %d, want 10", n)
		}
	})
}

// The window can be chosen, down to none at all.
func TestSetWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Window: 1000}})
		for _, window := range []int{1000, 1500, 0} {
			b.SetWindow(window)
			a.SetWriteDeadline(time.Now().Add(time.Second))
			n, err := a.Write(make([]byte, 2000))
			if n != window || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("window %d: Write = %d, %v", window, n, err)
			}
			io.ReadFull(b, make([]byte, n))
		}
	})
}

// Deadlines end a Read exactly when they are due, also if they are set or moved
// while it waits; one in the past fails a Read even if there is data; and none
// brings the data back.
func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 100 * ms}})
		wantTimeout := func(want time.Duration, passed func() time.Duration) {
			t.Helper()
			_, err := read(b)
			var ne net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() || passed() != want {
				t.Errorf("Read = %v after %v; want a timeout after %v", err, passed(), want)
			}
		}

		passed := stopwatch()
		b.SetReadDeadline(time.Now().Add(50 * ms))
		wantTimeout(50*ms, passed)
		wantTimeout(50*ms, passed) // it stays

		passed = stopwatch()
		b.SetDeadline(time.Time{})
		time.AfterFunc(10*ms, func() { b.SetReadDeadline(time.Now().Add(20 * ms)) })
		wantTimeout(30*ms, passed)

		passed = stopwatch()
		b.SetReadDeadline(time.Now().Add(time.Hour))
		time.AfterFunc(10*ms, func() { b.SetReadDeadline(time.Unix(1, 0)) })
		wantTimeout(10*ms, passed)

		// Data and deadline at the same time: the deadline wins, always.
		passed = stopwatch()
		mustWrite(t, a, "data")
		b.SetReadDeadline(time.Now().Add(100 * ms))
		wantTimeout(100*ms, passed)
		b.SetReadDeadline(time.Time{})
		wantRead(t, b, "data")
	})
}

// Close lets everything arrive and then the end. The other side can write until
// it knows; what it wrote is lost.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 40 * ms}})
		passed := stopwatch()
		mustWrite(t, a, "bye")
		if err := a.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		// What is lost counts as under way, until the news comes.
		mustWrite(t, b, string(make([]byte, simnet.DefaultWindow)))
		if n, err := b.Write([]byte("x")); n != 0 || !errors.Is(err, syscall.EPIPE) || passed() != 40*ms {
			t.Errorf("Write beyond the window = %d, %v after %v; want EPIPE after 40ms", n, err, passed())
		}
		wantRead(t, b, "bye")
		if _, err := read(b); err != io.EOF || passed() != 40*ms {
			t.Errorf("Read at the end = %v after %v; want EOF after 40ms", err, passed())
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("Write after the other side's Close = %v, want EPIPE", err)
		}
		for name, err := range map[string]error{
			"Close":       a.Close(),
			"SetDeadline": a.SetDeadline(time.Now()),
			"Write":       second(a.Write([]byte("x"))),
			"Read":        second(a.Read(make([]byte, 1))),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close = %v, want ErrClosed", name, err)
			}
		}
		b.Close()
	})
}

func second(_ int, err error) error { return err }

// Close frees this side's calls at once, and a writer on the other side that
// waits for room when the news has come.
func TestCloseFreesBlockedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 40 * ms}})
		a.SetWindow(1000)
		b.SetWindow(500)
		passed := stopwatch()
		var wg sync.WaitGroup
		wg.Go(func() {
			n, err := a.Write(make([]byte, 1<<20))
			if n != 500 || !errors.Is(err, net.ErrClosed) || passed() != time.Second {
				t.Errorf("own Write = %d, %v after %v; want 500, ErrClosed after 1s", n, err, passed())
			}
		})
		wg.Go(func() {
			n, err := b.Write(make([]byte, 1<<20))
			if n != 1000 || !errors.Is(err, syscall.EPIPE) || passed() != time.Second+40*ms {
				t.Errorf("other Write = %d, %v after %v; want 1000, EPIPE after 1.04s", n, err, passed())
			}
		})
		time.AfterFunc(time.Second, func() { a.Close() })
		wg.Wait()

		c, d := simnet.Pipe(simnet.PipeOptions{})
		passed = stopwatch()
		time.AfterFunc(time.Second, func() { c.Close() })
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || passed() != time.Second {
			t.Errorf("own Read = %v after %v; want ErrClosed after 1s", err, passed())
		}
		d.Close()
	})
}

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

// Writes of several goroutines are each delivered whole, one after the other.
func TestConcurrentWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Window: 10}})
		const writers, size = 8, 1000
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				if _, err := a.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
					t.Error(err)
				}
			})
		}
		got := make([]byte, writers*size)
		if _, err := io.ReadFull(b, got); err != nil {
			t.Fatal(err)
		}
		for block := range slices.Chunk(got, size) {
			if bytes.Count(block, block[:1]) != size {
				t.Fatal("writes are interleaved")
			}
		}
		wg.Wait()

		// A writer that waits for its turn has its own deadline no more than
		// the one who writes: they share the connection's.
		a.SetWriteDeadline(time.Now().Add(time.Second))
		passed := stopwatch()
		for range writers {
			wg.Go(func() {
				if _, err := a.Write(make([]byte, size)); !errors.Is(err, os.ErrDeadlineExceeded) || passed() != time.Second {
					t.Errorf("Write = %v after %v, want a timeout after 1s", err, passed())
				}
			})
		}
		wg.Wait()
	})
}

// The counters tell bytes and calls.
func TestStats(t *testing.T) {
	a, b := simnet.Pipe(simnet.PipeOptions{})
	mustWrite(t, a, "12345")
	mustWrite(t, a, "678")
	wantRead(t, b, "12345678")
	if got, want := a.Stats(), (simnet.Stats{BytesWritten: 8, Writes: 2}); got != want {
		t.Errorf("writer's Stats = %+v, want %+v", got, want)
	}
	if got, want := b.Stats(), (simnet.Stats{BytesRead: 8, Reads: 1}); got != want {
		t.Errorf("reader's Stats = %+v, want %+v", got, want)
	}
}

// Outside a bubble the same holds in real time, at least the lower bounds.
func TestRealTime(t *testing.T) {
	a, b := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Delay: 5 * ms}})
	passed := stopwatch()
	mustWrite(t, a, "ping")
	wantRead(t, b, "ping")
	if passed() < 5*ms {
		t.Errorf("Read returned after %v, before the link's 5ms", passed())
	}
	b.SetReadDeadline(time.Now().Add(5 * ms))
	if _, err := read(b); !errors.Is(err, os.ErrDeadlineExceeded) || passed() < 10*ms {
		t.Errorf("Read = %v after %v; want a timeout after 10ms", err, passed())
	}
}
