// Package testnode gives the tests of the daemon keys, and nodes that speak discovery
// on the loopback interface.
package testnode

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"parley/discover"
	"parley/enode"
	"parley/enr"
)

// Key returns one key for each number, the same in every run.
func Key(t testing.TB, i int) *enode.PrivateKey {
	t.Helper()
	var b [32]byte
	binary.BigEndian.PutUint64(b[24:], uint64(i)+1)
	key, err := enode.ParsePrivateKey(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// NewKey returns a key that nobody else has.
func NewKey(t testing.TB) *enode.PrivateKey {
	t.Helper()
	key, err := enode.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Node returns a node with a record of the given number and entries.
func Node(t testing.TB, key *enode.PrivateKey, seq uint64, entries ...enr.Entry) *enode.Node {
	t.Helper()
	r, err := enr.Sign(key, seq, entries...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := enode.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Listen starts a service on the loopback interface, of discovery v4 or else of v5,
// that knows the given nodes; the number of its record is 7. It ends with the test.
func Listen(t testing.TB, v4 bool, bootnodes ...*enode.Node) (*discover.Service, *enode.Node) {
	t.Helper()
	key := NewKey(t)
	s, err := discover.Listen(discover.Config{PrivateKey: key, V4: v4, V5: !v4, Addr: "127.0.0.1:0", Bootnodes: bootnodes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	n := Node(t, key, 7, enr.IP(netip.MustParseAddr("127.0.0.1")), enr.UDP(s.Addr().Port()))
	if err := s.SetSelf(n); err != nil {
		t.Fatal(err)
	}
	return s, n
}
