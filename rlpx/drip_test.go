package rlpx

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// drip writes data to fd, step bytes every pause, and calls check after each
// with the number of bytes written so far, until stop is closed.
func drip(fd *end, data []byte, step int, pause time.Duration, stop chan struct{}, check func(sent int)) {
	for sent := 0; sent < len(data); {
		n := min(step, len(data)-sent)
		fd.Write(data[sent : sent+n])
		sent += n
		synctest.Wait()
		check(sent)
		select {
		case <-stop:
			return
		case <-time.After(pause):
		}
	}
}

// Before Hello a header that claims more than a Hello is refused when it is
// read, whatever follows and however much: no buffer is taken for it.
func TestC2(t *testing.T) {
	for _, size := range []int{helloFrame + 1, 1 << 20, maxFrame} {
		bufs := NewPoisonedBuffers()
		out, c, fd := direct(bufs)
		c.SetLimits(newConn(fd, bufs).limits)
		header := frameHeader(size)
		fd.Write(out.sealRaw(header, nil)[:frameHead])
		fd.hangUp() // else a reader that waits for the body would do so forever
		if _, err := c.ReadMsg(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("claim of %d bytes: %v, want ErrTooLarge", size, err)
		}
		for class := range classes {
			if bufs.classes[class].Get() != nil {
				t.Errorf("claim of %d bytes: a buffer of %d was taken", size, classSize(class))
			}
		}
	}
	out, c, fd := direct(nil)
	c.SetLimits(newConn(fd, nil).limits)
	fd.Write(out.frameOf(append([]byte{0x80}, make([]byte, helloFrame-1)...)))
	if m, err := c.ReadMsg(); err != nil || len(m.Payload) != 2<<10 {
		t.Errorf("Hello of 2 KiB: %d bytes, %v", len(m.Payload), err)
	}
}

// A claim of 16 MiB of which one byte a second arrives ends 5 s and some
// milliseconds after the header, and memory follows what has arrived.
func TestC3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bufs := NewPoisonedBuffers()
		out, c, fd := direct(bufs)
		frame := out.sealRaw(frameHeader(maxFrame), make([]byte, 1024))
		start := time.Now()
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			_, err := c.ReadMsg()
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("ReadMsg = %v, want a timeout", err)
			}
			// 6 bytes of body have come by then, the first with the header.
			want := bodyGrace + 6*time.Second/bodyRate
			if took := time.Since(start); took != want {
				t.Errorf("ended after %v, want %v", took, want)
			}
		}()
		fd.Write(frame[:frameHead])
		drip(fd, frame[frameHead:], 1, time.Second, stop, func(sent int) {
			if used := bufs.InUse(); used > int64(2*sent+64<<10) {
				t.Errorf("%d bytes in use for %d received", used, sent)
			}
		})
		wantInUse(t, bufs, 0)
	})
}

// Memory is at most twice the bytes received and 64 KiB more, at every point of a
// frame of 16 MiB that comes in fast.
func TestBodyMemory(t *testing.T) {
	bufs := NewBuffers()
	out, c, fd := direct(bufs)
	const size = 6 << 20
	frame := out.frameOf(append([]byte{0x10}, text(size)...))
	received := 0
	var worst int64
	fd.out.segment = func(have int) int {
		// Called with the lock of the reading side held, before each read.
		worst = max(worst, bufs.InUse()-int64(2*received))
		n := min(have, 10_000)
		received += n
		return n
	}
	fd.Write(frame)
	m, err := c.ReadMsg()
	if err != nil || len(m.Payload) != size {
		t.Fatalf("ReadMsg = %d bytes, %v", len(m.Payload), err)
	}
	t.Logf("at worst twice what was received and %d bytes", worst)
	if worst > 64<<10 {
		t.Errorf("memory was above twice what was received by %d bytes, want at most 64 KiB", worst)
	}
	m.Release()
	wantInUse(t, bufs, 0)
}

// The rate that a body must keep: 500 bytes a second are too slow, and that shows
// when 5 s and the time for what has come are used up; 1 KiB is enough.
func TestBodyRate(t *testing.T) {
	const size = 40 << 10
	for _, c := range []struct {
		rate int // bytes a second
		ends time.Duration
		ok   bool
	}{
		{500, bodyGrace + 5000*time.Second/bodyRate, false},
		{1 << 10, 40 * time.Second, true}, // the 41st part brings the MAC
		{2 << 10, 20 * time.Second, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			bufs := NewPoisonedBuffers()
			out, to, fd := direct(bufs)
			frame := out.frameOf(append([]byte{0x10}, text(size)...))
			start := time.Now()
			stop := make(chan struct{})
			go func() {
				defer close(stop)
				m, err := to.ReadMsg()
				if c.ok != (err == nil) {
					t.Errorf("%d bytes a second: %v", c.rate, err)
				}
				m.Release()
				if took := time.Since(start); took != c.ends {
					t.Errorf("%d bytes a second: ended after %v, want %v", c.rate, took, c.ends)
				}
			}()
			fd.Write(frame[:frameHead])
			drip(fd, frame[frameHead:], c.rate, time.Second, stop, func(int) {})
			<-stop
			wantInUse(t, bufs, 0)
		})
	}
}

// With Limits.Absolute, as before Hello, the caller's deadline holds for header
// and body alike.
func TestAbsoluteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bufs := NewPoisonedBuffers()
		out, c, fd := direct(bufs)
		c.SetLimits(Limits{Frame: helloFrame, Absolute: true})
		start := time.Now()
		c.NetConn().SetReadDeadline(start.Add(5 * time.Second))
		frame := out.frameOf(append([]byte{0x80}, make([]byte, 2000)...))
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			_, err := c.ReadMsg()
			if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took != 5*time.Second {
				t.Errorf("ReadMsg = %v after %v, want a timeout after 5s", err, took)
			}
		}()
		// The header is whole after 4 s.
		drip(fd, frame, 8, time.Second, stop, func(int) {})
		wantInUse(t, bufs, 0)
	})
}

// A timeout while waiting for a header loses nothing; the next ReadMsg goes on.
func TestIdleDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, c, fd := direct(nil)
		frame := out.frameOf([]byte{0x10, 0xc0})
		fd.Write(frame[:7])
		for range 3 {
			c.NetConn().SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.ReadMsg(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("ReadMsg = %v, want a timeout", err)
			}
		}
		fd.Write(frame[7:])
		c.NetConn().SetReadDeadline(time.Time{})
		if m, err := c.ReadMsg(); err != nil || m.Code != 0x10 {
			t.Errorf("after timeouts: %#x, %v", m.Code, err)
		}
	})
}

// Close ends a ReadMsg in progress, wherever it is, and takes all buffers back.
func TestClose(t *testing.T) {
	out, _, _ := direct(nil)
	frame := out.frameOf(append([]byte{0x10}, text(300_000)...))
	for _, n := range []int{0, 10, frameHead, frameHead + 100, 100_000, len(frame) - 1} {
		synctest.Test(t, func(t *testing.T) {
			bufs := NewPoisonedBuffers()
			_, c, fd := direct(bufs)
			fd.Write(frame[:n])
			done := make(chan error)
			go func() {
				_, err := c.ReadMsg()
				done <- err
			}()
			synctest.Wait()
			c.Close()
			wantInUse(t, bufs, 0)
			if err := <-done; err == nil {
				t.Errorf("%d bytes: ReadMsg returned a message", n)
			}
			c.Close()
		})
	}
	// Nobody reads, but frames are left in the window.
	bufs := NewPoisonedBuffers()
	out, c, fd := direct(bufs)
	for range 10 {
		fd.Write(out.frameOf(append([]byte{0x10}, text(300)...)))
	}
	m, err := c.ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	m.Release()
	wantInUse(t, bufs, readAhead)
	c.Close()
	wantInUse(t, bufs, 0)
	if _, err := c.ReadMsg(); err == nil {
		t.Error("ReadMsg after Close returned a message")
	}
}
