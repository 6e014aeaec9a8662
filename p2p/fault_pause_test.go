package p2p

import (
	"testing"
	"time"
)

// L5: a host that is suspended for two minutes is dropped by all its peers within
// 45 s, and is their peer again within a minute after, without more than five dials
// a second by anybody. Here the network stands for the sleep: nothing leaves the
// host or reaches it, and what was on its way comes when it wakes. That sleep
// itself makes no burst of pings is in TestL5PingsAfterSleep, and for discovery in
// TestL5Suspended of internal/discv4 and internal/discv5.
func TestL5Suspended(t *testing.T) {
	inWorld(t, func(w *world) {
		const size = 8
		all := w.statics(size)
		asleep := all[3]
		w.pass(time.Minute)
		w.net.BlackHole(asleep.host)
		began := time.Now()
		dials := w.watch(45*time.Second, all)
		w.pass(tick)
		for i, s := range all {
			if s.Explain(asleep.Self().ID()).Connected {
				t.Errorf("server %d still has the suspended peer after 45 s", i)
			}
		}
		if got, want := connections(all), (size-1)*(size-2)/2; got != want {
			t.Errorf("%d connections without the suspended server, want %d", got, want)
		}
		w.pass(2*time.Minute - time.Since(began))
		w.net.Restore(asleep.host)
		dials = max(dials, w.watch(time.Minute, all))
		if got, want := asleep.PeerCount(), size-1; got != want {
			t.Errorf("%d peers a minute after, want %d", got, want)
		}
		if dials > 5 {
			t.Errorf("%d dials by one server in a second, want at most 5", dials)
		}
	})
}

// L5: when ticks come again after a sleep of two minutes, one ping is due and not
// one for each interval that was missed; if a ping was on its way before, its pong is
// late.
func TestL5PingsAfterSleep(t *testing.T) {
	for _, asked := range []bool{false, true} {
		var l liveness
		now := time.Now()
		l.start(now)
		now = now.Add(pingInterval)
		if d := l.tick(now, false); !d.ping {
			t.Fatal("no ping is due after its interval")
		}
		if !asked {
			l.pong(now)
		}
		now = now.Add(2 * time.Minute)
		pings, late := 0, false
		for range 2 * pingInterval / tick {
			d := l.tick(now, false)
			if late = late || d.late; d.ping {
				pings++
				l.pong(now)
			}
			now = now.Add(tick)
		}
		if want := 2; !asked && (pings != want || late) {
			t.Errorf("%d pings in %v after the sleep, late %v; want %d, false", pings, 2*pingInterval, late, want)
		}
		if asked && !late {
			t.Error("a pong that did not come for two minutes is not late")
		}
	}
}

// L5: a peer that falls silent right after a pong is late within 45 s and not a tick
// more, although real ticks come a little earlier or later than they should.
func TestL5UnevenTicks(t *testing.T) {
	var l liveness
	began := time.Now()
	l.start(began.Add(3 * time.Millisecond))
	for n := 1; ; n++ {
		now := began.Add(time.Duration(n)*tick + time.Duration(n%2)*5*time.Millisecond)
		d := l.tick(now, false)
		after, want := now.Sub(began), pingInterval+pongTimeout
		if after > want+tick/2 || d.late && after < want-2*tick {
			t.Fatalf("after %v late %v, want it %v after the beginning", after, d.late, want)
		}
		if d.late {
			return
		}
	}
}
