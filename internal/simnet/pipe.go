package simnet

import "net/netip"

// PipeOptions say what kind of connection [Pipe] makes. The zero value is one
// that delivers at once.
type PipeOptions struct {
	Link Link
	Seed uint64

	// A and B are the endpoints of the two ends. They default to
	// 192.0.2.1:30303 and 192.0.2.2:30303.
	A, B netip.AddrPort
}

// Pipe returns the two ends of a connection that belongs to no network. Unlike
// those of [net.Pipe] its ends buffer: a Write returns when the bytes are in
// the window. Whoever closes both ends has released all it holds.
func Pipe(o PipeOptions) (a, b *Conn) {
	o.Link.check()
	if !o.A.IsValid() {
		o.A = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 30303)
	}
	if !o.B.IsValid() {
		o.B = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 2}), 30303)
	}
	s := newStream(o.Link, o.A, o.B, o.Seed)
	return &s.conns[0], &s.conns[1]
}
