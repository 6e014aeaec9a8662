package discv4

import (
	"net/netip"

	"parley/enode"
	"parley/enr"
	"parley/internal/netaddr"
	"parley/rlp"
)

// A Message is the content of a packet: *Ping, *Pong, *FindNode, *Neighbors,
// *ENRRequest or *ENRResponse.
//
// Expirations are seconds since 1970 by the clock of the sender.
type Message interface {
	Kind() Kind

	// size is the number of bytes that appendTo appends.
	size() int
	appendTo(b []byte) []byte
}

// An Endpoint is an address with the ports of both transports. The address is the
// zero Addr if the sender does not know it, or wrote something else.
type Endpoint struct {
	Addr     netip.Addr
	UDP, TCP uint16
}

// A Ping asks for a [Pong].
type Ping struct {
	Version    uint64
	From, To   Endpoint
	Expiration uint64
	Seq        uint64 // of the sender's record, 0 if it did not say
}

// A Pong answers a [Ping].
type Pong struct {
	To         Endpoint // where the ping came from
	PingHash   [32]byte // of the packet with the ping
	Expiration uint64
	Seq        uint64 // of the sender's record, 0 if it did not say
}

// A FindNode asks for the nodes nearest to Target, or rather to its hash. Nobody
// checks that Target is a point of the curve.
type FindNode struct {
	Target     enode.PublicKey
	Expiration uint64
}

// Neighbors is a part of the answer to [FindNode].
type Neighbors struct {
	Nodes      []Neighbor // at most 16, whatever the packet had
	Expiration uint64
}

// A Neighbor is a node as another one told of it: Key may be no key.
type Neighbor struct {
	Endpoint
	Key enode.PublicKey
}

// An ENRRequest asks for an [ENRResponse].
type ENRRequest struct {
	Expiration uint64
}

// An ENRResponse answers an [ENRRequest].
type ENRResponse struct {
	RequestHash [32]byte // of the packet with the request
	Record      rlp.Raw  // not verified: that costs as much as opening a packet
}

// version is the number in our pings; the one in others' is ignored (EIP-8).
const version = 4

// maxNodes is the most nodes that an answer to one FindNode may have, k of
// https://github.com/ethereum/devp2p/blob/master/discv4.md#kademlia-table.
const maxNodes = 16

// Kind implements Message.
func (*Ping) Kind() Kind { return KindPing }

// Kind implements Message.
func (*Pong) Kind() Kind { return KindPong }

// Kind implements Message.
func (*FindNode) Kind() Kind { return KindFindNode }

// Kind implements Message.
func (*Neighbors) Kind() Kind { return KindNeighbors }

// Kind implements Message.
func (*ENRRequest) Kind() Kind { return KindENRRequest }

// Kind implements Message.
func (*ENRResponse) Kind() Kind { return KindENRResponse }

func (m *Ping) payload() int {
	return rlp.UintSize(m.Version) + rlp.ListSize(m.From.payload()) + rlp.ListSize(m.To.payload()) +
		rlp.UintSize(m.Expiration) + seqSize(m.Seq)
}

func (m *Ping) size() int { return rlp.ListSize(m.payload()) }

func (m *Ping) appendTo(b []byte) []byte {
	b = rlp.AppendList(b, m.payload())
	b = rlp.AppendUint(b, m.Version)
	b = m.From.appendTo(b)
	b = m.To.appendTo(b)
	b = rlp.AppendUint(b, m.Expiration)
	return appendSeq(b, m.Seq)
}

func (m *Pong) payload() int {
	return rlp.ListSize(m.To.payload()) + rlp.BytesSize(m.PingHash[:]) + rlp.UintSize(m.Expiration) + seqSize(m.Seq)
}

func (m *Pong) size() int { return rlp.ListSize(m.payload()) }

func (m *Pong) appendTo(b []byte) []byte {
	b = rlp.AppendList(b, m.payload())
	b = m.To.appendTo(b)
	b = rlp.AppendBytes(b, m.PingHash[:])
	b = rlp.AppendUint(b, m.Expiration)
	return appendSeq(b, m.Seq)
}

func (m *FindNode) payload() int { return rlp.BytesSize(m.Target[:]) + rlp.UintSize(m.Expiration) }

func (m *FindNode) size() int { return rlp.ListSize(m.payload()) }

func (m *FindNode) appendTo(b []byte) []byte {
	b = rlp.AppendList(b, m.payload())
	b = rlp.AppendBytes(b, m.Target[:])
	return rlp.AppendUint(b, m.Expiration)
}

func (m *Neighbors) nodes() int {
	var n int
	for i := range m.Nodes {
		n += m.Nodes[i].size()
	}
	return n
}

func (m *Neighbors) payload() int { return rlp.ListSize(m.nodes()) + rlp.UintSize(m.Expiration) }

func (m *Neighbors) size() int { return rlp.ListSize(m.payload()) }

func (m *Neighbors) appendTo(b []byte) []byte {
	b = rlp.AppendList(b, m.payload())
	b = rlp.AppendList(b, m.nodes())
	for i := range m.Nodes {
		n := &m.Nodes[i]
		b = rlp.AppendList(b, n.payload())
		b = n.appendFields(b)
		b = rlp.AppendBytes(b, n.Key[:])
	}
	return rlp.AppendUint(b, m.Expiration)
}

func (m *ENRRequest) size() int { return rlp.ListSize(rlp.UintSize(m.Expiration)) }

func (m *ENRRequest) appendTo(b []byte) []byte {
	b = rlp.AppendList(b, rlp.UintSize(m.Expiration))
	return rlp.AppendUint(b, m.Expiration)
}

func (m *ENRResponse) payload() int { return rlp.BytesSize(m.RequestHash[:]) + len(m.Record) }

func (m *ENRResponse) size() int { return rlp.ListSize(m.payload()) }

func (m *ENRResponse) appendTo(b []byte) []byte {
	b = rlp.AppendList(b, m.payload())
	b = rlp.AppendBytes(b, m.RequestHash[:])
	return append(b, m.Record...)
}

// The payload of an endpoint are its three fields; of a neighbor these and the key.

func (e *Endpoint) payload() int {
	return addrSize(e.Addr) + rlp.UintSize(uint64(e.UDP)) + rlp.UintSize(uint64(e.TCP))
}

func (e *Endpoint) appendTo(b []byte) []byte {
	return e.appendFields(rlp.AppendList(b, e.payload()))
}

func (e *Endpoint) appendFields(b []byte) []byte {
	b = appendAddr(b, e.Addr)
	b = rlp.AppendUint(b, uint64(e.UDP))
	return rlp.AppendUint(b, uint64(e.TCP))
}

func (n *Neighbor) payload() int { return n.Endpoint.payload() + rlp.BytesSize(n.Key[:]) }

func (n *Neighbor) size() int { return rlp.ListSize(n.payload()) }

func addrSize(a netip.Addr) int {
	// Every byte string of 4 or 16 bytes has a header of one byte. The zero Addr
	// is the empty string.
	return 1 + a.BitLen()/8
}

func appendAddr(b []byte, a netip.Addr) []byte {
	switch {
	case a.Is4():
		v4 := a.As4()
		return rlp.AppendBytes(b, v4[:])
	case a.Is6():
		v6 := a.As16()
		return rlp.AppendBytes(b, v6[:])
	}
	return rlp.AppendBytes(b, nil)
}

// A sequence number of zero is left out: it says that there is no record.

func seqSize(seq uint64) int {
	if seq == 0 {
		return 0
	}
	return rlp.UintSize(seq)
}

func appendSeq(b []byte, seq uint64) []byte {
	if seq == 0 {
		return b
	}
	return rlp.AppendUint(b, seq)
}

// neighborOf returns what is told of n, and whether there is anything to tell.
func neighborOf(n *enode.Node) (Neighbor, bool) {
	udp, ok := n.UDPEndpoint()
	if !ok {
		return Neighbor{}, false
	}
	return Neighbor{Endpoint: endpointOf(n, udp), Key: n.PublicKey()}, true
}

// endpointOf returns the endpoint of n with the given UDP half and the TCP port of
// the same family, 0 if it has none.
func endpointOf(n *enode.Node, udp netip.AddrPort) Endpoint {
	e := Endpoint{Addr: netaddr.Normalize(udp.Addr()), UDP: udp.Port()}
	for tcp := range n.TCPEndpoints() {
		if tcp.Addr().Is4() == e.Addr.Is4() {
			e.TCP = tcp.Port()
			break
		}
	}
	return e
}

// responseWith returns the answer to a request with the given hash.
func responseWith(hash [32]byte, r *enr.Record) *ENRResponse {
	return &ENRResponse{RequestHash: hash, Record: r.Bytes()}
}
