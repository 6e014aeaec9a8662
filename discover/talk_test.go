package discover

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/simnet"
)

// A request reaches the handler with who asks, and its response goes back.
func TestTalk(t *testing.T) {
	inWorld(t, simnet.Link{Delay: 5 * time.Millisecond}, func(w *world) {
		a, b := w.add(both), w.add(both)
		err := a.RegisterTalkHandler("echo", func(_ context.Context, talk Talk) []byte {
			if talk.Node.ID() != b.node.ID() || talk.From != b.machine.AddrPort(30303) || talk.Protocol != "echo" {
				t.Errorf("request from %v at %v for %q", talk.Node, talk.From, talk.Protocol)
			}
			return append([]byte("you said "), talk.Request...)
		})
		if err != nil {
			t.Fatal(err)
		}
		a.RegisterTalkHandler("panic", func(context.Context, Talk) []byte { panic("no") })
		a.RegisterTalkHandler("long", func(context.Context, Talk) []byte { return make([]byte, 2000) })
		ctx := context.Background()
		for protocol, want := range map[string]string{"echo": "you said hello", "panic": "", "long": "", "unknown": ""} {
			got, err := b.TalkRequest(ctx, a.node, protocol, []byte("hello"))
			if err != nil || string(got) != want {
				t.Errorf("%s: %q, %v; want %q", protocol, got, err, want)
			}
		}
		a.RegisterTalkHandler("echo", nil)
		if got, err := b.TalkRequest(ctx, a.node, "echo", []byte("hello")); err != nil || len(got) != 0 {
			t.Errorf("without a handler: %q, %v; want an empty response", got, err)
		}
		if _, err := b.TalkRequest(ctx, a.node, "echo", bytes.Repeat([]byte{1}, 1280)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a request of 1280 bytes: %v, want ErrTooLarge", err)
		}
	})
	inWorld(t, simnet.Link{}, func(w *world) {
		if err := w.add(onlyV4).RegisterTalkHandler("x", nil); !errors.Is(err, ErrProtocol) {
			t.Errorf("without v5: %v, want ErrProtocol", err)
		}
	})
}

// G8: a handler that takes a second for each request of a flood delays neither
// other packets nor other handlers, and runs at most 4 times at once.
func TestG8SlowTalkHandler(t *testing.T) {
	inWorld(t, simnet.Link{Delay: time.Millisecond}, func(w *world) {
		a := w.add(both)
		var running, most atomic.Int32
		a.RegisterTalkHandler("slow", func(ctx context.Context, _ Talk) []byte {
			for now := running.Add(1); ; {
				if old := most.Load(); now <= old || most.CompareAndSwap(old, now) {
					break
				}
			}
			defer running.Add(-1)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			return nil
		})
		a.RegisterTalkHandler("quick", func(context.Context, Talk) []byte { return []byte("yes") })
		honest := w.add(both)
		if _, err := honest.TalkRequest(context.Background(), a.node, "quick", nil); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		const floods = 12
		for range floods {
			h := w.add(onlyV5)
			for range 8 {
				wg.Go(func() {
					for ctx.Err() == nil {
						h.TalkRequest(ctx, a.node, "slow", []byte("x"))
					}
				})
			}
		}
		late, pings, longest := 0, 0, 0
		for range 40 {
			w.wait(50 * time.Millisecond)
			start := time.Now()
			_, err := honest.Ping(ctx, a.node)
			got, talkErr := honest.TalkRequest(ctx, a.node, "quick", nil)
			if err != nil || talkErr != nil || string(got) != "yes" {
				t.Errorf("Ping: %v; TalkRequest = %q, %v", err, got, talkErr)
			}
			a.talks.mu.Lock()
			longest = max(longest, len(a.talks.handlers["slow"].queue))
			a.talks.mu.Unlock()
			if pings++; time.Since(start) > 50*time.Millisecond {
				late++
			}
		}
		if late > 0 {
			t.Errorf("%d of %d answers took more than 50 ms", late, pings)
		}
		if got := most.Load(); got != maxTalkers {
			t.Errorf("%d calls of the handler at once, want %d", got, maxTalkers)
		}
		if longest != maxTalkQueue {
			t.Errorf("%d requests waited for the handler, want %d", longest, maxTalkQueue)
		}
		stop()
		wg.Wait()
	})
}

// Close ends the context of a handler that is at work, and waits for it.
func TestTalkClose(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a, b := w.add(onlyV5), w.add(onlyV5)
		began, ended := make(chan struct{}), false
		a.RegisterTalkHandler("wait", func(ctx context.Context, _ Talk) []byte {
			close(began)
			<-ctx.Done()
			ended = true
			return nil
		})
		go b.TalkRequest(context.Background(), a.node, "wait", nil)
		<-began
		a.Close()
		if !ended {
			t.Error("Close did not wait for the handler")
		}
	})
}
