package simnet_test

import (
	"bytes"
	"errors"
	"io"
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
