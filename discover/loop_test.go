package discover

import (
	"context"
	"errors"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/simnet"
)

// What is due happens in time however many packets come meanwhile: a flood does not
// put off the end of a call.
func TestAlarmInAFlood(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{}, func(w *world) {
				a := w.add(kind.set)
				_, conn, dead := w.machine(99)
				defer conn.Close()
				_, flood, _ := w.machine(98)
				defer flood.Close()
				ctx, stop := context.WithCancel(context.Background())
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for ctx.Err() == nil {
						if _, err := flood.WriteToUDPAddrPort(make([]byte, 100), a.machine.AddrPort(30303)); err != nil {
							t.Error(err)
							return
						}
						w.wait(minWait / 4)
					}
				}()
				start := time.Now()
				_, err := a.Ping(w.context(time.Minute), dead)
				if took := time.Since(start); !errors.Is(err, ErrTimeout) || took > 3*time.Second {
					t.Errorf("Ping of a dead node in a flood: %v after %v; want ErrTimeout within 3s", err, took)
				}
				stop()
				<-ended
			})
		})
	}
}

// Both protocols begin at once, even if one of them has something to do before the
// alarm that begins them rings.
func TestBothBegin(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		boot := w.add(onlyV5)
		_, conn, self := w.machine(98)
		_, silent, dead := w.machine(99)
		defer silent.Close()
		s, err := newService(Config{
			PrivateKey: testKey(t, 98), Self: self, Conn: conn, Bootnodes: []*enode.Node{boot.node}, V4: true, V5: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c := s.begin(w.context(time.Second), discV4, func(now time.Time) uint64 { return uint64(s.v4.Ping(now, dead)) })
		defer c.cancel()
		s.start()
		w.wait(2 * minWait)
		if s := s.Stats(); s.V4.Sent["PING"] == 0 || s.V5.PacketsOut == 0 {
			t.Errorf("%v sent by v4, %d packets by v5; want some of both", s.V4.Sent, s.V5.PacketsOut)
		}
	})
}
