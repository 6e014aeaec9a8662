package simnet

import (
	"sync"
	"time"
)

// A gate is where calls wait for a change, or for a time at which one is due.
// It belongs to a mutex, which is held in all its methods.
type gate struct {
	cond  sync.Cond
	timer *time.Timer
	at    int64 // when the timer fires, or never
}

func (g *gate) init(mu *sync.Mutex) { g.cond.L, g.at = mu, never }

// wait blocks until the gate is opened by a broadcast or the given time has
// come, if that is not never; it may also return for no reason. The mutex is
// given up meanwhile. The call is counted in busy, if that is not nil.
func (g *gate) wait(now, until int64, busy *sync.WaitGroup) {
	if until != never && until != g.at {
		g.at = until
		if in := time.Duration(until - now); g.timer != nil {
			g.timer.Reset(in)
		} else {
			g.timer = time.AfterFunc(in, g.fire)
		}
	}
	if busy != nil {
		busy.Add(1)
		defer busy.Done()
	}
	g.cond.Wait()
}

// fire opens the gate under the mutex, or a caller that has looked and is about
// to wait would miss it.
func (g *gate) fire() {
	g.cond.L.Lock()
	defer g.cond.L.Unlock()
	g.at = never
	g.cond.Broadcast()
}

// stop gives up the timer, so that a closed connection leaves nothing behind.
func (g *gate) stop() {
	if g.timer != nil {
		g.timer.Stop()
	}
}
