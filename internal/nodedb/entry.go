package nodedb

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"time"

	"parley/enode"
	"parley/enr"
)

// An Entry is what is remembered of a node.
type Entry struct {
	Node     *enode.Node
	Endpoint netip.AddrPort // the UDP endpoint from which it answered
	Proven   time.Time      // when it did last, in seconds
	Score    int            // see [DB.Proven] and [DB.Failed]
}

// errEntry: a stored value is damaged, or was not written by this program.
var errEntry = errors.New("nodedb: malformed entry")

// An item is an entry in the form in which thousands of them are kept: what a
// node said of itself stays bytes until somebody asks for the node, because
// checking a signature takes longer than reading the whole file.
type item struct {
	endpoint netip.AddrPort
	proven   int64 // Unix time in seconds
	stored   int64 // proven as the file has it
	score    uint16
	tcp      uint16
	seq      uint64 // of the record; 0 without one
	self     []byte // the record, or the public key of 64 bytes without one
}

// newItem returns what is kept of n.
func newItem(n *enode.Node) *item {
	it := new(item)
	it.describe(n)
	return it
}

// describe takes over what n says of itself.
func (it *item) describe(n *enode.Node) {
	it.seq, it.tcp = n.Seq(), 0
	if tcp, ok := n.TCPEndpoint(); ok {
		it.tcp = tcp.Port()
	}
	if r := n.Record(); r != nil {
		it.self = r.Bytes()
		return
	}
	key := n.PublicKey()
	it.self = key[:]
}

// keyLen is the length of self without a record. A record is longer: its
// signature alone has as many bytes.
const keyLen = 64

// node returns the node, or an error if the bytes are not what node id would
// have said.
func (it *item) node(id enode.ID) (*enode.Node, error) {
	if len(it.self) == keyLen {
		pub, err := enode.ParsePublicKey(it.self)
		if err != nil {
			return nil, err
		}
		if enode.PubkeyID(pub) != id {
			return nil, errEntry
		}
		return enode.NewV4(pub, it.endpoint.Addr(), it.tcp, it.endpoint.Port()), nil
	}
	r, err := enr.ParseBytes(it.self)
	if err != nil {
		return nil, err
	}
	n, err := enode.New(r)
	if err != nil {
		return nil, err
	}
	if n.ID() != id {
		return nil, errEntry
	}
	return n, nil
}

// The value of a node, all numbers big endian:
//
//	crc32c(id, rest) 4 | proven 8 | score 2 | tcp 2 | seq 8 | port 2 | len(addr) 1 | addr | self
//
// The key is the ID. A node without a record has seq 0 and its key as self.
const fixedLen = 4 + 8 + 2 + 2 + 8 + 2 + 1

// sum protects a value and the key it is stored under. A CRC is enough against
// bad disks; whoever can write the file on purpose can write anything.
func sum(key, rest []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // computed once by the package
	return crc32.Update(crc32.Update(0, table, key), table, rest)
}

// appendItem appends the value of it under id to b.
func appendItem(b []byte, id enode.ID, it *item) []byte {
	start := len(b)
	addr := it.endpoint.Addr().AsSlice()
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(it.proven))
	b = binary.BigEndian.AppendUint16(b, it.score)
	b = binary.BigEndian.AppendUint16(b, it.tcp)
	b = binary.BigEndian.AppendUint64(b, it.seq)
	b = binary.BigEndian.AppendUint16(b, it.endpoint.Port())
	b = append(b, byte(len(addr)))
	b = append(b, addr...)
	b = append(b, it.self...)
	binary.BigEndian.PutUint32(b[start:], sum(id[:], b[start+4:]))
	return b
}

// A shelf is where items are put when thousands of them are read at once: in
// pieces of memory for many, because one of its own for each takes longer than reading it. A
// piece is the collector's when none of its items is needed any more.
type shelf struct {
	items []item
	bytes []byte
}

// item returns a new item whose self is a copy of text.
func (s *shelf) item(text []byte) *item {
	if len(s.items) == cap(s.items) {
		s.items = make([]item, 0, 64)
	}
	if len(text) > cap(s.bytes)-len(s.bytes) {
		s.bytes = make([]byte, 0, max(16<<10, len(text)))
	}
	s.items = append(s.items, item{})
	from := len(s.bytes)
	s.bytes = append(s.bytes, text...)
	it := &s.items[len(s.items)-1]
	it.self = s.bytes[from:len(s.bytes):len(s.bytes)]
	return it
}

// parse reads a value. The result shares no memory with it.
func (s *shelf) parse(key, value []byte) (enode.ID, *item, error) {
	var id enode.ID
	if len(key) != len(id) || len(value) < fixedLen || sum(key, value[4:]) != binary.BigEndian.Uint32(value) {
		return id, nil, errEntry
	}
	copy(id[:], key)
	port, n, rest := binary.BigEndian.Uint16(value[24:]), int(value[26]), value[fixedLen:]
	if n > len(rest) || len(rest)-n > enr.SizeLimit || len(rest) == n {
		return id, nil, errEntry
	}
	addr, ok := netip.AddrFromSlice(rest[:n])
	if !ok {
		return id, nil, errEntry
	}
	it := s.item(rest[n:])
	it.proven = int64(binary.BigEndian.Uint64(value[4:]))
	it.stored = it.proven
	it.score = binary.BigEndian.Uint16(value[12:])
	it.tcp = binary.BigEndian.Uint16(value[14:])
	it.seq = binary.BigEndian.Uint64(value[16:])
	it.endpoint = netip.AddrPortFrom(addr, port)
	return id, it, nil
}

// A number is a sequence number with the time of its last use. Its value in
// the file: crc32c(name, rest) 4 | number 8 | used 8.
type number struct {
	n      uint64
	used   int64 // Unix time in seconds
	stored bool  // the file has it
}

const numberLen = 4 + 8 + 8

func appendNumber(b []byte, name string, num number) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, num.n)
	b = binary.BigEndian.AppendUint64(b, uint64(num.used))
	binary.BigEndian.PutUint32(b[start:], sum([]byte(name), b[start+4:]))
	return b
}

func parseNumber(key, value []byte) (string, number, error) {
	if len(key) == 0 || len(key) > nameLimit || len(value) != numberLen || sum(key, value[4:]) != binary.BigEndian.Uint32(value) {
		return "", number{}, errEntry
	}
	return string(key), number{
		n:      binary.BigEndian.Uint64(value[4:]),
		used:   int64(binary.BigEndian.Uint64(value[12:])),
		stored: true,
	}, nil
}
