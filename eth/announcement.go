package eth

import (
	"fmt"

	"parley/rlp"
)

// MaxAnnouncement is the number of transactions that one announcement should
// have at most. It is a soft limit: larger ones are counted, not refused.
const MaxAnnouncement = 4096

// A CellMask has a bit for each of the 128 cells into which a blob is split. This
// package passes it on and does not look at single bits, whose order the
// specification leaves open. https://eips.ethereum.org/EIPS/eip-8070
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

// An announced message is an announcement that was checked as a whole and not
// copied yet.
type announced struct {
	types  []byte
	sizes  rlp.Cursor
	hashes rlp.Cursor
	cells  CellMask
}

// parseAnnouncement checks an announcement. It allocates nothing: most are only
// counted.
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
		if err := a.readCells(&list); err != nil {
			return a, fmt.Errorf("cells: %w", err)
		}
	}
	if err := list.End(); err != nil {
		return a, err
	}
	return a, a.check()
}

// readCells reads the mask. EIP-8070 has it empty when there is no blob
// transaction, the protocol's specification always 16 bytes: both are accepted.
func (a *announced) readCells(c *rlp.Cursor) error {
	cells, err := c.Bytes()
	if err != nil {
		return err
	}
	if len(cells) != 0 && len(cells) != len(a.cells) {
		return rlp.ErrSize
	}
	copy(a.cells[:], cells)
	return nil
}

// check walks over the lists. The receiver is a copy, so its cursors can be used
// up.
func (a announced) check() error {
	sizes, hashes := 0, 0
	for ; a.sizes.More(); sizes++ {
		if _, err := a.sizes.Uint(32); err != nil {
			return fmt.Errorf("sizes[%d]: %w", sizes, err)
		}
	}
	for ; a.hashes.More(); hashes++ {
		if h, err := a.hashes.Bytes(); err != nil {
			return fmt.Errorf("hashes[%d]: %w", hashes, err)
		} else if len(h) != len(Hash{}) {
			return fmt.Errorf("hashes[%d]: %w", hashes, rlp.ErrSize)
		}
	}
	if len(a.types) != hashes || sizes != hashes {
		return fmt.Errorf("%w: %d types, %d sizes, %d hashes", ErrAnnouncement, len(a.types), sizes, hashes)
	}
	return nil
}

// copy returns the announcement's content: 37 bytes for each transaction, of
// which at least 35 have arrived. The receiver was checked, so reading it again
// cannot fail.
func (a announced) copy() Announcement {
	n := len(a.types)
	v := Announcement{
		Types:  append(make([]byte, 0, n), a.types...),
		Sizes:  make([]uint32, n),
		Hashes: make([]Hash, n),
		Cells:  a.cells,
	}
	for i := range n {
		size, _ := a.sizes.Uint(32)
		v.Sizes[i] = uint32(size)
		_ = a.hashes.Fixed(v.Hashes[i][:]) // checked when it was parsed
	}
	return v
}
