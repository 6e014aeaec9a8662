package eth

import (
	"fmt"

	"parley/rlp"
)

// MaxAnnouncement is the number of transactions that one announcement should
// have at most. It is a soft limit: larger ones are counted, not refused.
const MaxAnnouncement = 4096

// A CellMask has a bit for each of the 128 cells into which a blob is split,
// cell i in bit i, least significant first, of the 128-bit big-endian number.
// https://eips.ethereum.org/EIPS/eip-8070
type CellMask [16]byte

// An Announcement names transactions that their sender has in its pool.
// Types[i], Sizes[i] and Hashes[i] belong together.
// https://github.com/ethereum/devp2p/blob/master/caps/eth.md#newpooledtransactionhashes-0x08
type Announcement struct {
	Types  []byte   // EIP-2718 types; 0 for legacy transactions
	Sizes  []uint32 // of the consensus encoding, in bytes
	Hashes []Hash

	// Cells (eth/72) are the cells that the sender has of every blob of every blob
	// transaction in the announcement. Zero if there are none.
	Cells CellMask
}

// Len is the number of transactions.
func (a *Announcement) Len() int { return len(a.Hashes) }

// appendFor appends the message in the form of a version.
func (a *Announcement) appendFor(version uint, b []byte) ([]byte, error) {
	if len(a.Types) != len(a.Hashes) || len(a.Sizes) != len(a.Hashes) {
		return b, fmt.Errorf("%w: %d types, %d sizes, %d hashes",
			ErrAnnouncement, len(a.Types), len(a.Sizes), len(a.Hashes))
	}
	sizes := 0
	for _, s := range a.Sizes {
		sizes += rlp.UintSize(uint64(s))
	}
	hashes := 33 * len(a.Hashes)
	payload := rlp.BytesSize(a.Types) + rlp.ListSize(sizes) + rlp.ListSize(hashes)
	if version >= 72 {
		payload += rlp.BytesSize(a.Cells[:])
	}
	b = rlp.AppendList(b, payload)
	b = rlp.AppendBytes(b, a.Types)
	b = rlp.AppendList(b, sizes)
	for _, s := range a.Sizes {
		b = rlp.AppendUint(b, uint64(s))
	}
	b = rlp.AppendList(b, hashes)
	for i := range a.Hashes {
		b = rlp.AppendBytes(b, a.Hashes[i][:])
	}
	if version >= 72 {
		b = rlp.AppendBytes(b, a.Cells[:])
	}
	return b, nil
}

// An announced message is an announcement whose lists were delimited and found to
// be of one length, but not read.
type announced struct {
	types  []byte
	sizes  rlp.Cursor
	hashes rlp.Cursor
	cells  CellMask
}

// parseAnnouncement checks the frame of an announcement. It allocates nothing: most
// messages are only counted.
func parseAnnouncement(version uint, payload []byte) (a announced, err error) {
	c := rlp.NewCursor(payload)
	list, err := c.List()
	if err != nil {
		return a, err
	}
	if err := c.End(); err != nil {
		return a, err
	}
	if a.types, err = list.Bytes(); err != nil {
		return a, fmt.Errorf("types: %w", err)
	}
	if a.sizes, err = list.List(); err != nil {
		return a, fmt.Errorf("sizes: %w", err)
	}
	if a.hashes, err = list.List(); err != nil {
		return a, fmt.Errorf("hashes: %w", err)
	}
	if version >= 72 {
		// EIP-8070 has the mask empty, the protocol's specification all zero, when
		// there is no blob transaction: both are accepted.
		cells, err := list.Bytes()
		if err != nil {
			return a, fmt.Errorf("cells: %w", err)
		}
		if len(cells) != 0 && len(cells) != len(a.cells) {
			return a, fmt.Errorf("cells: %w", rlp.ErrSize)
		}
		copy(a.cells[:], cells)
	}
	if err := list.End(); err != nil {
		return a, err
	}
	sizes, err := a.sizes.Count()
	if err != nil {
		return a, fmt.Errorf("sizes: %w", err)
	}
	hashes, err := a.hashes.Count()
	if err != nil {
		return a, fmt.Errorf("hashes: %w", err)
	}
	if len(a.types) != hashes || sizes != hashes {
		return a, fmt.Errorf("%w: %d types, %d sizes, %d hashes", ErrAnnouncement, len(a.types), sizes, hashes)
	}
	return a, nil
}

// read returns the announcement's content. It allocates 37 bytes for a
// transaction, of which at least 35 have arrived.
func (a *announced) read() (Announcement, error) {
	n := len(a.types)
	v := Announcement{
		Types:  append(make([]byte, 0, n), a.types...),
		Sizes:  make([]uint32, n),
		Hashes: make([]Hash, n),
		Cells:  a.cells,
	}
	for i := range n {
		size, err := a.sizes.Uint(32)
		if err != nil {
			return Announcement{}, fmt.Errorf("sizes[%d]: %w", i, err)
		}
		v.Sizes[i] = uint32(size)
		if err := a.hashes.Fixed(v.Hashes[i][:]); err != nil {
			return Announcement{}, fmt.Errorf("hashes[%d]: %w", i, err)
		}
	}
	return v, nil
}
