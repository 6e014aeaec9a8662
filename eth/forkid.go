package eth

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"parley/rlp"
)

// A ForkID says in twelve bytes which chain a node follows and how far it came:
// a checksum of the genesis hash and of every fork that has passed, and the next
// fork that is known. https://eips.ethereum.org/EIPS/eip-2124
type ForkID struct {
	Hash uint32 // CRC-32 (IEEE) of the genesis hash and the forks passed
	Next uint64 // block number or timestamp of the next fork; 0 if none is known
}

// ParseForkID reads HASH,NEXT: 8 hex digits, with or without 0x before them, and
// a decimal number.
func ParseForkID(s string) (ForkID, error) {
	hash, next, ok := strings.Cut(s, ",")
	if !ok {
		return ForkID{}, fmt.Errorf("eth: fork id: want HASH,NEXT")
	}
	var b [4]byte
	if err := parseHex(b[:], strings.TrimSpace(hash)); err != nil {
		return ForkID{}, fmt.Errorf("eth: fork id: hash: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(next), 10, 64)
	if err != nil {
		return ForkID{}, fmt.Errorf("eth: fork id: next: %w", numError(err))
	}
	return ForkID{Hash: binary.BigEndian.Uint32(b[:]), Next: n}, nil
}

// String returns the form that ParseForkID reads, such as 0x07c9462e,0.
func (id ForkID) String() string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], id.Hash)
	return "0x" + hex.EncodeToString(b[:]) + "," + strconv.FormatUint(id.Next, 10)
}

// MarshalText returns the form of String.
func (id ForkID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what ParseForkID does.
func (id *ForkID) UnmarshalText(text []byte) error {
	v, err := ParseForkID(string(text))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// AppendRLP appends [hash, next]: the hash as 4 bytes, next as an integer.
func (id ForkID) AppendRLP(b []byte) ([]byte, error) { return id.append(b), nil }

func (id ForkID) append(b []byte) []byte {
	b = rlp.AppendList(b, 5+rlp.UintSize(id.Next))
	b = append(b, 0x84) // a byte string of 4
	b = binary.BigEndian.AppendUint32(b, id.Hash)
	return rlp.AppendUint(b, id.Next)
}

func (id ForkID) size() int { return rlp.ListSize(5 + rlp.UintSize(id.Next)) }

// DecodeRLP reads a list of exactly a 4-byte string and an integer.
func (id *ForkID) DecodeRLP(c *rlp.Cursor) error {
	list, err := c.List()
	if err != nil {
		return err
	}
	var hash [4]byte
	if err := list.Fixed(hash[:]); err != nil {
		return err
	}
	next, err := list.Uint64()
	if err != nil {
		return err
	}
	if err := list.End(); err != nil {
		return err
	}
	*id = ForkID{Hash: binary.BigEndian.Uint32(hash[:]), Next: next}
	return nil
}

// extend returns the checksum after one more fork.
func extend(hash uint32, fork uint64) uint32 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], fork)
	return crc32.Update(hash, crc32.IEEETable, b[:])
}
