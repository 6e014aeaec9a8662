package node

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	"parley/daemon/config"
	"parley/enode"
	"parley/p2p"
)

// A watched is what a reporter watches; *p2p.Server is one.
type watched interface {
	Stats() p2p.Stats
	Explain(id enode.ID) p2p.Explanation
}

// firstLook is when static nodes are first asked after: a wrong address should
// not take half a minute to show.
const firstLook = 5 * time.Second

// maxComplaints bounds the lines about static nodes at a time.
const maxComplaints = 5

// A reporter turns events into lines for a person.
type reporter struct {
	srv watched
	log *slog.Logger

	mu       sync.Mutex // guards the fields below
	static   []*enode.Node
	budget   budget
	unlogged int // events since the last summary that found no place in the log

	// Owned by summarize.
	last p2p.Stats
	told map[enode.ID]string // by static node: what was said about it last
}

func newReporter(srv watched, static []*enode.Node, log *slog.Logger) *reporter {
	return &reporter{srv: srv, static: static, log: log, told: make(map[enode.ID]string)}
}

// watch changes which nodes are static.
func (r *reporter) watch(static []*enode.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.static = static
}

func (r *reporter) watching() []*enode.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.static
}

// follow logs one line for every peer that comes or goes, as long as there are
// not too many: strangers decide how often they come.
func (r *reporter) follow(events iter.Seq[p2p.Event]) {
	for e := range events {
		switch e.Type {
		case p2p.EventAdd, p2p.EventDrop:
			if r.place(time.Now(), 1) {
				r.tell(e)
			}
		case p2p.EventLost:
			r.place(time.Now(), e.Lost)
		}
	}
}

// place reports whether n lines may be written now, and counts them otherwise.
func (r *reporter) place(now time.Time, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n == 1 && r.budget.take(now) {
		return true
	}
	r.unlogged += n
	return false
}

func (r *reporter) tell(e p2p.Event) {
	direction := "dialed"
	if e.Inbound {
		direction = "inbound"
	}
	if e.Type == p2p.EventAdd {
		r.log.Info("Peer added", "peer", e.Peer.TerminalString(), "name", e.Name, "remote", e.Remote, "conn", direction)
		return
	}
	by := "us"
	switch {
	case e.ByRemote:
		by = "them"
	case e.Reason == p2p.DiscNetworkError:
		by = "network" // nobody asked for it
	}
	r.log.Info("Peer dropped", "peer", e.Peer.TerminalString(), "name", e.Name, "remote", e.Remote, "conn", direction, "by", by, "reason", e.Error)
}

// summarize logs a summary every 30 seconds until ctx ends.
func (r *reporter) summarize(ctx context.Context) {
	first := time.NewTimer(firstLook)
	defer first.Stop()
	every := time.NewTicker(config.SummaryInterval)
	defer every.Stop()
	for {
		select {
		case <-first.C:
			r.complain()
		case <-every.C:
			r.summary()
			r.complain()
		case <-ctx.Done():
			return
		}
	}
}

// summary logs one line with what there is and what happened since the last.
func (r *reporter) summary() {
	now, last := r.srv.Stats(), r.last
	r.last = now
	message := "Peers"
	if now.Peers == 0 {
		message = "Looking for peers"
	}
	attrs := []any{
		"peers", now.Peers, "inbound", now.Inbound, "dialed", now.Dialed,
		"dials", now.Dials - last.Dials, "accepted", now.Accepted - last.Accepted,
		"rx", now.BytesIn - last.BytesIn, "tx", now.BytesOut - last.BytesOut,
	}
	r.mu.Lock()
	if r.unlogged > 0 {
		attrs = append(attrs, "unlogged", r.unlogged)
	}
	r.unlogged = 0
	r.mu.Unlock()
	r.log.Info(message, attrs...)
}

// complain logs why static nodes are not peers: they are the ones somebody waits
// for. What was said before is not repeated.
func (r *reporter) complain() {
	lines := 0
	for _, n := range r.watching() {
		x := r.srv.Explain(n.ID())
		if x.Connected {
			delete(r.told, n.ID())
			continue
		}
		if len(x.Verdicts) == 0 || lines == maxComplaints {
			continue
		}
		v := x.Verdicts[len(x.Verdicts)-1]
		why := string(v.Gate) + x.Advice
		if v.Err == nil || r.told[n.ID()] == why {
			continue
		}
		r.told[n.ID()] = why
		lines++
		r.log.Warn("Static node not connected", "peer", n.ID().TerminalString(), "url", n.URL(), "at", string(v.Gate), "reason", v.Err, "advice", x.Advice)
	}
}

// A budget lets through a number of log lines in a second.
type budget struct {
	left   int
	second int64
}

// linesPerSecond bounds the lines that strangers can cause.
const linesPerSecond = 10

// take reports whether one more line fits into the second of now.
func (b *budget) take(now time.Time) bool {
	if second := now.Unix(); second != b.second {
		b.second, b.left = second, linesPerSecond
	}
	if b.left == 0 {
		return false
	}
	b.left--
	return true
}
