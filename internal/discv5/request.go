package discv5

import (
	"slices"
	"time"

	"parley/enode"
)

// newID returns the id of a new call.
func (e *Engine) newID() Call {
	e.last++
	return e.last
}

// finished queues the result of a call.
func (e *Engine) finished(r Result) { e.out.Done = append(e.out.Done, r) }

func (e *Engine) ping(now time.Time, n *enode.Node, done func(time.Time, *call)) *call {
	return e.request(now, n, KindPing, func(b []byte, id requestID) []byte {
		return appendPing(b, id, e.self.Seq())
	}, done)
}

func (e *Engine) ask(now time.Time, n *enode.Node, distances []uint, done func(time.Time, *call)) *call {
	c := e.request(now, n, KindFindNode, func(b []byte, id requestID) []byte {
		return appendFindNode(b, id, distances)
	}, done)
	c.distances = distances
	return c
}

// self returns what the node that was asked said about itself, or nil.
func (c *call) self() *enode.Node {
	for _, n := range c.nodes.nodes {
		if n.ID() == c.node.ID() {
			return n
		}
	}
	return nil
}

// Ping asks whether a node is there. Like every call it ends after 700 ms
// without an answer, or 1.4 s if there is a session to be made.
func (e *Engine) Ping(now time.Time, n *enode.Node) Call {
	e.begin(now)
	id := e.newID()
	e.ping(now, n, func(_ time.Time, c *call) {
		e.finished(Result{Call: id, Node: n, Seq: c.seq, Endpoint: c.endpoint, RTT: c.rtt, Err: c.err})
	})
	e.settle(now)
	return id
}

// RequestENR asks a node for its record. The result is Result.Node. The error is
// ErrNotFound if the node answers but does not send it.
func (e *Engine) RequestENR(now time.Time, n *enode.Node) Call {
	e.begin(now)
	id := e.newID()
	e.ask(now, n, []uint{0}, func(_ time.Time, c *call) {
		r := Result{Call: id, Node: c.self(), RTT: c.rtt, Err: c.err}
		if r.Err == nil && r.Node == nil {
			r.Err = ErrNotFound
		}
		e.finished(r)
	})
	e.settle(now)
	return id
}

// Resolve finds the newest record of a node: from the node itself or, if it is
// not to be reached where it was, by a lookup. Without any it is ErrNotFound.
func (e *Engine) Resolve(now time.Time, n *enode.Node) Call {
	e.begin(now)
	id := e.newID()
	e.ask(now, n, []uint{0}, func(now time.Time, c *call) {
		if found := c.self(); found != nil {
			e.finished(Result{Call: id, Node: found, RTT: c.rtt})
			return
		}
		e.look(now, n.ID(), func(_ time.Time, l *lookup) {
			r := Result{Call: id, Node: l.seen[n.ID()], Err: l.err}
			if r.Err == nil && r.Node == nil {
				r.Err = ErrNotFound
			}
			e.finished(r)
		})
	})
	e.settle(now)
	return id
}

// FindNode asks a node for the nodes that it knows at the given logarithmic
// distances from itself, 0 to 256, where 0 stands for its own record. The
// result has at most 16 nodes, whose records were verified. Nodes at other
// distances, or at endpoints that may not be contacted, are left out.
func (e *Engine) FindNode(now time.Time, n *enode.Node, distances []uint) Call {
	e.begin(now)
	id := e.newID()
	distances = slices.Clone(distances)
	slices.Sort(distances)
	distances = slices.Compact(distances)
	if len(distances) > 0 && distances[len(distances)-1] > 256 {
		e.finished(Result{Call: id, Node: n, Err: ErrDistance})
	} else {
		e.ask(now, n, distances, func(_ time.Time, c *call) {
			e.finished(Result{Call: id, Node: n, Nodes: c.nodes.nodes, RTT: c.rtt, Err: c.err})
		})
	}
	e.settle(now)
	return id
}

// Lookup finds the nodes nearest to target. The result is those that answered,
// nearest first.
func (e *Engine) Lookup(now time.Time, target enode.ID) Call {
	e.begin(now)
	id := e.newID()
	e.look(now, target, func(_ time.Time, l *lookup) {
		e.finished(Result{Call: id, Nodes: l.Result(), Err: l.err})
	})
	e.settle(now)
	return id
}

// TalkRequest sends a request to an application of a node. The result is
// Result.Talk, empty also if the node does not have the application. Protocol
// and payload together may have MaxTalkRequest bytes.
func (e *Engine) TalkRequest(now time.Time, n *enode.Node, protocol string, payload []byte) Call {
	e.begin(now)
	id := e.newID()
	if len(protocol)+len(payload) > MaxTalkRequest {
		e.finished(Result{Call: id, Node: n, Err: ErrTooLarge})
	} else {
		e.request(now, n, KindTalkReq, func(b []byte, req requestID) []byte {
			return appendTalkReq(b, req, protocol, payload)
		}, func(_ time.Time, c *call) {
			e.finished(Result{Call: id, Node: n, Talk: c.payload, RTT: c.rtt, Err: c.err})
		})
	}
	e.settle(now)
	return id
}
