// Package discovery is the JSON-RPC API of a discovery service: p2p_table and
// debug_discoveryV4Table of a node; and of a service that runs alone
// discv4_lookupRandom, discv4_buckets, discv4_self, discv5_lookupRandom and
// discv5_self.
package discovery

import (
	"context"
	"fmt"
	"time"

	"parley/daemon/jsonrpc"
	"parley/discover"
	"parley/enode"
)

const (
	// maxRandom is how many nodes one call finds at most, randomTime how long it
	// looks for them.
	maxRandom  = 256
	randomTime = 10 * time.Second

	// maxRepeats is how many nodes that were found before, in a row, end a call: the
	// network has no more. It is what three lookups find.
	maxRepeats = 48

	// buckets is how many there are in a table, as clients of this API expect them:
	// the last is for the distance of 256, the first for all up to 240.
	buckets = 17
)

// RegisterV4 adds the methods for discovery v4.
func RegisterV4(rpc *jsonrpc.Server, s *discover.Service, self *enode.Node) {
	register(rpc, "discv4", s, self)
	rpc.Register("discv4_buckets", func(_ context.Context, p jsonrpc.Params) (any, error) {
		if err := p.Decode(); err != nil {
			return nil, err
		}
		return bucketsOf(s.Table().V4), nil
	})
}

// RegisterV5 adds the methods for discovery v5.
func RegisterV5(rpc *jsonrpc.Server, s *discover.Service, self *enode.Node) {
	register(rpc, "discv5", s, self)
}

func register(rpc *jsonrpc.Server, namespace string, s *discover.Service, self *enode.Node) {
	rpc.Register(namespace+"_self", func(_ context.Context, p jsonrpc.Params) (any, error) {
		return self, p.Decode()
	})
	rpc.Register(namespace+"_lookupRandom", func(ctx context.Context, p jsonrpc.Params) (any, error) {
		var n int
		if err := p.Decode(&n); err != nil {
			return nil, err
		}
		if n < 1 || n > maxRandom {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("invalid params: want a number of nodes from 1 to %d", maxRandom)}
		}
		return random(ctx, s, n), nil
	})
}

// random returns up to n nodes found by lookups of random targets.
func random(ctx context.Context, s *discover.Service, n int) []*enode.Node {
	ctx, cancel := context.WithTimeout(ctx, randomTime)
	defer cancel()
	found := []*enode.Node{}
	seen := make(map[enode.ID]struct{})
	repeats := 0
	for node := range s.Nodes(ctx) {
		if _, ok := seen[node.ID()]; ok {
			if repeats++; repeats >= maxRepeats {
				break
			}
			continue
		}
		repeats = 0
		seen[node.ID()] = struct{}{}
		if found = append(found, node); len(found) == n {
			break
		}
	}
	return found
}

// A bucketNode is a node in a bucket.
type bucketNode struct {
	Node          *enode.Node `json:"node"`
	AddedToTable  time.Time   `json:"addedToTable"`
	AddedToBucket time.Time   `json:"addedToBucket"`
	Checks        int         `json:"checks"`
	Live          bool        `json:"live"`
}

// bucketsOf returns all buckets of a table, the empty ones too.
func bucketsOf(table []discover.Bucket) [][]bucketNode {
	all := make([][]bucketNode, buckets)
	for i := range all {
		all[i] = []bucketNode{}
	}
	for _, b := range table {
		i := max(b.Distance-(257-buckets), 0)
		for _, e := range b.Entries {
			all[i] = append(all[i], bucketNode{e.Node, e.Added, e.Added, e.Checks, e.Live})
		}
	}
	return all
}
