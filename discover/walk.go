package discover

import (
	"context"
	crand "crypto/rand"
	"iter"
	"time"

	"parley/enode"
)

const (
	// walkPause is how long a walk rests after a lookup that found nobody new. It
	// doubles up to maxWalkPause.
	walkPause    = 500 * time.Millisecond
	maxWalkPause = 8 * time.Second

	// maxWalkMemory is how many nodes a walk remembers, to tell who is new.
	maxWalkMemory = 4096
)

// Nodes yields nodes found by lookups of random targets, until ctx ends or the
// Service does. All of them answered just now. The same node comes again and
// again; in a network of few nodes all do, at a slower and slower pace. Nodes found
// by v4 may have no record.
//
// Lookups begin with the first pull and go on only while the loop body returns for
// more, so that a node with enough peers asks nobody.
func (s *Service) Nodes(ctx context.Context) iter.Seq[*enode.Node] {
	return s.walk(ctx, s.protocols()...)
}

// NodesV4 is Nodes by discovery v4 alone. It yields nothing if that is not spoken.
func (s *Service) NodesV4(ctx context.Context) iter.Seq[*enode.Node] {
	if s.v4 == nil {
		return s.walk(ctx)
	}
	return s.walk(ctx, discV4)
}

// NodesV5 is Nodes by discovery v5 alone. It yields nothing if that is not spoken.
func (s *Service) NodesV5(ctx context.Context) iter.Seq[*enode.Node] {
	if s.v5 == nil {
		return s.walk(ctx)
	}
	return s.walk(ctx, discV5)
}

func (s *Service) walk(ctx context.Context, protocols ...protocol) iter.Seq[*enode.Node] {
	return func(yield func(*enode.Node) bool) {
		if len(protocols) == 0 {
			return
		}
		w := walk{service: s, ctx: ctx, yield: yield, seen: make(map[enode.ID]struct{})}
		for i, p := range protocols {
			w.strides[i].protocol = p
			w.begin(&w.strides[i])
		}
		defer w.end()
		for w.next() {
		}
	}
}

// A walk is one use of Nodes or of one of its kin.
type walk struct {
	service *Service
	ctx     context.Context
	yield   func(*enode.Node) bool
	seen    map[enode.ID]struct{}
	strides [2]stride
}

// A stride is what a walk does with one protocol: a lookup or, after one that
// brought nothing new, a rest.
type stride struct {
	protocol protocol
	call     *call
	outcome  <-chan outcome
	pause    time.Duration
	rest     <-chan time.Time
}

func (w *walk) begin(st *stride) {
	s := w.service
	st.rest = nil
	st.call = s.begin(w.ctx, st.protocol, func(now time.Time) uint64 {
		if st.protocol == discV4 {
			return uint64(s.v4.Lookup(now, s.v4.RandomTarget()))
		}
		return uint64(s.v5.Lookup(now, randomID()))
	})
	st.outcome = st.call.outcome
}

// next waits for what comes first, and reports whether the walk goes on.
func (w *walk) next() bool {
	a, b := &w.strides[0], &w.strides[1]
	select {
	case o := <-a.outcome:
		return w.found(a, o)
	case o := <-b.outcome:
		return w.found(b, o)
	case <-a.rest:
		w.begin(a)
	case <-b.rest:
		w.begin(b)
	case <-w.ctx.Done():
		return false
	case <-w.service.done:
		return false
	}
	return true
}

// found yields the nodes of a lookup, and sees to it that another follows.
func (w *walk) found(st *stride, o outcome) bool {
	st.call.over, st.outcome = true, nil
	fresh := false
	for _, n := range w.service.withRecords(o.nodes) {
		if _, ok := w.seen[n.ID()]; !ok {
			if len(w.seen) >= maxWalkMemory {
				clear(w.seen)
			}
			w.seen[n.ID()], fresh = struct{}{}, true
		}
		if w.ctx.Err() != nil || !w.yield(n) {
			return false
		}
	}
	if fresh {
		st.pause = 0
		w.begin(st)
		return true
	}
	st.pause = min(max(2*st.pause, walkPause), maxWalkPause)
	st.rest = time.After(st.pause)
	return true
}

func (w *walk) end() {
	for i := range w.strides {
		if c := w.strides[i].call; c != nil {
			c.cancel()
		}
	}
}

// randomID returns an ID that nobody can foresee.
func randomID() (id enode.ID) {
	crand.Read(id[:]) // never fails
	return id
}
