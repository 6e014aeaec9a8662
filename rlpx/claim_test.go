package rlpx

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"parley/internal/secp"
)

// The key that an auth names, which anybody can write there, makes no
// difference: the answer comes in the same number of writes and the same range of
// sizes, also for our own key (B11, B14). Only the holder's first frame tells.
func TestB11(t *testing.T) {
	for name, claimed := range map[string]secp.PublicKey{
		"known": keyA.Public(), "unknown": key(77).Public(), "self": keyB.Public(),
	} {
		r := &roles[0]
		fields := r.fields()
		fields[1] = claimed[:]
		attacker, victim := pipe()
		attacker.Write(r.packet(body(fields, 4)))
		c, err := Accept(victim, keyB, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.Remote() != claimed {
			t.Errorf("%s: remote is %x, want %x", name, c.Remote(), claimed)
		}
		low := packetPrefix + envelopeOverhead + len(body(roles[1].fields(), 4)) + minPadding
		if high := low + maxPadding - minPadding; victim.writes != 1 || victim.written < low || victim.written > high {
			t.Errorf("%s: answered with %d bytes in %d writes, want %d to %d in one", name, victim.written, victim.writes, low, high)
		}
		// Noise after it is a bad MAC for all of them.
		attacker.Write(make([]byte, frameHead))
		if _, err := c.ReadMsg(); !errors.Is(err, ErrMAC) {
			t.Errorf("%s: first frame: %v, want ErrMAC", name, err)
		}
	}
}

// A connection to ourselves is noticed: before dialing, by the key; as recipient,
// when the first frame has proven that the other side has our key.
func TestB14(t *testing.T) {
	fd, _ := pipe()
	if _, err := Initiate(fd, keyA, keyA.Public(), nil); !errors.Is(err, ErrSelf) || fd.writes != 0 {
		t.Errorf("Initiate to own key = %v after %d writes, want ErrSelf after none", err, fd.writes)
	}

	// The initiator is made to believe that it dials somebody else: it has our key
	// and runs past the check that Initiate makes.
	d := testDraw(40)
	attacker, victim := pipe()
	auth, err := sealAuth(keyB, keyB.Public(), d)
	if err != nil {
		t.Fatal(err)
	}
	attacker.Write(auth)
	bufs := NewPoisonedBuffers()
	c, err := Accept(victim, keyB, bufs)
	if err != nil {
		t.Fatal(err)
	}
	i := newConn(attacker, nil)
	ackPacket, err := i.readPacket()
	if err != nil {
		t.Fatal(err)
	}
	ack, err := openAck(keyB, ackPacket)
	if err != nil {
		t.Fatal(err)
	}
	tr := &transcript{d.nonce, ack.nonce, auth, ackPacket}
	s, err := deriveSecrets(d.ephemeral, ack.ephemeral, tr)
	if err != nil {
		t.Fatal(err)
	}
	i.out, i.in, _ = newLanes(s, tr)
	if err := i.WriteMsg(0, []byte{0xc0}); err != nil {
		t.Fatal(err)
	}
	if m, err := c.ReadMsg(); !errors.Is(err, ErrSelf) {
		t.Errorf("first message from ourselves = %v, %v; want ErrSelf", m, err)
	}
	wantInUse(t, bufs, 0)

	// Our own auth, echoed, was sealed for somebody else.
	attacker, victim = pipe()
	victim.out = victim.in
	if _, err := Initiate(victim, keyA, keyB.Public(), nil); !errors.Is(err, ErrMAC) {
		t.Errorf("auth echoed back = %v, want ErrMAC", err)
	}
	_ = attacker
}

// Only the order of the bytes matters: not the segments they come in, nor that
// a frame comes with the handshake packet before it.
func TestB18(t *testing.T) {
	hello := append([]byte{0xf8, 200}, make([]byte, 200)...)
	run := func(t *testing.T, segment func(int) int) {
		bufs := NewPoisonedBuffers()
		attacker, victim := pipe()
		victim.in.segment = segment
		// The auth and the first frame are made before the recipient reads a byte:
		// its random values are fixed.
		da, db := testDraw(50), testDraw(60)
		auth, err := sealAuth(keyA, keyB.Public(), da)
		if err != nil {
			t.Fatal(err)
		}
		ack, err := sealAck(keyA.Public(), db)
		if err != nil {
			t.Fatal(err)
		}
		tr := &transcript{da.nonce, db.nonce, auth, ack}
		s, err := deriveSecrets(da.ephemeral, db.ephemeral.Public(), tr)
		if err != nil {
			t.Fatal(err)
		}
		a := newConn(attacker, nil)
		a.out, a.in, _ = newLanes(s, tr)
		segmentOne := bytes.Clone(auth)
		for range 3 {
			segmentOne, _ = a.AppendMsg(segmentOne, 0, hello)
		}
		attacker.Write(segmentOne)

		b := newConn(victim, bufs)
		if err := b.accept(keyB, func() (*draw, error) { return db, nil }, nil); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			m, err := b.ReadMsg()
			if err != nil || m.Code != 0 || !bytes.Equal(m.Payload, hello) {
				t.Fatalf("ReadMsg = %d, %x, %v", m.Code, m.Payload, err)
			}
			m.Release()
		}
		wantInUse(t, bufs, 0)

		// And back: ack and frame together.
		attacker.in.segment = segment
		attacker.in.data, _ = b.AppendMsg(attacker.in.data, 0, hello)
		a = newConn(attacker, bufs)
		attacker.writes = 0
		if err := a.initiate(keyA, keyB.Public(), da); err != nil {
			t.Fatal(err)
		}
		if m, err := a.ReadMsg(); err != nil || !bytes.Equal(m.Payload, hello) {
			t.Fatalf("initiator: ReadMsg = %x, %v", m.Payload, err)
		} else {
			m.Release()
		}
		wantInUse(t, bufs, 0)
	}
	t.Run("one segment", func(t *testing.T) { run(t, nil) })
	t.Run("one byte", func(t *testing.T) { run(t, func(int) int { return 1 }) })

	t.Run("auth twice", func(t *testing.T) {
		r := &roles[0]
		p := r.packet(body(r.fields(), 4))
		attacker, victim := pipe()
		attacker.Write(append(bytes.Clone(p), p...))
		bufs := NewPoisonedBuffers()
		c, err := Accept(victim, keyB, bufs)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadMsg(); !errors.Is(err, ErrMAC) {
			t.Errorf("second auth = %v, want ErrMAC", err)
		}
		wantInUse(t, bufs, 0)
	})
}

// PREHELLO: everything that a stranger makes Accept and the first ReadMsg
// allocate, freed or not, is less than 64 KiB.
func TestPreHelloMemory(t *testing.T) {
	r := &roles[0]
	plain := body(r.fields(), 4)
	p := r.packet(append(plain, make([]byte, maxPacket-envelopeOverhead-len(plain))...))
	const n = 50
	raw := append(p, make([]byte, 1<<20)...)
	fds := make([]*end, n)
	for i := range fds {
		attacker, victim := pipe()
		attacker.Write(raw)
		fds[i] = victim
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, fd := range fds {
		c, err := Accept(fd, keyB, NewBuffers())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadMsg(); !errors.Is(err, ErrMAC) {
			t.Fatalf("ReadMsg = %v, want ErrMAC", err)
		}
	}
	runtime.ReadMemStats(&after)
	per := (after.TotalAlloc - before.TotalAlloc) / n
	t.Logf("%d bytes for a stranger's handshake", per)
	if per > 64<<10 {
		t.Errorf("%d bytes allocated for a stranger, want at most 64 KiB", per)
	}
}
