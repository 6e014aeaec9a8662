package main

import (
	"context"
	"testing"
	"time"

	"parley/interop/bench/internal/loopnode"
)

// Only one protocol can be asked for, since each row measures one.
func TestArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"both"}, {"v4", "v5"}} {
		if err := run(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

// PeerCount counts the nodes of the table of either protocol.
func TestPeerCount(t *testing.T) {
	for _, protocol := range []string{"v4", "v5"} {
		a, err := loopnode.Start(protocol)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if n := (backend{a.Service}).PeerCount(); n != 0 {
			t.Errorf("%s: %d nodes in the table of a node that knows nobody", protocol, n)
		}
		b, err := loopnode.Start(protocol, a.Self)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := b.Ping(ctx, a.Self); err != nil {
			t.Fatal(err)
		}
		if n := (backend{b.Service}).PeerCount(); n != 1 {
			t.Errorf("%s: %d nodes in the table, want the one that answered", protocol, n)
		}
	}
}
