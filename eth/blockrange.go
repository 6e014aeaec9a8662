package eth

import (
	"errors"
	"fmt"

	"parley/rlp"
)

// A BlockRange says which full blocks a node can serve: all from Earliest to
// Latest. It is part of Status from eth/69 on, and the whole of BlockRangeUpdate.
// https://eips.ethereum.org/EIPS/eip-7642
type BlockRange struct {
	Earliest   uint64
	Latest     uint64
	LatestHash Hash
}

// ErrBlockRange is wrapped by the error of a block range that cannot be.
var ErrBlockRange = errors.New("eth: invalid block range")

// Validate returns an error that wraps ErrBlockRange if the range ends before it
// begins or its last block has the zero hash.
func (r BlockRange) Validate() error {
	switch {
	case r.Earliest > r.Latest:
		return fmt.Errorf("%w: earliest %d is after latest %d", ErrBlockRange, r.Earliest, r.Latest)
	case r.LatestHash.IsZero():
		return fmt.Errorf("%w: hash of latest block %d is zero", ErrBlockRange, r.Latest)
	}
	return nil
}

// AppendRLP appends [earliest, latest, latestHash].
func (r BlockRange) AppendRLP(b []byte) ([]byte, error) {
	return r.appendItems(rlp.AppendList(b, r.itemsSize())), nil
}

// DecodeRLP reads a list of exactly earliest, latest and latestHash. It does not
// validate them.
func (r *BlockRange) DecodeRLP(c *rlp.Cursor) error {
	list, err := c.List()
	if err != nil {
		return err
	}
	var v BlockRange
	if err := v.readItems(&list); err != nil {
		return err
	}
	if err := list.End(); err != nil {
		return err
	}
	*r = v
	return nil
}

func (r BlockRange) itemsSize() int {
	return rlp.UintSize(r.Earliest) + rlp.UintSize(r.Latest) + 1 + len(r.LatestHash)
}

func (r BlockRange) appendItems(b []byte) []byte {
	b = rlp.AppendUint(b, r.Earliest)
	b = rlp.AppendUint(b, r.Latest)
	return rlp.AppendBytes(b, r.LatestHash[:])
}

func (r *BlockRange) readItems(c *rlp.Cursor) (err error) {
	if r.Earliest, err = c.Uint64(); err != nil {
		return fmt.Errorf("earliest: %w", err)
	}
	if r.Latest, err = c.Uint64(); err != nil {
		return fmt.Errorf("latest: %w", err)
	}
	if err = c.Fixed(r.LatestHash[:]); err != nil {
		return fmt.Errorf("latest hash: %w", err)
	}
	return nil
}
