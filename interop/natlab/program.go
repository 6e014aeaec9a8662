package natlab

import "net/netip"

// A State is what a program behind the gateway says of how it is seen from
// outside.
type State struct {
	IPv4, IPv6 Seen
}

// A Seen is one family of a State.
type Seen struct {
	Via     string // which protocol told it
	Mapped  int    // how many ports are mapped
	TCP     netip.AddrPort
	UDP     netip.AddrPort
	Problem string // of the last check
}
