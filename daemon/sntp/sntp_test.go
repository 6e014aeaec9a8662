package sntp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

const nonce = 0x0123456789abcdef

// stamp is the timestamp of t.
func stamp(t time.Time) uint64 {
	seconds := uint64(t.Unix() + 2_208_988_800)
	return seconds<<32 | uint64(t.Nanosecond())<<32/1e9
}

// answer makes an answer of a server whose clock showed these times.
func answer(nonce uint64, arrived, left time.Time) []byte {
	p := make([]byte, packetSize)
	p[atFlags], p[atStratum] = version<<3|modeServer, 2
	binary.BigEndian.PutUint64(p[atOriginal:], nonce)
	binary.BigEndian.PutUint64(p[atReceived:], stamp(arrived))
	binary.BigEndian.PutUint64(p[atSent:], stamp(left))
	return p
}

// The request is the one of RFC 4330: version 4, client, and nothing but the nonce.
func TestSeal(t *testing.T) {
	want := append(append([]byte{0x23}, make([]byte, 39)...), 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef)
	if got := Seal(nonce); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// The offset is the mean of both ways, the delay without the server's own time.
func TestOpen(t *testing.T) {
	sent := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name         string
		sent         time.Time
		offset       time.Duration
		there, back  time.Duration
		served       time.Duration
		wantO, wantD time.Duration
	}{
		{"right", sent, 0, 10 * time.Millisecond, 10 * time.Millisecond, time.Millisecond, 0, 20 * time.Millisecond},
		{"slow", sent, 3 * time.Second, 10 * time.Millisecond, 10 * time.Millisecond, time.Second, 3 * time.Second, 20 * time.Millisecond},
		{"fast", sent, -3 * time.Second, 10 * time.Millisecond, 30 * time.Millisecond, 0, -3010 * time.Millisecond, 40 * time.Millisecond},
		{"years", sent, -25 * 365 * 24 * time.Hour, 0, 0, 0, -25 * 365 * 24 * time.Hour, 0},
		{"after 2036", time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), 2 * time.Second, 0, 0, 0, 2 * time.Second, 0},
		{"well after 2036", time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC), time.Second, 0, 0, 0, time.Second, 0},
	} {
		arrived := tt.sent.Add(tt.there + tt.offset)
		left := arrived.Add(tt.served)
		received := tt.sent.Add(tt.there + tt.served + tt.back)
		r, err := Open(answer(nonce, arrived, left), nonce, tt.sent, received)
		near := func(a, b time.Duration) bool { return (a - b).Abs() < time.Microsecond }
		if err != nil || !near(r.Offset, tt.wantO) || !near(r.Delay, tt.wantD) || r.Stratum != 2 {
			t.Errorf("%s: %+v, %v; want offset %v, delay %v", tt.name, r, err, tt.wantO, tt.wantD)
		}
	}
}

// What is no answer, or none that tells the time, is refused.
func TestOpenRefuses(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		spoil func(p []byte) []byte
		want  error
	}{
		{"short", func(p []byte) []byte { return p[:47] }, ErrNotOurs},
		{"empty", func([]byte) []byte { return nil }, ErrNotOurs},
		{"another request", func(p []byte) []byte { p[atOriginal]++; return p }, ErrNotOurs},
		{"our own packet", func([]byte) []byte { return Seal(nonce) }, ErrNotOurs},
		{"broadcast", func(p []byte) []byte { p[atFlags] = version<<3 | 5; return p }, ErrNotOurs},
		{"kiss of death", func(p []byte) []byte { p[atStratum] = 0; copy(p[atCode:], "RATE"); return p }, KissError("RATE")},
		{"not synchronized", func(p []byte) []byte { p[atFlags] |= 3 << 6; return p }, ErrNoTime},
		{"stratum 16", func(p []byte) []byte { p[atStratum] = 16; return p }, ErrNoTime},
		{"no time", func(p []byte) []byte { clear(p[atSent:]); return p }, ErrNoTime},
	} {
		if r, err := Open(tt.spoil(answer(nonce, now, now)), nonce, now, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v; want %v", tt.name, r, err, tt.want)
		}
	}
}

// A server on the loopback interface is asked; packets that are no answer are passed
// over, and silence ends with the context.
func TestQuery(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		var p [512]byte
		for {
			n, from, err := server.ReadFrom(p[:])
			if err != nil {
				return
			}
			if n != packetSize {
				continue
			}
			asked := binary.BigEndian.Uint64(p[atSent:])
			ahead := time.Now().Add(time.Hour)
			server.WriteTo(answer(asked+1, ahead, ahead), from)
			server.WriteTo([]byte("stray"), from)
			server.WriteTo(answer(asked, ahead, ahead), from)
		}
	})
	r, err := Query(t.Context(), server.LocalAddr().String())
	if err != nil || r.Offset < 59*time.Minute || r.Offset > 61*time.Minute {
		t.Errorf("%+v, %v; want an offset of an hour", r, err)
	}
	server.Close()
	tasks.Wait()

	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Query(ctx, silent.LocalAddr().String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent server: %v; want the end of the context", err)
	}
}

// Open never reads what is not there.
func FuzzOpen(f *testing.F) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f.Add(answer(nonce, now, now))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := Open(p, nonce, now, now)
		if err == nil && (len(p) < packetSize || r.Delay < 0 || r.Stratum < 1 || r.Stratum > maxStratum) {
			t.Errorf("%x: %+v", p, r)
		}
	})
}
