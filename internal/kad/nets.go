package kad

import (
	"net/netip"

	"parley/enode"
	"parley/internal/netaddr"
)

// nets are the networks by which a node is counted: its IPv4 /24, its IPv6 /64
// and its IPv6 /48, each the zero Prefix if it has no such address or the address
// is not counted. A node with addresses of both families counts in both, so that
// neither buys places for the other.
type nets [3]netip.Prefix

// share is how many times the limit a network of this kind may have. Whoever has
// an IPv6 /64 easily has the other 65535 of its /48 as well.
var share = [3]int{1, 1, 2}

// netsOf returns the networks by which n is counted.
func netsOf(n *enode.Node) nets {
	var k nets
	if a := n.Addr4(); a.IsValid() && !netaddr.Exempt(a) {
		k[0] = netaddr.NetKey(a)
	}
	if a := n.Addr6(); a.IsValid() && !netaddr.Exempt(a) {
		k[1] = netaddr.HostKey(a)
		k[2] = netaddr.NetKey(a)
	}
	return k
}

// netsOf returns the networks by which the table counts n.
func (t *Table) netsOf(n *enode.Node) nets {
	if t.exempt[n.ID()] {
		return nets{}
	}
	return netsOf(n)
}

// common returns, for each kind, whether k and other are in the same network.
func (k nets) common(other nets) [3]bool {
	var same [3]bool
	for i := range k {
		same[i] = k[i].IsValid() && k[i] == other[i]
	}
	return same
}

// A tally counts nodes by network. It has no more keys than three for each node.
type tally map[netip.Prefix]int

func (t tally) add(k nets) {
	for _, p := range k {
		if p.IsValid() {
			t[p]++
		}
	}
}

func (t tally) sub(k nets) {
	for _, p := range k {
		if !p.IsValid() {
			continue
		}
		if t[p]--; t[p] == 0 {
			delete(t, p)
		}
	}
}

// within reports whether a node of the networks k may join those that t counts,
// if gone, which is among them, leaves. A limit below zero is none.
func (t tally) within(k, gone nets, limit int) bool {
	if limit < 0 {
		return true
	}
	leaves := k.common(gone)
	for i, p := range k {
		if !p.IsValid() {
			continue
		}
		n := t[p]
		if leaves[i] {
			n--
		}
		if n >= limit*share[i] {
			return false
		}
	}
	return true
}

// count adds to n, for each kind of network, whether k and other share it.
func count(n *[3]int, k, other nets) {
	for i, same := range k.common(other) {
		if same {
			n[i]++
		}
	}
}

// below reports whether n leaves room for one more under the limit.
func below(n [3]int, limit int) bool {
	for i := range n {
		if n[i] >= limit*share[i] {
			return false
		}
	}
	return true
}
