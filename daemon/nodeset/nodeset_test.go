package nodeset

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/daemon/internal/testnode"
	"parley/dnsdisc"
	"parley/enode"
	"parley/enr"
	"parley/eth"
	"parley/rlp"
)

var start = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)

// A member is a node of a test set.
type member struct {
	entries []enr.Entry
	score   int
	age     time.Duration
}

// setOf makes a set, and returns the members' IDs in their order.
func setOf(t testing.TB, members ...member) (dnsdisc.NodeSet, []enode.ID) {
	t.Helper()
	set := make(dnsdisc.NodeSet)
	var ids []enode.ID
	for i, m := range members {
		r, err := enr.Sign(testnode.Key(t, i), uint64(i)+1, m.entries...)
		if err != nil {
			t.Fatal(err)
		}
		id := enode.PubkeyID(r.PublicKey())
		ids = append(ids, id)
		set[id] = dnsdisc.NodeStatus{
			Seq: r.Seq(), Record: r, Score: m.score,
			FirstResponse: start, LastResponse: start.Add(m.age), LastCheck: start.Add(m.age),
		}
	}
	return set, ids
}

// idsOf returns the IDs of a set, sorted.
func idsOf(set dnsdisc.NodeSet) []enode.ID {
	return slices.SortedFunc(maps.Keys(set), enode.ID.Compare)
}

func ip(s string) enr.Entry { return enr.IP(netip.MustParseAddr(s)) }

func fork(hash uint32, next uint64) enr.Entry {
	return eth.Entry{ForkID: eth.ForkID{Hash: hash, Next: next}}
}

func presence(key string) enr.Entry { return enr.With(key, rlp.Raw{0xc0}) }

func chain(t testing.TB, name string) *eth.Chain {
	c, ok := eth.ChainNamed(name)
	if !ok {
		t.Fatalf("there is no chain %s", name)
	}
	return &c
}

// Each condition of a filter lets through the nodes that it is about, and several
// those that meet all of them. The fork ids are those of EIP-2124 and EIP-6122.
func TestFilter(t *testing.T) {
	set, ids := setOf(t,
		member{score: 5, age: time.Hour, entries: []enr.Entry{ip("8.8.1.1"), enr.TCP(30303), enr.UDP(30303), fork(0xfc64ec04, 1150000), presence("snap")}}, // mainnet, unsynced
		member{score: 9, age: 3 * time.Hour, entries: []enr.Entry{ip("8.9.1.1"), enr.TCP(30303), fork(0xdce96c2d, 0)}},                                     // mainnet after Shanghai, which knows of no more
		member{score: 0, age: 2 * time.Hour, entries: []enr.Entry{ip("8.8.2.2"), enr.TCP(30303), fork(0xdeadbeef, 0)}},                                     // another chain
		member{score: 7, entries: []enr.Entry{ip("10.0.0.1"), enr.TCP(30303), presence("les")}},                                                            // private address
		member{score: 7, entries: []enr.Entry{ip("8.8.3.3"), enr.UDP(30303)}},                                                                              // no TCP
		member{score: 3, age: time.Minute, entries: []enr.Entry{ip("2a01:4f8::1"), enr.TCP6(30303), enr.UDP6(30303)}},
		member{score: 1, entries: []enr.Entry{enr.With("eth", rlp.Raw{0x01}), presence("les"), presence("snap")}}, // an entry that cannot be read
	)
	for _, tt := range []struct {
		name   string
		filter Filter
		want   []int
	}{
		{"no condition", Filter{}, []int{0, 1, 2, 3, 4, 5, 6}},
		{"network", Filter{Networks: []netip.Prefix{netip.MustParsePrefix("8.8.0.0/16")}}, []int{0, 2, 4}},
		{"either network", Filter{Networks: []netip.Prefix{netip.MustParsePrefix("8.9.0.0/16"), netip.MustParsePrefix("2a01::/16")}}, []int{1, 5}},
		{"age", Filter{MinAge: 2 * time.Hour}, []int{1, 2}},
		{"mainnet", Filter{Chain: chain(t, "mainnet")}, []int{0, 1}},
		{"sepolia", Filter{Chain: chain(t, "sepolia")}, nil},
		{"les", Filter{LESServer: true}, []int{3, 6}},
		{"snap", Filter{Snap: true}, []int{0, 6}},
		{"dialable", Filter{Dialable: true}, []int{0, 1, 5}},
		{"two conditions", Filter{Dialable: true, Chain: chain(t, "mainnet"), MinAge: 2 * time.Hour}, []int{1}},
		{"best", Filter{Limit: 1}, []int{1}},
		{"best of those left", Filter{Limit: 2, Networks: []netip.Prefix{netip.MustParsePrefix("8.8.0.0/16")}}, []int{0, 4}},
		{"more than there are", Filter{Limit: 100}, []int{0, 1, 2, 3, 4, 5, 6}},
	} {
		got, err := tt.filter.Apply(set)
		var want []enode.ID
		for _, i := range tt.want {
			want = append(want, ids[i])
		}
		slices.SortFunc(want, enode.ID.Compare)
		if err != nil || !slices.Equal(idsOf(got), want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, idsOf(got), err, want)
		}
		for id, status := range got {
			if !reflect.DeepEqual(status, set[id]) {
				t.Errorf("%s: node %v was changed", tt.name, id)
			}
		}
	}
	if len(set) != 7 {
		t.Errorf("the set that was filtered has %d nodes left of 7", len(set))
	}
}

// Of nodes with one score always the same ones stay, or a file would change
// without a reason.
func TestFilterLimitStable(t *testing.T) {
	members := make([]member, 20)
	set, ids := setOf(t, members...)
	slices.SortFunc(ids, enode.ID.Compare)
	for range 10 {
		got, err := (&Filter{Limit: 5}).Apply(set)
		if err != nil || !slices.Equal(idsOf(got), ids[:5]) {
			t.Fatalf("%v, %v; want %v", idsOf(got), err, ids[:5])
		}
	}
}

// The addresses that count as public are those of hosts on the Internet.
func TestPublic(t *testing.T) {
	test := newPublicTest()
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.0.0.1": true, "223.255.255.255": true, "100.128.0.1": true, "172.32.0.1": true, "2a01::1": true, "2620:4f:8001::1": true,
		"10.1.2.3": false, "100.64.0.1": false, "127.0.0.1": false, "169.254.1.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"192.0.2.1": false, "198.19.0.1": false, "203.0.113.1": false, "224.0.0.1": false, "255.255.255.255": false, "0.0.0.0": false,
		"::1": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "64:ff9b::808:808": false, "2001:db8::1": false, "2001::1": false, "2002:808:808::1": false,
	} {
		if got := test.public(netip.MustParseAddr(text)); got != want {
			t.Errorf("public(%s) = %v, want %v", text, got, want)
		}
	}
	if test.public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// Info counts nodes, not endpoints, and tells which network a fork id is of.
func TestInfo(t *testing.T) {
	set, _ := setOf(t,
		member{score: 4, age: time.Hour, entries: []enr.Entry{ip("8.8.1.1"), ip("2a01::1"), enr.TCP(1), enr.UDP(1), fork(0xdce96c2d, 0), presence("snap")}},
		member{score: 2, age: time.Minute, entries: []enr.Entry{ip("10.0.0.1"), enr.TCP(1), fork(0xdce96c2d, 0)}},
		member{entries: []enr.Entry{fork(0xdeadbeef, 7)}},
	)
	got, err := InfoOf(set)
	want := &Info{
		Nodes: 3, IPv4: 2, IPv6: 1, TCP: 2, UDP: 1, Dialable: 1,
		Entries: []EntryCount{{"eth", 3}, {"id", 3}, {"secp256k1", 3}, {"ip", 2}, {"tcp", 2}, {"ip6", 1}, {"snap", 1}, {"udp", 1}},
		Forks:   []ForkCount{{eth.ForkID{Hash: 0xdce96c2d}, "mainnet", 2}, {eth.ForkID{Hash: 0xdeadbeef, Next: 7}, "", 1}},
		Seq:     Spread[uint64]{1, 2, 3, 3}, Score: Spread[int]{0, 2, 4, 4}, Age: Spread[Seconds]{0, 60, 3600, 3600},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if got, err := InfoOf(nil); err != nil || got.Nodes != 0 || got.Entries == nil || got.Forks == nil {
		t.Errorf("of no nodes: %+v, %v", got, err)
	}
}

// Nine of ten values are not above the one called so.
func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		n    int
		want Spread[int]
	}{{0, Spread[int]{}}, {1, Spread[int]{1, 1, 1, 1}}, {2, Spread[int]{1, 1, 2, 2}}, {10, Spread[int]{1, 5, 9, 10}}, {11, Spread[int]{1, 6, 10, 11}}, {100, Spread[int]{1, 50, 90, 100}}} {
		var values []int
		for i := range tt.n {
			values = append(values, tt.n-i)
		}
		if got := spreadOf(values); got != tt.want {
			t.Errorf("of %d: %+v, want %+v", tt.n, got, tt.want)
		}
	}
}

// The lists of an Info stay short whatever others put into their records.
func TestInfoBounded(t *testing.T) {
	var members []member
	for i := range 2 * maxKinds {
		members = append(members, member{entries: []enr.Entry{fork(uint32(i), 0), presence(strings.Repeat("k", i+1))}})
	}
	set, _ := setOf(t, members...)
	if info, err := InfoOf(set); err != nil || len(info.Entries) != maxKinds || len(info.Forks) != maxKinds {
		t.Errorf("%d entries, %d forks, %v; want %d of each", len(info.Entries), len(info.Forks), err, maxKinds)
	}
}

// What was written is read back, from a file and from standard input.
func TestReadWrite(t *testing.T) {
	set, ids := setOf(t, member{score: 4, entries: []enr.Entry{ip("8.8.1.1")}}, member{})
	path := filepath.Join(t.TempDir(), "nodes.json")
	if err := Write(path, set, nil); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := Write(Stdio, set, &text); err != nil {
		t.Fatal(err)
	}
	for from, in := range map[string]*bytes.Buffer{path: nil, Stdio: &text} {
		got, err := Read(from, in)
		if err != nil || len(got) != 2 || got[ids[0]].Score != 4 || got[ids[0]].Record.String() != set[ids[0]].Record.String() || !got[ids[0]].FirstResponse.Equal(start) {
			t.Errorf("read from %s: %v, %v", from, got, err)
		}
	}
}

// What is wrong with a file is told, with its name.
func TestReadWrong(t *testing.T) {
	dir := t.TempDir()
	set, ids := setOf(t, member{}, member{})
	other := set[ids[1]]
	set[ids[0]] = other
	text, err := set.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"array.json":    {"[]", "array.json: dnsdisc: parse nodes.json"},
		"empty.json":    {"", "EOF"},
		"cut.json":      {string(text[:100]), "unexpected EOF"},
		"stranger.json": {string(text), "the record is of another node"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
	if _, err := Read(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Read(dir, nil); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory: %v", err)
	}
}
