package nodes

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// pollEvery is how often a state is asked for that nobody announces.
const pollEvery = 10 * time.Millisecond

// Wait waits until something is true and returns the time that took. It fails the
// test when that takes too long.
func Wait(t testing.TB, within time.Duration, what string, claim func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for !claim() {
		if time.Since(began) > within {
			t.Fatalf("not within %v: %s", within, what)
		}
		<-poll.C
	}
	return time.Since(began)
}

// A Watch records a node's peerEvents from the moment it was made.
type Watch struct {
	node *Node

	mu     sync.Mutex // guards the fields below
	events []Event
	grown  chan struct{} // closed and replaced when an event was added
}

// Watch subscribes to the node's peerEvents until the test ends.
func (n *Node) Watch() *Watch {
	n.t.Helper()
	w := &Watch{node: n, grown: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	in := make(chan Event)
	sub, err := n.rpc.Subscribe(ctx, "admin", in, "peerEvents")
	if err != nil {
		n.t.Fatalf("%s: subscribe to peerEvents: %v", n.Name, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case e := <-in:
				w.add(e)
			case <-sub.Err(): //nolint:errcheck // the test or the node ended
				return
			}
		}
	}()
	n.t.Cleanup(func() {
		sub.Unsubscribe()
		<-done
	})
	return w
}

func (w *Watch) add(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	close(w.grown)
	w.grown = make(chan struct{})
}

// Events returns the events so far of a type and a peer, oldest first. Empty
// strings stand for every type and every peer.
func (w *Watch) Events(typ, peer string) []Event {
	found, _ := w.snapshot(typ, peer)
	return found
}

func (w *Watch) snapshot(typ, peer string) ([]Event, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := slices.Clone(w.events)
	found = slices.DeleteFunc(found, func(e Event) bool {
		return typ != "" && e.Type != typ || peer != "" && e.Peer != peer
	})
	return found, w.grown
}

// Wait waits for the first event of a type and a peer and returns it; one that
// has come already counts.
func (w *Watch) Wait(within time.Duration, typ, peer string) Event {
	w.node.t.Helper()
	late := time.After(within)
	for {
		found, grown := w.snapshot(typ, peer)
		if len(found) > 0 {
			return found[0]
		}
		select {
		case <-grown:
		case <-late:
			w.node.t.Fatalf("%s: no %s of peer %.8s within %v; events: %+v", w.node.Name, typ, peer, within, w.Events("", ""))
		}
	}
}

// Quiet watches for some time and fails the test at the first event of a type.
func (w *Watch) Quiet(d time.Duration, typ string) {
	w.node.t.Helper()
	over := time.After(d)
	began := time.Now()
	before, grown := w.snapshot(typ, "")
	for {
		select {
		case <-grown:
		case <-over:
			return
		}
		var now []Event
		if now, grown = w.snapshot(typ, ""); len(now) > len(before) {
			w.node.t.Fatalf("%s: after %v: %+v; want no %s within %v", w.node.Name, time.Since(began), now[len(now)-1], typ, d)
		}
	}
}
