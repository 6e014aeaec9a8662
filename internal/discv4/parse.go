package discv4

import (
	"net/netip"
	"slices"

	"parley/internal/netaddr"
	"parley/rlp"
)

// parse reads the content of a packet of a known kind. As EIP-8 asks, it ignores
// further elements of each list and whatever follows the outermost one.
func parse(kind Kind, data []byte) (Message, error) {
	outer := rlp.NewCursor(data)
	c, err := outer.List()
	if err != nil {
		return nil, err
	}
	switch kind {
	case KindPing:
		return parsePing(c)
	case KindPong:
		return parsePong(c)
	case KindFindNode:
		return parseFindNode(c)
	case KindNeighbors:
		return parseNeighbors(c)
	case KindENRRequest:
		return parseENRRequest(c)
	default:
		return parseENRResponse(c)
	}
}

func parsePing(c rlp.Cursor) (Message, error) {
	m := new(Ping)
	var err error
	// The version is ignored, so a later one may be anything.
	if m.Version, err = c.Uint64(); err != nil {
		if err := c.Skip(); err != nil {
			return nil, err
		}
	}
	if m.From, err = parseEndpoint(&c); err != nil {
		return nil, err
	}
	if m.To, err = parseEndpoint(&c); err != nil {
		return nil, err
	}
	if m.Expiration, err = c.Uint64(); err != nil {
		return nil, err
	}
	m.Seq = parseSeq(&c)
	return m, nil
}

func parsePong(c rlp.Cursor) (Message, error) {
	m := new(Pong)
	var err error
	if m.To, err = parseEndpoint(&c); err != nil {
		return nil, err
	}
	if m.PingHash, err = parseHash(&c); err != nil {
		return nil, err
	}
	if m.Expiration, err = c.Uint64(); err != nil {
		return nil, err
	}
	m.Seq = parseSeq(&c)
	return m, nil
}

func parseFindNode(c rlp.Cursor) (Message, error) {
	m := new(FindNode)
	target, err := c.Bytes()
	switch {
	case err != nil:
		return nil, err
	case len(target) != len(m.Target):
		return nil, rlp.ErrSize
	}
	copy(m.Target[:], target)
	if m.Expiration, err = c.Uint64(); err != nil {
		return nil, err
	}
	return m, nil
}

func parseNeighbors(c rlp.Cursor) (Message, error) {
	m := new(Neighbors)
	nodes, err := c.List()
	if err != nil {
		return nil, err
	}
	if n, err := nodes.Count(); err != nil {
		return nil, err
	} else if n > 0 {
		m.Nodes = make([]Neighbor, 0, min(n, maxNodes))
	}
	for nodes.More() {
		n, err := parseNeighbor(&nodes)
		if err != nil {
			return nil, err
		}
		if len(m.Nodes) < maxNodes {
			m.Nodes = append(m.Nodes, n)
		}
	}
	if m.Expiration, err = c.Uint64(); err != nil {
		return nil, err
	}
	return m, nil
}

func parseNeighbor(c *rlp.Cursor) (n Neighbor, err error) {
	item, err := c.List()
	if err != nil {
		return n, err
	}
	if n.Endpoint, err = parseFields(&item); err != nil {
		return n, err
	}
	key, err := item.Bytes()
	switch {
	case err != nil:
		return n, err
	case len(key) != len(n.Key):
		return n, rlp.ErrSize
	}
	copy(n.Key[:], key)
	return n, nil
}

func parseENRRequest(c rlp.Cursor) (Message, error) {
	expiration, err := c.Uint64()
	if err != nil {
		return nil, err
	}
	return &ENRRequest{Expiration: expiration}, nil
}

func parseENRResponse(c rlp.Cursor) (Message, error) {
	m := new(ENRResponse)
	var err error
	if m.RequestHash, err = parseHash(&c); err != nil {
		return nil, err
	}
	record, err := c.Raw()
	if err != nil {
		return nil, err
	}
	m.Record = slices.Clone(record)
	return m, nil
}

func parseEndpoint(c *rlp.Cursor) (Endpoint, error) {
	item, err := c.List()
	if err != nil {
		return Endpoint{}, err
	}
	return parseFields(&item)
}

// parseFields reads the three fields of an endpoint. An address of a length that
// no address has becomes the zero Addr: some nodes do not know their own.
func parseFields(c *rlp.Cursor) (e Endpoint, err error) {
	addr, err := c.Bytes()
	if err != nil {
		return e, err
	}
	if a, ok := netip.AddrFromSlice(addr); ok {
		e.Addr = netaddr.Normalize(a)
	}
	udp, err := c.Uint(16)
	if err != nil {
		return e, err
	}
	tcp, err := c.Uint(16)
	if err != nil {
		return e, err
	}
	e.UDP, e.TCP = uint16(udp), uint16(tcp)
	return e, nil
}

func parseHash(c *rlp.Cursor) (h [32]byte, err error) {
	b, err := c.Bytes()
	switch {
	case err != nil:
		return h, err
	case len(b) != len(h):
		return h, rlp.ErrSize
	}
	return [32]byte(b), nil
}

// parseSeq reads the sequence number at the end of a ping or pong. It is optional,
// and before EIP-868 others may have put something else in its place.
func parseSeq(c *rlp.Cursor) uint64 {
	seq, err := c.Uint64()
	if err != nil {
		return 0
	}
	return seq
}
