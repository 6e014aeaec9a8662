package discv5

import (
	"bytes"
	"encoding/binary"

	"parley/enode"
	"parley/enr"
)

// verifiedSlots is how many nodes are remembered whose records were verified.
const verifiedSlots = 512

// verified remembers nodes by the bytes of their records. The nodes near each
// other tell of the same ones again and again, and to verify a record takes much
// longer than anything else in a lookup.
type verified struct {
	slots [verifiedSlots]*enode.Node
	buf   []byte
}

// parse returns the node of an encoded record whose signature is valid.
func (v *verified) parse(raw []byte) (*enode.Node, error) {
	if len(raw) > enr.SizeLimit {
		return nil, enr.ErrTooLarge
	}
	slot := new(*enode.Node)
	if len(raw) >= 16 { // behind the headers of list and signature
		slot = &v.slots[binary.BigEndian.Uint64(raw[8:])%verifiedSlots]
	}
	if *slot != nil {
		v.buf, _ = (*slot).Record().AppendRLP(v.buf[:0]) // it was parsed from bytes
		if bytes.Equal(v.buf, raw) {
			return *slot, nil
		}
	}
	record, err := enr.ParseBytes(raw)
	if err != nil {
		return nil, err
	}
	n, err := enode.New(record)
	if err == nil {
		*slot = n
	}
	return n, err
}
