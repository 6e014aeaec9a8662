package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"parley/daemon/internal/testnode"
	"parley/daemon/jsonrpc"
	"parley/discover"
	"parley/enode"
)

// connect returns a client of rpc.
func connect(t *testing.T, rpc *jsonrpc.Server) *jsonrpc.Client {
	near, far := net.Pipe()
	client := jsonrpc.NewClient(near)
	var tasks sync.WaitGroup
	tasks.Go(func() { rpc.ServeConn(t.Context(), far) })
	t.Cleanup(func() { client.Close(); tasks.Wait() })
	return client
}

// Both protocols tell who the node is and find random others, as many as were asked
// for and each once.
func TestMethods(t *testing.T) {
	for _, tt := range []struct {
		name     string
		v4       bool
		register func(*jsonrpc.Server, *discover.Service, *enode.Node)
	}{{"discv4", true, RegisterV4}, {"discv5", false, RegisterV5}} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			hub, _ := testnode.Listen(t, tt.v4)
			var others []*enode.Node
			for range 4 {
				_, n := testnode.Listen(t, tt.v4)
				others = append(others, n)
				if _, err := hub.Ping(ctx, n); err != nil {
					t.Fatal(err)
				}
			}
			s, self := testnode.Listen(t, tt.v4, others[0])
			for _, n := range others {
				if _, err := s.Ping(ctx, n); err != nil {
					t.Fatal(err)
				}
			}
			rpc := jsonrpc.NewServer(slog.New(slog.DiscardHandler))
			tt.register(rpc, s, self)
			client := connect(t, rpc)

			var text string
			if err := client.Call(ctx, &text, tt.name+"_self"); err != nil || text != self.String() {
				t.Errorf("self = %q, %v; want %q", text, err, self)
			}
			var found []*enode.Node
			if err := client.Call(ctx, &found, tt.name+"_lookupRandom", 3); err != nil || len(found) != 3 {
				t.Fatalf("lookupRandom = %v, %v; want 3 nodes", found, err)
			}
			seen := make(map[enode.ID]bool)
			for _, n := range found {
				if seen[n.ID()] || n.ID() == self.ID() {
					t.Errorf("node %v is there twice, or is the one that was asked", n.ID())
				}
				seen[n.ID()] = true
			}
			for _, params := range [][]any{{}, {0}, {-1}, {257}, {"x"}, {1, 2}} {
				err := client.Call(ctx, &found, tt.name+"_lookupRandom", params...)
				if e, ok := errors.AsType[*jsonrpc.Error](err); !ok || e.Code != jsonrpc.CodeInvalidParams {
					t.Errorf("lookupRandom %v: %v", params, err)
				}
			}
			var buckets [][]map[string]json.RawMessage
			err := client.Call(ctx, &buckets, tt.name+"_buckets")
			if !tt.v4 {
				if err == nil {
					t.Error("discv5_buckets exists")
				}
				return
			}
			if err != nil || len(buckets) != 17 {
				t.Fatalf("%d buckets, %v; want 17", len(buckets), err)
			}
			for i, b := range buckets {
				for _, entry := range b {
					var n *enode.Node
					if err := json.Unmarshal(entry["node"], &n); err != nil {
						t.Fatal(err)
					}
					if d := enode.LogDistance(self.ID(), n.ID()); max(d-240, 0) != i || len(entry) != 5 {
						t.Errorf("a node at distance %d is in bucket %d: %s", d, i, entry)
					}
				}
			}
		})
	}
}

// Buckets that a table does not have are empty lists, and the nearest one holds all
// that is nearer.
func TestBuckets(t *testing.T) {
	added := time.Unix(1000, 0).UTC()
	entry := discover.Entry{Added: added, Live: true, Checks: 3}
	text, err := json.Marshal(bucketsOf([]discover.Bucket{{Distance: 256, Entries: []discover.Entry{entry}}, {Distance: 240}, {Distance: 5, Entries: []discover.Entry{{}}}}))
	const want = `[[{"node":null,"addedToTable":"0001-01-01T00:00:00Z","addedToBucket":"0001-01-01T00:00:00Z","checks":0,"live":false}],` +
		`[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],` +
		`[{"node":null,"addedToTable":"1970-01-01T00:16:40Z","addedToBucket":"1970-01-01T00:16:40Z","checks":3,"live":true}]]`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
}

// In an empty network the search for random nodes ends with the caller's patience.
func TestRandomNobody(t *testing.T) {
	s, _ := testnode.Listen(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if found := random(ctx, s, 5); found == nil || len(found) != 0 {
		t.Errorf("found %v, want an empty list", found)
	}
}

// A node tells its tables, each protocol's or null if it is off.
func TestTable(t *testing.T) {
	s, self := testnode.Listen(t, true)
	_, other := testnode.Listen(t, true)
	if _, err := s.Ping(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	rpc := jsonrpc.NewServer(slog.New(slog.DiscardHandler))
	RegisterTable(rpc, s)
	client := connect(t, rpc)

	var table Table
	if err := client.Call(t.Context(), &table, "p2p_table"); err != nil {
		t.Fatal(err)
	}
	if table.V5 != nil || table.V4 == nil || table.V4.Nodes != 1 || len(table.V4.Buckets) != 1 {
		t.Fatalf("p2p_table = %+v; want one node of v4", table)
	}
	b := table.V4.Buckets[0]
	if len(b.Entries) != 1 || b.Entries[0].ID != other.ID() || b.Entries[0].Added.IsZero() || b.Replacements == nil {
		t.Errorf("the bucket is %+v, want the node %v in it", b, other.ID())
	}
	var buckets [][]json.RawMessage
	err := client.Call(t.Context(), &buckets, "debug_discoveryV4Table")
	if want := max(enode.LogDistance(self.ID(), other.ID())-240, 0); err != nil || len(buckets) != 17 || len(buckets[want]) != 1 {
		t.Errorf("debug_discoveryV4Table = %s, %v; want 17 buckets, one node in bucket %d", buckets, err, want)
	}

	off := jsonrpc.NewServer(slog.New(slog.DiscardHandler))
	RegisterTable(off, nil)
	client = connect(t, off)
	var raw json.RawMessage
	for method, want := range map[string]string{"p2p_table": `{"v4":null,"v5":null}`, "debug_discoveryV4Table": "null"} {
		if err := client.Call(t.Context(), &raw, method); err != nil || string(raw) != want {
			t.Errorf("%s without discovery = %s, %v; want %s", method, raw, err, want)
		}
	}
}

// A ping tells which protocol answered, and what was wrong if none did.
func TestPing(t *testing.T) {
	for _, v4 := range []bool{true, false} {
		s, _ := testnode.Listen(t, v4)
		_, other := testnode.Listen(t, v4)
		rpc := jsonrpc.NewServer(slog.New(slog.DiscardHandler))
		RegisterPing(rpc, s)
		client := connect(t, rpc)
		var pong Pong
		want := "discv4"
		if !v4 {
			want = "discv5"
		}
		if err := client.Call(t.Context(), &pong, "p2p_ping", other.String()); err != nil || pong.Protocol != want || pong.Millis <= 0 {
			t.Errorf("%+v, %v; want an answer by %s", pong, err, want)
		}
		if err := client.Call(t.Context(), &pong, "p2p_ping", "enode://zz"); err == nil {
			t.Error("no error for what is no node")
		}
	}
	rpc := jsonrpc.NewServer(slog.New(slog.DiscardHandler))
	RegisterPing(rpc, nil)
	_, other := testnode.Listen(t, true)
	if err := connect(t, rpc).Call(t.Context(), new(Pong), "p2p_ping", other.String()); err == nil || err.Error() != "discovery is off" {
		t.Errorf("without discovery: %v", err)
	}
}
