package nodeset

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"parley/dnsdisc"
	"parley/enode"
	"parley/enr"
	"parley/eth"
)

// A Filter says which nodes of a set are wanted: those that pass every condition.
// A zero field is no condition.
type Filter struct {
	// Networks: an address of the node is in one of them.
	Networks []netip.Prefix

	// MinAge: at least this long lies between the first and the last time that the
	// node answered.
	MinAge time.Duration

	// Chain: the node says that it is on this chain, by a fork id that a node on it
	// has now, had before, or will have after the forks that are known.
	Chain *eth.Chain

	LESServer bool // the record has an "les" entry
	Snap      bool // the record has a "snap" entry

	// Dialable: the node accepts connections at an address that anybody on the
	// Internet can reach, and its score is above 0.
	Dialable bool

	// Limit: of those that pass the rest, this many with the highest scores.
	Limit int
}

// Apply returns the nodes of set that are wanted. The set stays as it is.
func (f *Filter) Apply(set dnsdisc.NodeSet) (dnsdisc.NodeSet, error) {
	public := newPublicTest()
	result := make(dnsdisc.NodeSet)
	for id, status := range set {
		n, err := enode.New(status.Record)
		if err != nil {
			return nil, fmt.Errorf("nodeset: node %v: %w", id, err)
		}
		if f.passes(n, status, public) {
			result[id] = status
		}
	}
	if f.Limit > 0 {
		for _, id := range best(result)[min(f.Limit, len(result)):] {
			delete(result, id)
		}
	}
	return result, nil
}

func (f *Filter) passes(n *enode.Node, status dnsdisc.NodeStatus, public *publicTest) bool {
	switch {
	case len(f.Networks) > 0 && !within(n, f.Networks):
		return false
	case age(status) < f.MinAge:
		return false
	case f.Chain != nil && !onChain(n, f.Chain):
		return false
	case f.LESServer && !status.Record.Has("les"):
		return false
	case f.Snap && !status.Record.Has("snap"):
		return false
	case f.Dialable && !(status.Score > 0 && dialable(n, public)):
		return false
	}
	return true
}

// within reports whether an address of n is in one of the networks.
func within(n *enode.Node, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool {
		return p.Contains(n.Addr4()) || p.Contains(n.Addr6())
	})
}

// age is the time for which a node is known to have been there.
func age(status dnsdisc.NodeStatus) time.Duration {
	if status.FirstResponse.IsZero() {
		return 0
	}
	return max(status.LastResponse.Sub(status.FirstResponse), 0)
}

// onChain reports whether n says that it is on the chain.
func onChain(n *enode.Node, chain *eth.Chain) bool {
	id, ok := forkID(n.Record())
	return ok && has(chain, id)
}

// has reports whether the chain has, had or will have the fork id. It is looked at
// from the genesis block, where nobody is behind.
func has(chain *eth.Chain, id eth.ForkID) bool {
	return chain.Forks.Check(chain.Genesis, eth.Head{Time: chain.Forks.GenesisTime}, id) == nil
}

// dialable reports whether n accepts connections at a public address.
func dialable(n *enode.Node, public *publicTest) bool {
	for at := range n.TCPEndpoints() {
		if public.public(at.Addr()) {
			return true
		}
	}
	return false
}

// best returns the IDs of a set, those with high scores first.
func best(set dnsdisc.NodeSet) []enode.ID {
	return slices.SortedFunc(maps.Keys(set), func(a, b enode.ID) int {
		return cmp.Or(cmp.Compare(set[b].Score, set[a].Score), a.Compare(b))
	})
}

// forkID returns the fork id in a record.
func forkID(r *enr.Record) (eth.ForkID, bool) {
	var entry eth.Entry
	err := r.Load(&entry)
	return entry.ForkID, err == nil
}
