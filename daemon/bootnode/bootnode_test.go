package bootnode

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/daemon/internal/testnode"
	"parley/discover"
	"parley/enode"
	"parley/nat"
)

// run starts a bootnode on the loopback interface, which ends with the test.
func run(t *testing.T, cfg Config) *enode.Node {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	started, ended := make(chan *enode.Node, 1), make(chan error, 1)
	cfg.Addr, cfg.Logger = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	cfg.Started = func(n *enode.Node) error { started <- n; return nil }
	go func() { ended <- Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case n := <-started:
		return n
	case err := <-ended:
		ended <- nil
		t.Fatalf("Run: %v", err)
		return nil
	}
}

// Two nodes that know only the bootnode hear of each other from it, by v4 alone and
// by v5 alone.
func TestNodesMeet(t *testing.T) {
	for _, v4 := range []bool{true, false} {
		boot := run(t, Config{PrivateKey: testnode.NewKey(t)})
		keys := []*enode.PrivateKey{testnode.NewKey(t), testnode.NewKey(t)}
		var nodes []*discover.Service
		for _, key := range keys {
			s, err := discover.Listen(discover.Config{
				PrivateKey: key, V4: v4, V5: !v4, Addr: "127.0.0.1:0", Bootnodes: []*enode.Node{boot},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			nodes = append(nodes, s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		found := false
		for n := range nodes[0].Nodes(ctx) {
			if found = n.ID() == enode.PubkeyID(keys[1].Public()); found {
				break
			}
		}
		if !found {
			t.Errorf("v4 %v: the other node was not found", v4)
		}
	}
}

// The record has the address that the operator names, and a number that begins at
// the clock.
func TestRecord(t *testing.T) {
	before := uint64(time.Now().UnixMilli())
	four := run(t, Config{PrivateKey: testnode.NewKey(t), NAT: nat.External("203.0.113.9")})
	six := run(t, Config{PrivateKey: testnode.NewKey(t), NAT: nat.External("2001:db8::9")})
	if at, _ := four.UDPEndpoint(); at.Addr() != netip.MustParseAddr("203.0.113.9") || at.Port() == 0 {
		t.Errorf("endpoint %v, want 203.0.113.9 and the port", at)
	}
	if six.Addr6() != netip.MustParseAddr("2001:db8::9") {
		t.Errorf("IPv6 address %v", six.Addr6())
	}
	if _, ok := four.TCPEndpoint(); ok {
		t.Error("the record has a TCP port")
	}
	if four.Seq() < before {
		t.Errorf("number %d, want the clock's, %d, or higher", four.Seq(), before)
	}
}

// An address at which there is nothing to listen, or nobody, is an error.
func TestRunErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, cfg := range []Config{
		{Addr: "203.0.113.9:0", PrivateKey: testnode.NewKey(t)},
		{Addr: "127.0.0.1:0"},
		{Addr: "127.0.0.1:0", PrivateKey: testnode.NewKey(t), NAT: nat.External("0.0.0.0")},
	} {
		cfg.Logger = slog.New(slog.DiscardHandler)
		cfg.Started = func(*enode.Node) error { return nil }
		if err := Run(ctx, cfg); err == nil {
			t.Errorf("%v, %v: no error", cfg.Addr, cfg.NAT)
		}
	}
}

// A status line has the tables, and what came since the last line.
func TestStatus(t *testing.T) {
	table := discover.Table{
		V4: []discover.Bucket{{Entries: []discover.Entry{{Live: true}, {}}}, {Entries: []discover.Entry{{Live: true}}}},
		V5: []discover.Bucket{{Entries: []discover.Entry{{}}}},
	}
	before := discover.Stats{V4: &discover.StatsV4{
		Received: map[string]uint64{"PING": 10, "PONG": 3},
		Sent:     map[string]uint64{"PONG": 10},
	}}
	now := discover.Stats{
		V4: &discover.StatsV4{
			Received: map[string]uint64{"PING": 12, "PONG": 3, "FINDNODE": 7},
			Sent:     map[string]uint64{"PONG": 10},
			Dropped:  map[string]uint64{"expired": 1, "rate": 1},
		},
		V5: &discover.StatsV5{MessagesIn: map[string]uint64{"PING": 1}, ChallengesOut: 2, Sessions: 5},
	}
	now.V5.MessagesOut = map[string]uint64{"PONG": 1}
	got := strings.Trim(fmt.Sprintf("%q", status(table, before, now)), "[]")
	want := `"v4" "2/3" "v5" "0/1" "sessions" '\x05' "in4" "FINDNODE 7, PING 2" "dropped4" "expired 1, rate 1" "in5" "PING 1" "out5" "WHOAREYOU 2, PONG 1"`
	if got != want {
		t.Errorf("status\n%s\nwant\n%s", got, want)
	}
	if got := status(discover.Table{}, now, now); len(got) != 6 {
		t.Errorf("without traffic: %q", got)
	}
}
