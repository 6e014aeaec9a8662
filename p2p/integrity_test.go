package p2p

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"parley/internal/simnet"
	"parley/rlp"
)

// numbered writes count messages, each with its number and a payload that
// depends on it, most of them small and a few large.
func numbered(rw MsgWriter, seed uint64, count int) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, 0, 1<<16)
	for i := range count {
		buf = appendNumbered(buf[:0], rng, uint64(i))
		if err := rw.WriteMsg(Msg{Code: uint64(i % 4), Payload: buf}); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

// appendNumbered appends the payload of message i.
func appendNumbered(b []byte, rng *rand.Rand, i uint64) []byte {
	size := rng.IntN(40)
	switch r := rng.IntN(10000); {
	case r < 2:
		size = rng.IntN(200_000)
	case r < 100:
		size = rng.IntN(3000)
	}
	data := make([]byte, 8+size)
	binary.BigEndian.PutUint64(data, i)
	for j := 8; j < len(data); j += 64 {
		data[j] = byte(i + uint64(j))
	}
	return rlp.AppendBytes(b, data)
}

// checkNumbered reads count messages and reports the first that is not the one
// expected. It pauses now and then, so that queues fill.
func checkNumbered(rw MsgReader, seed uint64, count int) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	pause := rand.New(rand.NewPCG(seed, 2))
	var want []byte
	for i := range count {
		want = appendNumbered(want[:0], rng, uint64(i))
		m, err := rw.ReadMsg()
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if m.Code != uint64(i%4) || string(m.Payload) != string(want) {
			return fmt.Errorf("message %d: code %d with %d bytes, want code %d with %d bytes", i, m.Code, len(m.Payload), i%4, len(want))
		}
		m.Release()
		if pause.IntN(20_000) == 0 {
			rest(time.Duration(pause.IntN(2000)) * time.Millisecond) // virtual time
		}
	}
	return nil
}

// A million messages of random sizes over connections that cut, delay and stall:
// none is lost, doubled or reordered, and the queues stay within their bounds.
// With the race detector it is a tenth of them; make test runs both.
func TestMillionMessagesArriveInOrder(t *testing.T) {
	perDirection := 250_000 // two connections, two directions
	if raceEnabled {
		perDirection /= 10
	}
	inWorld(t, func(w *world) {
		w.net.SetDefaultLink(simnet.Link{Delay: 3 * time.Millisecond, Jitter: 5 * time.Millisecond, MaxSegment: 40_000, Window: 100_000})
		done := make(chan error, 8)
		proto := func(self int) Protocol {
			return Protocol{Name: "num", Version: 1, Length: 4, Run: func(p *Peer, rw MsgReadWriter) error {
				seed := func(from int, to int) uint64 { return uint64(10*from + to) }
				other := int(p.Name()[len(p.Name())-1] - '0')
				wrote := make(chan struct{})
				go func() {
					defer close(wrote)
					done <- numbered(rw, seed(self, other), perDirection)
				}()
				done <- checkNumbered(rw, seed(other, self), perDirection)
				<-wrote
				if m, err := rw.ReadMsg(); err == nil { // both sides keep the connection until the other ends it
					done <- fmt.Errorf("message %#x after the last one", m.Code)
				}
				return io.EOF
			}}
		}
		a := w.server(1, func(c *Config) { c.Protocols = []Protocol{proto(1)} })
		b := w.server(2, func(c *Config) { c.Protocols = []Protocol{proto(2)}; c.StaticNodes = append(c.StaticNodes, a.node()) })
		w.server(3, func(c *Config) { c.Protocols = []Protocol{proto(3)}; c.StaticNodes = append(c.StaticNodes, a.node()) })
		_ = b
		stalls := rand.New(rand.NewPCG(3, 3))
		most := 0
		for range 8 {
			for waiting := true; waiting; {
				select {
				case err := <-done:
					if err != nil {
						t.Fatal(err)
					}
					waiting = false
				case <-time.After(500 * time.Millisecond):
					if conns := w.net.Conns(); len(conns) > 0 {
						conns[stalls.IntN(len(conns))].Stall(time.Duration(stalls.IntN(1000)) * time.Millisecond)
					}
					for _, p := range a.Peers() {
						most = max(most, p.in.queued(), p.out.held())
					}
				}
			}
		}
		if limit := maxQueued + 256<<10; most > limit {
			t.Errorf("a queue held %d bytes, want at most %d", most, limit)
		}
		t.Logf("%d messages; the fullest queue seen held %d bytes", 4*perDirection, most)
	})
}
