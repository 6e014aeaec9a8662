package discover

import (
	"context"
	"errors"
	"testing"
	"time"

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
