// Package localnode keeps the local node's own record: its entries, its sequence
// number and its signature, and the endpoint that other nodes say it has.
//
// A Local is a core: its owner calls it under one mutex.
package localnode

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"parley/enode"
	"parley/enr"
	"parley/rlp"
)

// A Local is the local node's record, changed entry by entry and signed anew
// after each change.
type Local struct {
	key     *enode.PrivateKey
	entries map[string]enr.Entry
	node    *enode.Node

	// By family, true for IPv6.
	elections map[bool]*election
	fixed     map[bool]bool
}

// New returns a Local without entries whose first record has the sequence number
// seq. A record with a key and nothing else can always be signed.
func New(key *enode.PrivateKey, seq uint64) (*Local, error) {
	l := &Local{
		key: key, entries: make(map[string]enr.Entry),
		elections: make(map[bool]*election), fixed: make(map[bool]bool),
	}
	if err := l.sign(seq, l.entries); err != nil {
		return nil, err
	}
	return l, nil
}

// ID returns the local node's ID.
func (l *Local) ID() enode.ID { return l.node.ID() }

// Node returns the local node with its current record.
func (l *Local) Node() *enode.Node { return l.node }

// Set adds entries, or replaces those with the same keys. If that changes
// anything, the record is signed with the next sequence number. On an error, such
// as a record above 300 bytes, it stays as it was.
func (l *Local) Set(entries ...enr.Entry) error {
	next := maps.Clone(l.entries)
	changed := false
	for _, e := range entries {
		same, err := equal(next[e.ENRKey()], e)
		if err != nil {
			return fmt.Errorf("localnode: entry %q: %w", e.ENRKey(), err)
		}
		changed = changed || !same
		next[e.ENRKey()] = e
	}
	if !changed {
		return nil
	}
	return l.sign(l.node.Seq()+1, next)
}

// Delete removes entries. It is no change if they are not there.
func (l *Local) Delete(keys ...string) error {
	next := maps.Clone(l.entries)
	for _, k := range keys {
		delete(next, k)
	}
	if len(next) == len(l.entries) {
		return nil
	}
	return l.sign(l.node.Seq()+1, next)
}

func (l *Local) sign(seq uint64, entries map[string]enr.Entry) error {
	record, err := enr.Sign(l.key, seq, slices.Collect(maps.Values(entries))...)
	if err != nil {
		return fmt.Errorf("localnode: %w", err)
	}
	node, err := enode.New(record)
	if err != nil {
		return fmt.Errorf("localnode: %w", err)
	}
	l.entries, l.node = entries, node
	return nil
}

// equal reports whether two entries have the same encoding. A nil entry equals
// none.
func equal(a, b enr.Entry) (bool, error) {
	enc, err := rlp.Encode(b)
	if err != nil || a == nil {
		return false, err
	}
	old, err := rlp.Encode(a)
	return bytes.Equal(old, enc), err
}

// Endpoint returns the entries for a TCP endpoint.
func Endpoint(ap netip.AddrPort) []enr.Entry {
	if ap.Addr().Is4() {
		return []enr.Entry{enr.IP4(ap.Addr()), enr.TCP(ap.Port())}
	}
	return []enr.Entry{enr.IP6(ap.Addr()), enr.TCP6(ap.Port())}
}
