package discover

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"parley/enr"
	"parley/internal/discv4"
	"parley/internal/simnet"
)

// The rows F7, F11 and F12 of discovery v4 as bytes into the socket of a Service:
// what many strangers and many requests cost, and a clock that is wrong.

// 1,000 spoofed PINGs from as many networks within a quarter of a second exceed the
// budget for packets opened, of 1,000 a second here, and that for PINGs in return, of
// 250 a second. They cost a bounded amount of memory and no news for a database, and who
// is known is answered all the same.
func TestF7Flood(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(func(c *Config) { both(c); c.Rate = 1000 })
		friend := w.v4Stranger(1)
		friend.bond(a)
		a.Take()
		const packets = 1000
		crowd := make([]v4Stranger, packets)
		for i := range crowd {
			crowd[i] = w.v4Stranger(100 + i)
			crowd[i].key = friend.key
		}
		heap := heapInUse()
		pongs, pings := 0, 0
		for i, s := range crowd {
			data := s.say(a, &discv4.Ping{Expiration: soon(), To: discv4.Endpoint{UDP: uint16(i)}})
			for _, p := range s.take() {
				switch p.Message.Kind() {
				case discv4.KindPong:
					pongs++
					if 2*p.Size > 3*len(data) {
						t.Fatalf("PING of %d bytes, PONG of %d", len(data), p.Size)
					}
				case discv4.KindPing:
					pings++
				default:
					t.Errorf("%v for a PING", p.Message.Kind())
				}
			}
			if i%4 == 0 {
				w.wait(time.Millisecond)
			}
			if i%100 == 0 {
				friend.ping(a)
				if ps := friend.take(); !slices.ContainsFunc(ps, func(p *discv4.Packet) bool { return p.Message.Kind() == discv4.KindPong }) {
					t.Errorf("no PONG for a friend after %d packets of the flood", i)
				}
			}
		}
		grown := heapInUse() - heap
		st := a.Stats().V4
		// Half of the rate, which was full, and a quarter of a second of it.
		if pongs > 630 || pongs < 600 {
			t.Errorf("%d of %d PINGs answered, want about 625", pongs, packets)
		}
		if pings > 250+63 {
			t.Errorf("%d PINGs in return, want at most 250 and 250 a second", pings)
		}
		if news := a.Take(); len(news.Votes)+len(news.Proven) != 0 || st.Bonds != 1 {
			t.Errorf("the flood made news %v, %d bonds", news, st.Bonds)
		}
		if got := st.Dropped["rate"]; got < packets-630 {
			t.Errorf("%d dropped for the rate", got)
		}
		if grown > 8<<20 {
			t.Errorf("the flood holds %d bytes", grown)
		}
		t.Logf("%d PONGs, %d PINGs, %d KiB", pongs, pings, grown>>10)
	})
}

// heapInUse returns the bytes of live objects.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first left of pools
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// ENRREQUEST is answered once a second for each endpoint, and only with a proof.
func TestF11ENRRequest(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(both)
		s, unknown := w.v4Stranger(100), w.v4Stranger(101)
		s.bond(a)
		answers := 0
		for i := range 40 {
			for _, from := range []v4Stranger{s, unknown} {
				from.say(a, &discv4.ENRRequest{Expiration: soon() + uint64(i)})
				for _, p := range from.take() {
					if m, ok := p.Message.(*discv4.ENRResponse); ok {
						answers++
						if r, err := enr.ParseBytes(m.Record); err != nil || r.Seq() != 1 {
							t.Errorf("the record is %v, %v", r, err)
						}
					}
				}
			}
			w.wait(100 * time.Millisecond)
		}
		st := a.Stats().V4
		if answers != 4 || st.Dropped["asked too often"] != 36 || st.Dropped["no endpoint proof"] != 40 || unknown.n != 0 {
			t.Errorf("%d answers in 4 s, dropped %v; %d packets to a stranger; want 4, 36 and 40, 0", answers, st.Dropped, unknown.n)
		}
	})
}

// A clock that is an hour off from that of everybody else, in the middle of a
// request, costs no node its place in the table; the request ends, and half a
// minute after the clock is right everything works. Time in a bubble has one clock,
// so it is the others that are off.
func TestF12ClockStep(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: 10 * time.Millisecond}, func(w *world) {
				a := w.add(onlyV4)
				var others []v4Stranger
				for i := range 4 {
					others = append(others, w.v4Stranger(100+i))
					others[i].ping(a)
				}
				var off time.Duration
				run := func(d time.Duration) {
					for end := time.Now().Add(d); time.Now().Before(end); w.wait(100 * time.Millisecond) {
						for _, s := range others {
							for _, p := range s.take() {
								s.late(a, p, off)
							}
						}
					}
				}
				run(30 * time.Second)
				if live, _ := a.Table().Live(); live != len(others) {
					t.Fatalf("%d live", live)
				}
				done := make(chan error, 2)
				ask := func() { _, err := a.Ping(context.Background(), others[0].node()); done <- err }
				off = step
				go ask()
				run(10 * time.Second)
				if len(done) == 0 || !errors.Is(<-done, ErrTimeout) {
					t.Error("the request does not end with ErrTimeout")
				}
				run(3 * time.Minute)
				if live, _ := a.Table().Live(); live != len(others) {
					t.Errorf("%d live after 3 minutes, want %d", live, len(others))
				}
				off = 0
				run(30 * time.Second)
				go ask()
				run(time.Second)
				if len(done) == 0 {
					t.Fatal("with the clock right again: no answer")
				}
				if err := <-done; err != nil {
					t.Errorf("with the clock right again: %v", err)
				}
				if live, _ := a.Table().Live(); live != len(others) {
					t.Errorf("%d live with the clock right again, want %d", live, len(others))
				}
			})
		})
	}
}

// late is polite with a clock that is off.
func (s v4Stranger) late(to *host, p *discv4.Packet, off time.Duration) {
	exp := soon() + uint64(int64(off/time.Second))
	switch p.Message.(type) {
	case *discv4.Ping:
		s.say(to, &discv4.Pong{PingHash: p.Hash, Expiration: exp})
	case *discv4.FindNode:
		s.say(to, &discv4.Neighbors{Expiration: exp})
	}
}
