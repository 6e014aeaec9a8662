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
	"parley/eth"
)

// maxKinds bounds the lists of an [Info], whose lines others choose.
const maxKinds = 32

// An Info counts what is in a set.
type Info struct {
	Nodes    int `json:"nodes"`
	IPv4     int `json:"ipv4"`     // nodes with an endpoint there, TCP or UDP
	IPv6     int `json:"ipv6"`     // likewise
	TCP      int `json:"tcp"`      // nodes that accept connections
	UDP      int `json:"udp"`      // nodes that take part in discovery
	Dialable int `json:"dialable"` // as Filter.Dialable

	// Entries are the keys of the records, Forks the fork ids: the 32 most frequent
	// of each.
	Entries []EntryCount `json:"entries"`
	Forks   []ForkCount  `json:"forks"`

	Seq   Spread[uint64]  `json:"seq"`
	Score Spread[int]     `json:"score"`
	Age   Spread[Seconds] `json:"age"` // as Filter.MinAge
}

// An EntryCount is how many records have an entry.
type EntryCount struct {
	Key   string `json:"key"`
	Nodes int    `json:"nodes"`
}

// A ForkCount is how many nodes tell a fork id.
type ForkCount struct {
	ID      eth.ForkID `json:"id"`
	Network string     `json:"network,omitempty"` // of the built-in chains
	Nodes   int        `json:"nodes"`
}

// Seconds is a duration that is a number in JSON.
type Seconds int64

// String returns the duration as Go writes it.
func (s Seconds) String() string { return (time.Duration(s) * time.Second).String() }

// A Spread is how the values of something are distributed: all are zero if there
// are none.
type Spread[T cmp.Ordered] struct {
	Min    T `json:"min"`
	Median T `json:"median"`
	P90    T `json:"p90"` // nine of ten are not above it
	Max    T `json:"max"`
}

func spreadOf[T cmp.Ordered](values []T) (s Spread[T]) {
	if len(values) == 0 {
		return s
	}
	slices.Sort(values)
	n := len(values)
	return Spread[T]{values[0], values[(n-1)/2], values[(9*n+9)/10-1], values[n-1]}
}

// InfoOf counts what is in set.
func InfoOf(set dnsdisc.NodeSet) (*Info, error) {
	info := &Info{Nodes: len(set)}
	public := newPublicTest()
	entries, forks := make(map[string]int), make(map[eth.ForkID]int)
	var seqs []uint64
	var scores []int
	var ages []Seconds
	for id, status := range set {
		n, err := enode.New(status.Record)
		if err != nil {
			return nil, fmt.Errorf("nodeset: node %v: %w", id, err)
		}
		info.countEndpoints(n)
		if status.Score > 0 && dialable(n, public) {
			info.Dialable++
		}
		for key := range status.Record.Entries() {
			entries[key]++
		}
		if id, ok := forkID(status.Record); ok {
			forks[id]++
		}
		seqs, scores, ages = append(seqs, status.Seq), append(scores, status.Score), append(ages, Seconds(age(status)/time.Second))
	}
	info.Seq, info.Score, info.Age = spreadOf(seqs), spreadOf(scores), spreadOf(ages)
	info.Entries = []EntryCount{}
	for _, key := range frequent(entries, cmp.Compare[string]) {
		info.Entries = append(info.Entries, EntryCount{key, entries[key]})
	}
	chains := eth.Chains()
	info.Forks = []ForkCount{}
	for _, id := range frequent(forks, func(a, b eth.ForkID) int { return cmp.Compare(a.String(), b.String()) }) {
		info.Forks = append(info.Forks, ForkCount{id, chainOf(chains, id), forks[id]})
	}
	return info, nil
}

func (info *Info) countEndpoints(n *enode.Node) {
	tcp, udp := slices.Collect(n.TCPEndpoints()), slices.Collect(n.UDPEndpoints())
	all := slices.Concat(tcp, udp)
	count := func(is bool, n *int) {
		if is {
			*n++
		}
	}
	count(len(tcp) > 0, &info.TCP)
	count(len(udp) > 0, &info.UDP)
	count(slices.ContainsFunc(all, func(at netip.AddrPort) bool { return at.Addr().Is4() }), &info.IPv4)
	count(slices.ContainsFunc(all, func(at netip.AddrPort) bool { return at.Addr().Is6() }), &info.IPv6)
}

// frequent returns the keys with the highest counts, those first. Of equal counts
// compare decides.
func frequent[K comparable](counts map[K]int, compare func(a, b K) int) []K {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), compare(a, b))
	})
	return keys[:min(len(keys), maxKinds)]
}
