// Package admin offers a node's control and state as JSON-RPC methods: the
// namespaces admin, net and web3 with the names and shapes that the tools of this
// field know, and p2p for what is our own.
package admin

import (
	"context"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"strconv"
	"time"

	"parley/daemon/jsonrpc"
	"parley/enode"
	"parley/eth"
	"parley/p2p"
)

// A Node is what the methods ask and change; *p2p.Server is one.
type Node interface {
	NodeInfo() *p2p.NodeInfo
	PeersInfo() []*p2p.PeerInfo
	PeerCount() int
	Addr() net.Addr // nil if not listening
	Stats() p2p.Stats
	Explain(id enode.ID) p2p.Explanation
	ExplainStatic() []p2p.Explanation
	Ban(b p2p.Ban) error
	Unban(id enode.ID, prefix netip.Prefix) error
	Bans() []p2p.Ban
	Events(ctx context.Context) iter.Seq[p2p.Event]
	AddPeer(n *enode.Node) error
	RemovePeer(n *enode.Node)
	AddTrustedPeer(n *enode.Node) error
	RemoveTrustedPeer(n *enode.Node)
}

// Info is what does not change while the node runs.
type Info struct {
	ClientVersion string // web3_clientVersion
	NetworkID     uint64 // net_version; 0 if the node takes on its peers' network
	DataDir       string // admin_datadir

	EthStats func() eth.Stats // part of p2p_stats; nil if eth does not run
}

// Register adds all methods and the subscription peerEvents to s.
func Register(s *jsonrpc.Server, node Node, info Info) {
	s.Register("admin_nodeInfo", get(func() any { return node.NodeInfo() }))
	s.Register("admin_peers", get(func() any { return peers(node) }))
	s.Register("admin_datadir", get(func() any { return info.DataDir }))
	s.Register("admin_addPeer", change(node.AddPeer))
	s.Register("admin_removePeer", change(always(node.RemovePeer)))
	s.Register("admin_addTrustedPeer", change(node.AddTrustedPeer))
	s.Register("admin_removeTrustedPeer", change(always(node.RemoveTrustedPeer)))
	s.RegisterSubscription("admin", "peerEvents", peerEvents(node))

	registerBans(s, node)

	s.Register("net_version", get(func() any { return strconv.FormatUint(info.NetworkID, 10) }))
	s.Register("net_peerCount", get(func() any { return fmt.Sprintf("%#x", node.PeerCount()) }))
	s.Register("net_listening", get(func() any { return node.Addr() != nil }))
	s.Register("web3_clientVersion", get(func() any { return info.ClientVersion }))

	s.Register("p2p_explain", explain(node))
	s.Register("p2p_explainStatic", get(func() any {
		all, now := []*Explanation{}, time.Now()
		for _, x := range node.ExplainStatic() {
			all = append(all, NewExplanation(x, now))
		}
		return all
	}))
	s.Register("p2p_stats", get(func() any {
		stats := NewStats(node.Stats())
		if info.EthStats != nil {
			stats.Eth = NewEthStats(info.EthStats())
		}
		return stats
	}))
}

// get makes a method without parameters.
func get(result func() any) jsonrpc.Method {
	return func(_ context.Context, p jsonrpc.Params) (any, error) {
		if err := p.Decode(); err != nil {
			return nil, err
		}
		return result(), nil
	}
}

// change makes a method that takes a node's URL and answers true.
func change(do func(*enode.Node) error) jsonrpc.Method {
	return func(_ context.Context, p jsonrpc.Params) (any, error) {
		n, err := nodeParam(p)
		if err != nil {
			return nil, err
		}
		if err := do(n); err != nil {
			return nil, err
		}
		return true, nil
	}
}

// always makes a change that cannot fail fit for change.
func always(do func(*enode.Node)) func(*enode.Node) error {
	return func(n *enode.Node) error { do(n); return nil }
}

func nodeParam(p jsonrpc.Params) (*enode.Node, error) {
	var url string
	if err := p.Decode(&url); err != nil {
		return nil, err
	}
	n, err := enode.Parse(url)
	if err != nil {
		return nil, fmt.Errorf("invalid enode: %w", err)
	}
	return n, nil
}

// peers returns the peers as an array, also if there are none.
func peers(node Node) []*p2p.PeerInfo {
	if list := node.PeersInfo(); list != nil {
		return list
	}
	return []*p2p.PeerInfo{}
}

// peerEvents subscribes to peers that come and go. A subscriber that has missed
// events is dropped, because it would be wrong from then on.
func peerEvents(node Node) jsonrpc.Subscription {
	return func(ctx context.Context) iter.Seq2[any, error] {
		events := node.Events(ctx)
		return func(yield func(any, error) bool) {
			for e := range events {
				if e.Type == p2p.EventLost {
					yield(nil, fmt.Errorf("admin: peerEvents: the subscriber is too slow: %d events lost", e.Lost))
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}
