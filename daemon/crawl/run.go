package crawl

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"parley/discover"
	"parley/enode"
)

// A Network puts questions to nodes. A [discover.Service] is one.
type Network interface {
	RequestENR(ctx context.Context, n *enode.Node) (*enode.Node, error)
	FindNode(ctx context.Context, n *enode.Node, distances []uint) ([]*enode.Node, error)
	FindNearest(ctx context.Context, n *enode.Node, target enode.PublicKey) ([]*enode.Node, error)
}

// Options say how to run a crawl.
type Options struct {
	// Parallel is how many questions are out at a time, of which no node gets more
	// than one: at most 128. Zero means 16.
	Parallel int

	// Show, if not nil, is called now and then, every Every, with how far it is.
	Show  func(Progress)
	Every time.Duration
}

// Run puts the questions of core to the network until there are no more, or ctx
// ends. It reports whether all were put; that ctx ended is no error. When it
// returns, nothing of it goes on.
func Run(ctx context.Context, core *Core, network Network, o Options) (complete bool, err error) {
	if o.Parallel == 0 {
		o.Parallel = 16
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &run{core: core, network: network, o: o, answers: make(chan reply, o.Parallel)}
	defer r.tasks.Wait()
	defer cancel()
	return r.loop(ctx)
}

// A run is one use of Run.
type run struct {
	core    *Core
	network Network
	o       Options
	tasks   sync.WaitGroup
	answers chan reply // has room for all
	out     int        // questions
}

// A reply is an answer with its question.
type reply struct {
	question *Question
	answer   Answer
}

func (r *run) loop(ctx context.Context) (complete bool, err error) {
	var show <-chan time.Time
	if r.o.Show != nil && r.o.Every > 0 {
		ticker := time.NewTicker(r.o.Every)
		defer ticker.Stop()
		show = ticker.C
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wake := r.ask(ctx)
		if r.out == 0 && wake.IsZero() {
			return true, nil
		}
		timer.Stop()
		if !wake.IsZero() {
			timer.Reset(time.Until(wake))
		}
		select {
		case a := <-r.answers:
			r.out--
			if errors.Is(a.answer.Err, discover.ErrClosed) {
				return false, fmt.Errorf("crawl: %w", a.answer.Err)
			}
			if ctx.Err() == nil || a.answer.Err == nil {
				r.core.Answer(time.Now(), a.question, a.answer)
			}
		case <-timer.C:
		case <-show:
			r.o.Show(r.core.Progress(time.Now()))
		case <-ctx.Done():
			return false, nil
		}
	}
}

// ask puts questions as far as that is allowed, and returns when there will be
// another one. It is zero if only an answer brings one.
func (r *run) ask(ctx context.Context) time.Time {
	for r.out < r.o.Parallel {
		q, wake := r.core.Next(time.Now())
		if q == nil {
			return wake
		}
		r.out++
		r.tasks.Go(func() { r.answers <- reply{q, r.put(ctx, q)} })
	}
	return time.Time{}
}

// put puts one question.
func (r *run) put(ctx context.Context, q *Question) (a Answer) {
	switch {
	case !q.Find():
		a.Record, a.Err = r.network.RequestENR(ctx, q.Node)
	case q.V4:
		a.Nodes, a.Err = r.network.FindNearest(ctx, q.Node, q.Target)
	default:
		a.Nodes, a.Err = r.network.FindNode(ctx, q.Node, q.Distances)
	}
	a.Busy = errors.Is(a.Err, discover.ErrBusy)
	return a
}
