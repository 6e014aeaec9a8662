package eth

import (
	"errors"
	"fmt"

	"parley/enr"
	"parley/rlp"
)

// An Entry is the "eth" entry of a node's record: [[hash, next]].
// https://github.com/ethereum/devp2p/blob/master/enr-entries/eth.md
type Entry struct {
	ForkID ForkID
}

// ENRKey returns "eth".
func (Entry) ENRKey() string { return "eth" }

// AppendRLP appends a list of one element, the fork id.
func (e Entry) AppendRLP(b []byte) ([]byte, error) {
	return e.ForkID.append(rlp.AppendList(b, e.ForkID.size())), nil
}

// DecodeRLP reads a list whose first element is a fork id. Further elements are
// ignored, as the specification asks for.
func (e *Entry) DecodeRLP(c *rlp.Cursor) error {
	list, err := c.List()
	if err != nil {
		return err
	}
	var v Entry
	if err := v.ForkID.DecodeRLP(&list); err != nil {
		return err
	}
	for list.More() {
		if err := list.Skip(); err != nil {
			return err
		}
	}
	*e = v
	return nil
}

// loadEntry returns the "eth" entry of a record, or ErrNoEntry.
func loadEntry(r *enr.Record) (Entry, error) {
	var e Entry
	err := r.Load(&e)
	if errors.Is(err, enr.ErrNotFound) {
		return Entry{}, ErrNoEntry
	}
	if err != nil {
		return Entry{}, fmt.Errorf("eth: %w", err)
	}
	return e, nil
}
