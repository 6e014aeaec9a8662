package discv5

import (
	"encoding/binary"
	"net/netip"

	"parley/enr"
	"parley/rlp"
)

// A Kind is the type of a message.
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-wire.md#protocol-messages
type Kind uint8

// The messages of discovery. Others are dropped.
const (
	KindPing     Kind = 1
	KindPong     Kind = 2
	KindFindNode Kind = 3
	KindNodes    Kind = 4
	KindTalkReq  Kind = 5
	KindTalkResp Kind = 6

	kinds = 7 // one more than the last
)

// String returns the name in the specification.
func (k Kind) String() string {
	names := [kinds]string{"", "PING", "PONG", "FINDNODE", "NODES", "TALKREQ", "TALKRESP"}
	if k == 0 || k >= kinds {
		return "unknown"
	}
	return names[k]
}

// A requestID is echoed byte for byte, so it keeps the form in which it came:
// 0 to 8 bytes, leading zeros included.
type requestID struct {
	b [8]byte
	n uint8
}

// ownID returns the form in which this node sends its ids. They have no leading
// zero byte, because some implementations lose them.
func ownID(v uint64) requestID {
	var id requestID
	binary.BigEndian.PutUint64(id.b[:], v)
	id.n = 8
	return id
}

func (id *requestID) bytes() []byte { return id.b[:id.n] }

// value returns the number that the id stands for, leading zeros or not.
func (id *requestID) value() (v uint64) {
	for _, c := range id.bytes() {
		v = v<<8 | uint64(c)
	}
	return v
}

// A message is any of those received. Its slices and cursors refer to the
// plaintext.
type message struct {
	kind Kind
	id   requestID

	seq       uint64         // PING, PONG
	endpoint  netip.AddrPort // PONG: where the sender sees this node
	distances rlp.Cursor     // FINDNODE
	total     uint64         // NODES
	records   rlp.Cursor     // NODES
	protocol  []byte         // TALKREQ
	payload   []byte         // TALKREQ, TALKRESP
}

// parseMessage reads a plaintext: message-type and message-data. Elements behind
// those that are known are ignored, as a later version may add some.
func parseMessage(b []byte) (m message, ok bool) {
	if len(b) == 0 {
		return m, false
	}
	m.kind = Kind(b[0])
	all := rlp.NewCursor(b[1:])
	list, err := all.List()
	if err != nil || all.End() != nil {
		return m, false
	}
	id, err := list.Bytes()
	if err != nil || len(id) > len(m.id.b) {
		return m, false
	}
	m.id.n = uint8(copy(m.id.b[:], id))
	switch m.kind {
	case KindPing:
		m.seq, err = list.Uint64()
	case KindPong:
		if m.seq, err = list.Uint64(); err == nil {
			m.endpoint, err = parseEndpoint(&list)
		}
	case KindFindNode:
		m.distances, err = list.List()
	case KindNodes:
		if m.total, err = list.Uint64(); err == nil {
			m.records, err = list.List()
		}
	case KindTalkReq:
		if m.protocol, err = list.Bytes(); err == nil {
			m.payload, err = list.Bytes()
		}
	case KindTalkResp:
		m.payload, err = list.Bytes()
	default:
		return m, false
	}
	return m, err == nil
}

// parseEndpoint reads an address of 4 or 16 bytes and a port.
func parseEndpoint(list *rlp.Cursor) (netip.AddrPort, error) {
	b, err := list.Bytes()
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.AddrPort{}, rlp.ErrSize
	}
	port, err := list.Uint(16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), err
}

func appendPing(b []byte, id requestID, seq uint64) []byte {
	b = append(b, byte(KindPing))
	b = rlp.AppendList(b, rlp.BytesSize(id.bytes())+rlp.UintSize(seq))
	b = rlp.AppendBytes(b, id.bytes())
	return rlp.AppendUint(b, seq)
}

func appendPong(b []byte, id requestID, seq uint64, to netip.AddrPort) []byte {
	var buf [16]byte
	addr := buf[:16]
	if to.Addr().Is4() {
		a4 := to.Addr().As4()
		addr = buf[:copy(buf[:], a4[:])]
	} else {
		buf = to.Addr().As16()
	}
	port := uint64(to.Port())
	b = append(b, byte(KindPong))
	b = rlp.AppendList(b, rlp.BytesSize(id.bytes())+rlp.UintSize(seq)+rlp.BytesSize(addr)+rlp.UintSize(port))
	b = rlp.AppendBytes(b, id.bytes())
	b = rlp.AppendUint(b, seq)
	b = rlp.AppendBytes(b, addr)
	return rlp.AppendUint(b, port)
}

func appendFindNode(b []byte, id requestID, distances []uint) []byte {
	size := 0
	for _, d := range distances {
		size += rlp.UintSize(uint64(d))
	}
	b = append(b, byte(KindFindNode))
	b = rlp.AppendList(b, rlp.BytesSize(id.bytes())+rlp.ListSize(size))
	b = rlp.AppendBytes(b, id.bytes())
	b = rlp.AppendList(b, size)
	for _, d := range distances {
		b = rlp.AppendUint(b, uint64(d))
	}
	return b
}

// appendNodes appends a NODES message with the given records, which the caller
// chose to fit.
func appendNodes(b []byte, id requestID, total int, records []*enr.Record) []byte {
	size := 0
	for _, r := range records {
		size += r.Len()
	}
	b = append(b, byte(KindNodes))
	b = rlp.AppendList(b, rlp.BytesSize(id.bytes())+rlp.UintSize(uint64(total))+rlp.ListSize(size))
	b = rlp.AppendBytes(b, id.bytes())
	b = rlp.AppendUint(b, uint64(total))
	b = rlp.AppendList(b, size)
	for _, r := range records {
		b, _ = r.AppendRLP(b) // a record in the table has an encoding
	}
	return b
}

func appendTalkReq(b []byte, id requestID, protocol string, payload []byte) []byte {
	b = append(b, byte(KindTalkReq))
	b = rlp.AppendList(b, rlp.BytesSize(id.bytes())+rlp.StringSize(protocol)+rlp.BytesSize(payload))
	b = rlp.AppendBytes(b, id.bytes())
	b = rlp.AppendString(b, protocol)
	return rlp.AppendBytes(b, payload)
}

func appendTalkResp(b []byte, id requestID, payload []byte) []byte {
	b = append(b, byte(KindTalkResp))
	b = rlp.AppendList(b, rlp.BytesSize(id.bytes())+rlp.BytesSize(payload))
	b = rlp.AppendBytes(b, id.bytes())
	return rlp.AppendBytes(b, payload)
}
