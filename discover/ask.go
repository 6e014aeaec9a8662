package discover

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/discv4"
	"parley/internal/discv5"
	"parley/internal/kad"
)

// A Pong is a node's answer to Ping.
type Pong struct {
	// RTT is the time from the last packet asking for it to the answer.
	RTT time.Duration

	// Seq is the sequence number of the node's record, 0 if it did not say.
	Seq uint64

	// Endpoint is where the node sees this one. It is known by v5 only.
	Endpoint netip.AddrPort

	// V5 tells by which protocol the answer came.
	V5 bool
}

// both begins a call in each protocol that the Service speaks.
func (s *Service) both(ctx context.Context, v4 func(*discv4.Engine, time.Time) discv4.Call, v5 func(*discv5.Engine, time.Time) discv5.Call) []*call {
	var calls []*call
	for _, p := range s.protocols() {
		calls = append(calls, s.begin(ctx, p, func(now time.Time) uint64 {
			if p == discV4 {
				return uint64(v4(s.v4, now))
			}
			return uint64(v5(s.v5, now))
		}))
	}
	return calls
}

// Ping asks n for a sign of life, by all protocols at once. The first answer
// counts.
func (s *Service) Ping(ctx context.Context, n *enode.Node) (Pong, error) {
	o, err := s.first(ctx, s.both(ctx,
		func(e *discv4.Engine, now time.Time) discv4.Call { return e.Ping(now, n) },
		func(e *discv5.Engine, now time.Time) discv5.Call { return e.Ping(now, n) })...)
	if err != nil {
		return Pong{}, fmt.Errorf("discover: ping %v: %w", n.ID(), err)
	}
	return Pong{RTT: o.rtt, Seq: o.seq, Endpoint: o.endpoint, V5: o.protocol == discV5}, nil
}

// RequestENR asks n for its record, by all protocols at once. The result is the
// node as its record shows it, which may be at another endpoint than n.
func (s *Service) RequestENR(ctx context.Context, n *enode.Node) (*enode.Node, error) {
	o, err := s.first(ctx, s.both(ctx,
		func(e *discv4.Engine, now time.Time) discv4.Call { return e.RequestENR(now, n) },
		func(e *discv5.Engine, now time.Time) discv5.Call { return e.RequestENR(now, n) })...)
	if err != nil {
		return nil, fmt.Errorf("discover: request record of %v: %w", n.ID(), err)
	}
	return o.node, nil
}

// Resolve finds out where n is now: it asks n itself and, if that leads nowhere,
// the network. It needs no more of n than the key. The result is the node with
// its record; without one if it is there but publishes none. The error wraps
// ErrNotFound if it was not found.
func (s *Service) Resolve(ctx context.Context, n *enode.Node) (*enode.Node, error) {
	o, err := s.pick(ctx, func(o outcome) bool { return o.node.Record() != nil && o.node.Seq() >= n.Seq() }, s.both(ctx,
		func(e *discv4.Engine, now time.Time) discv4.Call { return e.Resolve(now, n) },
		func(e *discv5.Engine, now time.Time) discv5.Call { return e.Resolve(now, n) })...)
	if err != nil {
		return nil, fmt.Errorf("discover: resolve %v: %w", n.ID(), err)
	}
	return o.node, nil
}

// Lookup finds the nodes nearest to the ID of target, by all protocols. The result
// has at most 16 nodes, all of which answered, nearest first. Nodes found by v4
// alone have no record as a rule. The target need not be a key that exists.
func (s *Service) Lookup(ctx context.Context, target enode.PublicKey) ([]*enode.Node, error) {
	id := enode.PubkeyID(target)
	calls := s.both(ctx,
		func(e *discv4.Engine, now time.Time) discv4.Call { return e.Lookup(now, target) },
		func(e *discv5.Engine, now time.Time) discv5.Call { return e.Lookup(now, id) })
	defer func() {
		for _, c := range calls {
			c.cancel()
		}
	}()
	var all []*enode.Node
	var failed error
	for _, c := range calls {
		o, err := s.first(ctx, c)
		if err != nil {
			failed = fmt.Errorf("discover: look up %v: %w", id, err)
			continue
		}
		all = append(all, o.nodes...)
	}
	if len(all) == 0 {
		return nil, failed
	}
	return nearest(id, s.withRecords(all)), nil
}

// nearest returns the 16 of nodes that are nearest to target. Of one node that is
// there twice, that with the newer record stays.
func nearest(target enode.ID, nodes []*enode.Node) []*enode.Node {
	slices.SortStableFunc(nodes, func(a, b *enode.Node) int {
		return cmp.Or(enode.CompareDistance(target, a.ID(), b.ID()), cmp.Compare(b.Seq(), a.Seq()))
	})
	nodes = slices.CompactFunc(nodes, func(a, b *enode.Node) bool { return a.ID() == b.ID() })
	return nodes[:min(len(nodes), kad.BucketSize)]
}

// withRecords returns nodes with those replaced that have no record and are in a
// table with one, at the same endpoint.
func (s *Service) withRecords(nodes []*enode.Node) []*enode.Node {
	nodes = slices.Clone(nodes)
	s.in(func(time.Time) {
		for i, n := range nodes {
			if n.Record() == nil {
				nodes[i] = s.known(n)
			}
		}
	})
	return nodes
}

// known returns the node of a table that is n and has a record, or n.
func (s *Service) known(n *enode.Node) *enode.Node {
	var found []*enode.Node
	if s.v4 != nil {
		found = s.v4.Closest(n.ID(), 1)
	}
	if s.v5 != nil {
		found = append(found, s.v5.Closest(n.ID(), 1)...)
	}
	at, _ := n.UDPEndpoint()
	for _, k := range found {
		if k.ID() == n.ID() && k.Record() != nil && slices.Contains(slices.Collect(k.UDPEndpoints()), at) {
			return k
		}
	}
	return n
}

// LookupID is Lookup by v5 alone, whose targets are IDs.
func (s *Service) LookupID(ctx context.Context, target enode.ID) ([]*enode.Node, error) {
	o, err := s.first(ctx, s.begin(ctx, discV5, func(now time.Time) uint64 { return uint64(s.v5.Lookup(now, target)) }))
	if err != nil {
		return nil, fmt.Errorf("discover: look up %v: %w", target, err)
	}
	return o.nodes, nil
}

// FindNode asks n, by v5, for the nodes that it knows at the given logarithmic
// distances from itself: 0 to 256, 0 being its own record. The result has at most
// 16 nodes, whose records are valid; whether they are there was not tried.
func (s *Service) FindNode(ctx context.Context, n *enode.Node, distances []uint) ([]*enode.Node, error) {
	o, err := s.first(ctx, s.begin(ctx, discV5, func(now time.Time) uint64 { return uint64(s.v5.FindNode(now, n, distances)) }))
	if err != nil {
		return nil, fmt.Errorf("discover: find nodes with %v: %w", n.ID(), err)
	}
	return o.nodes, nil
}

// FindNearest asks n, by v4, for the nodes that it knows nearest to the ID of
// target. The result has at most 16 nodes, without records; whether they are there
// was not tried.
func (s *Service) FindNearest(ctx context.Context, n *enode.Node, target enode.PublicKey) ([]*enode.Node, error) {
	o, err := s.first(ctx, s.begin(ctx, discV4, func(now time.Time) uint64 { return uint64(s.v4.FindNode(now, n, target)) }))
	if err != nil {
		return nil, fmt.Errorf("discover: find nodes with %v: %w", n.ID(), err)
	}
	return o.nodes, nil
}

// TalkRequest sends a request to an application of n, by v5, and returns the
// response, which is empty also if n does not have the application. Protocol and
// request together may have about 1,160 bytes; otherwise the error wraps
// ErrTooLarge.
func (s *Service) TalkRequest(ctx context.Context, n *enode.Node, protocol string, request []byte) ([]byte, error) {
	o, err := s.first(ctx, s.begin(ctx, discV5, func(now time.Time) uint64 {
		return uint64(s.v5.TalkRequest(now, n, protocol, request))
	}))
	if err != nil {
		return nil, fmt.Errorf("discover: talk to %v: %w", n.ID(), err)
	}
	return o.talk, nil
}
