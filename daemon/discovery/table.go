package discovery

import (
	"context"
	"time"

	"parley/daemon/jsonrpc"
	"parley/discover"
	"parley/enode"
)

// A Table is the result of p2p_table: what each protocol of discovery knows, nil
// for one that is off.
type Table struct {
	V4 *ProtocolTable `json:"v4"`
	V5 *ProtocolTable `json:"v5"`
}

// A ProtocolTable is the table of one protocol.
type ProtocolTable struct {
	Nodes   int      `json:"nodes"`
	Live    int      `json:"live"`    // of them, those that proved their endpoint and answered since
	Buckets []Bucket `json:"buckets"` // those that are not empty, nearest first
}

// A Bucket has the nodes at one logarithmic distance; the nearest one has all smaller
// distances too.
type Bucket struct {
	Distance     int           `json:"distance"`
	Entries      []Entry       `json:"entries"`
	Replacements []*enode.Node `json:"replacements"` // wait for a place
}

// An Entry is a node in a bucket.
type Entry struct {
	ID     enode.ID    `json:"id"`
	Node   *enode.Node `json:"node"` // its record, or its URL if it has none
	Added  time.Time   `json:"added"`
	Live   bool        `json:"live"`
	Checks int         `json:"checks"` // passed
}

// RegisterTable adds the methods about the table of a node: p2p_table, and
// debug_discoveryV4Table with the shape that other clients give it. The service may
// be nil, without discovery.
func RegisterTable(rpc *jsonrpc.Server, s *discover.Service) {
	rpc.Register("p2p_table", func(_ context.Context, p jsonrpc.Params) (any, error) {
		if err := p.Decode(); err != nil {
			return nil, err
		}
		return tableOf(s), nil
	})
	rpc.Register("debug_discoveryV4Table", func(_ context.Context, p jsonrpc.Params) (any, error) {
		if err := p.Decode(); err != nil {
			return nil, err
		}
		if s == nil || s.Stats().V4 == nil {
			return nil, nil
		}
		return bucketsOf(s.Table().V4), nil
	})
}

func tableOf(s *discover.Service) (t Table) {
	if s == nil {
		return t
	}
	stats, all := s.Stats(), s.Table()
	if stats.V4 != nil {
		t.V4 = protocolTable(all.V4)
	}
	if stats.V5 != nil {
		t.V5 = protocolTable(all.V5)
	}
	return t
}

func protocolTable(buckets []discover.Bucket) *ProtocolTable {
	t := &ProtocolTable{Buckets: make([]Bucket, len(buckets))}
	for i, b := range buckets {
		t.Buckets[i] = Bucket{Distance: b.Distance, Entries: make([]Entry, len(b.Entries)), Replacements: append([]*enode.Node{}, b.Replacements...)}
		for j, e := range b.Entries {
			t.Buckets[i].Entries[j] = Entry{ID: e.Node.ID(), Node: e.Node, Added: e.Added, Live: e.Live, Checks: e.Checks}
			t.Nodes++
			if e.Live {
				t.Live++
			}
		}
	}
	return t
}
