package rlpx

import (
	"bytes"
	"errors"
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

// The first message of AcceptWith goes out with the ack in one write, and both are
// read with one read; each side needs one more for the packet of the other.
func TestAcceptWith(t *testing.T) {
	ea, eb := pipe()
	bufs := NewPoisonedBuffers()
	payload := text(180)
	type result struct {
		c   *Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := AcceptWith(eb, keyB, bufs, 3, payload)
		done <- result{c, err}
	}()
	a, err := Initiate(ea, keyA, keyB.Public(), bufs)
	r := <-done
	if err != nil || r.err != nil {
		t.Fatalf("Initiate: %v, AcceptWith: %v", err, r.err)
	}
	b := r.c
	m, err := a.ReadMsg()
	if err != nil || m.Code != 3 || !bytes.Equal(m.Payload, payload) {
		t.Fatalf("ReadMsg = code %d, %x, %v; want the first message", m.Code, m.Payload, err)
	}
	m.Release()
	if eb.writes != 1 || ea.in.reads != 1 || eb.in.reads != 1 {
		t.Errorf("%d writes of ack and message, %d reads of them, %d of auth; want 1 each", eb.writes, ea.in.reads, eb.in.reads)
	}
	// What follows is in order behind it.
	for i, from := range []*Conn{b, a} {
		to := []*Conn{a, b}[i]
		if err := from.WriteMsg(4, nil); err != nil {
			t.Fatal(err)
		}
		if m, err := to.ReadMsg(); err != nil || m.Code != 4 {
			t.Errorf("ReadMsg = code %d, %v; want 4", m.Code, err)
		}
	}
	wantInUse(t, bufs, 0)
}

// A first message that cannot be sent is an error, and nothing is written.
func TestAcceptWithTooLarge(t *testing.T) {
	ea, eb := pipe()
	ea.Write(must(t)(sealAuth(keyA, keyB.Public(), testDraw(1))))
	bufs := NewPoisonedBuffers()
	_, err := AcceptWith(eb, keyB, bufs, 0, make([]byte, MaxMessage+1))
	var he *HandshakeError
	if !errors.Is(err, ErrTooLarge) || !errors.As(err, &he) || he.Step != StepSendAck {
		t.Errorf("AcceptWith = %v, want ErrTooLarge at %q", err, StepSendAck)
	}
	if eb.writes != 0 {
		t.Errorf("%d writes, want none", eb.writes)
	}
	wantInUse(t, bufs, 0)
}
