package eth

import (
	"fmt"

	"parley/rlp"
)

// maxAccessLists bounds how many block access lists one answer reports as not
// available. A request may name as many blocks as it likes; an answer may be
// shorter.
const maxAccessLists = 1024

// An envelope is a request or a response, split into its elements.
type envelope struct {
	id    uint64
	items [3]rlp.Raw // after the id; the first Message.Items-1 are set
}

// parseEnvelope splits a Request or Response. Every item inside must be canonical
// RLP; what it means is left to whoever uses it.
func parseEnvelope(m Message, payload []byte) (e envelope, err error) {
	if err := rlp.Valid(payload); err != nil {
		return e, err
	}
	c := rlp.NewCursor(payload)
	list, err := c.List()
	if err != nil {
		return e, err
	}
	if e.id, err = list.Uint64(); err != nil {
		return e, fmt.Errorf("request id: %w", err)
	}
	for i := range m.Items - 1 {
		if e.items[i], err = list.Raw(); err != nil {
			return e, err
		}
	}
	return e, list.End()
}

// appendEmptyAnswer appends the answer of a node that has nothing of what was
// asked for. All answers but one are empty; BlockAccessLists has one empty entry
// for each block. An error means that the request was malformed.
func appendEmptyAnswer(b []byte, version uint, m Message, e *envelope) ([]byte, error) {
	id := rlp.UintSize(e.id)
	switch m.Code {
	case GetReceiptsMsg:
		if version >= 70 { // [id, lastBlockIncomplete, [receipts…]]
			b = rlp.AppendList(b, id+2)
			b = rlp.AppendUint(b, e.id)
			b = rlp.AppendBool(b, false)
			return rlp.AppendList(b, 0), nil
		}
	case GetBlockAccessListsMsg: // [id, [list…]], 0x80 where there is none
		n, err := countList(e.items[0])
		if err != nil {
			return b, err
		}
		n = min(n, maxAccessLists)
		b = rlp.AppendList(b, id+rlp.ListSize(n))
		b = rlp.AppendUint(b, e.id)
		b = rlp.AppendList(b, n)
		for range n {
			b = append(b, 0x80)
		}
		return b, nil
	case GetCellsMsg: // [id, [hash…], [[cell…]…], mask]
		var none CellMask
		b = rlp.AppendList(b, id+2+rlp.BytesSize(none[:]))
		b = rlp.AppendUint(b, e.id)
		b = rlp.AppendList(b, 0)
		b = rlp.AppendList(b, 0)
		return rlp.AppendBytes(b, none[:]), nil
	}
	// [id, [item…]]
	b = rlp.AppendList(b, id+1)
	b = rlp.AppendUint(b, e.id)
	return rlp.AppendList(b, 0), nil
}

// countList returns the number of items of an encoded list.
func countList(item rlp.Raw) (int, error) {
	c := rlp.NewCursor(item)
	list, err := c.List()
	if err != nil {
		return 0, err
	}
	return list.Count()
}

// listItems returns the items of an encoded list if there are at most limit of
// them. They alias the list.
func listItems(item rlp.Raw, limit int) ([]rlp.Raw, error) {
	c := rlp.NewCursor(item)
	list, err := c.List()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	n, err := list.Count()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if n > limit {
		return nil, fmt.Errorf("%w: %d items, asked for %d", ErrAnswer, n, limit)
	}
	items := make([]rlp.Raw, n)
	for i := range items {
		if items[i], err = list.Raw(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
	}
	return items, nil
}
