package crawl

import (
	"context"
	"testing"
	"time"

	"parley/daemon/internal/testnode"
	"parley/discover"
	"parley/enode"
)

// Of 20 nodes on the loopback interface, each of which was told of the next three
// only, a crawl that knows one finds all, with their records.
func TestCrawlLoopback(t *testing.T) {
	for _, tt := range []struct {
		name string
		v4   bool
	}{{"v4", true}, {"v5", false}} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			var services []*discover.Service
			var nodes []*enode.Node
			for range 20 {
				s, n := testnode.Listen(t, tt.v4)
				services, nodes = append(services, s), append(nodes, n)
			}
			for i, s := range services {
				for j := range 3 {
					if _, err := s.Ping(ctx, nodes[(i+j+1)%len(nodes)]); err != nil {
						t.Fatal(err)
					}
				}
			}
			crawler, self := testnode.Listen(t, tt.v4)
			core := newCore(t, Config{Self: self.ID(), V4: tt.v4, Seeds: nodes[:1]})
			complete, err := Run(ctx, core, crawler, Options{})
			if !complete || err != nil {
				t.Fatalf("complete %v, %v", complete, err)
			}
			set := core.NodeSet()
			for i, n := range nodes {
				if status := set[n.ID()]; status.Record == nil || status.Record.String() != n.Record().String() || status.Score != 1 {
					t.Errorf("node %d: %+v", i, status)
				}
			}
			if len(set) != len(nodes) {
				t.Errorf("%d nodes, want %d", len(set), len(nodes))
			}
			p := core.Progress(time.Now())
			t.Log(p.String())
		})
	}
}
