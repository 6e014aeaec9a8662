package rlp

import "fmt"

// Raw is one encoded item, header included, kept verbatim. Decoding into it
// aliases the input and checks the item's own header only; encoding it copies
// it into the output and fails if it is not exactly one item.
type Raw []byte

// Valid returns nil if b is exactly one item and every item in it is canonical
// and complete, nested no deeper than [MaxDepth]. It allocates nothing.
func Valid(b []byte) error {
	// ends[d] is where the d-th list around the current item ends.
	var ends [MaxDepth]int
	depth, pos := 0, 0
	for {
		end := len(b)
		if depth > 0 {
			end = ends[depth-1]
		}
		if pos == end {
			if depth == 0 {
				return ErrTruncated // nothing but the empty input comes here
			}
			depth--
		} else {
			kind, head, size, err := parseHead(b[pos:end])
			if err != nil {
				return err
			}
			pos += head
			if kind == List {
				if depth == MaxDepth {
					return ErrDepth
				}
				ends[depth] = pos + size
				depth++
				continue
			}
			pos += size
		}
		if depth == 0 {
			if pos != len(b) {
				return ErrTrailing
			}
			return nil
		}
	}
}

// checkItem returns an error unless r is exactly one item by its header.
func checkItem(r []byte) error {
	if len(r) > 0 {
		if _, head, size, err := parseHead(r); err == nil && head+size == len(r) {
			return nil
		}
	}
	return errNotItem
}

var errNotItem = fmt.Errorf("%w: Raw is not exactly one item", ErrValue)
