package eth

import (
	"fmt"
	"strconv"
	"strings"
)

// A Head is the latest block a node has. The zero Head stands for the genesis
// block.
type Head struct {
	Number uint64
	Hash   Hash
	Time   uint64 // of the block, in seconds since 1970; decides which forks have passed
}

// ParseHead reads NUMBER:HASH or NUMBER:HASH:TIME, all decimal but the hash.
// Without a time the head counts as older than every fork that is scheduled by
// time.
func ParseHead(s string) (Head, error) {
	number, rest, ok := strings.Cut(s, ":")
	if !ok {
		return Head{}, fmt.Errorf("eth: head: want NUMBER:HASH or NUMBER:HASH:TIME")
	}
	hash, time, timed := strings.Cut(rest, ":")
	var h Head
	var err error
	if h.Number, err = strconv.ParseUint(number, 10, 64); err != nil {
		return Head{}, fmt.Errorf("eth: head: number: %w", numError(err))
	}
	if err = parseHex(h.Hash[:], hash); err != nil {
		return Head{}, fmt.Errorf("eth: head: hash: %w", err)
	}
	if timed {
		if h.Time, err = strconv.ParseUint(time, 10, 64); err != nil {
			return Head{}, fmt.Errorf("eth: head: time: %w", numError(err))
		}
	}
	return h, nil
}

// String returns the form that ParseHead reads.
func (h Head) String() string {
	if h.Time == 0 {
		return fmt.Sprintf("%d:%v", h.Number, h.Hash)
	}
	return fmt.Sprintf("%d:%v:%d", h.Number, h.Hash, h.Time)
}

// UnmarshalText reads what ParseHead does.
func (h *Head) UnmarshalText(text []byte) error {
	v, err := ParseHead(string(text))
	if err != nil {
		return err
	}
	*h = v
	return nil
}

// MarshalText returns the form of String.
func (h Head) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// numError takes the input out of a strconv error: it may be long and hostile.
func numError(err error) error {
	if e, ok := err.(*strconv.NumError); ok {
		return e.Err
	}
	return err
}
