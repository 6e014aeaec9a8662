package rlpx

import (
	"fmt"

	"github.com/golang/snappy"

	"parley/rlp"
)

// splitCode takes the message code, a canonical RLP integer, from the beginning
// of a frame's body and returns what follows it.
func splitCode(body []byte) (code uint64, data []byte, err error) {
	c := rlp.NewCursor(body)
	if code, err = c.Uint64(); err != nil {
		return 0, nil, fmt.Errorf("code: %w: %w", ErrMalformed, err)
	}
	return code, body[len(body)-c.Len():], nil
}

// inflatedSize returns what a Snappy block claims to inflate to. A claim that no
// block of this length can keep is refused: the densest element is a copy of 64
// bytes told by 3.
// https://github.com/google/snappy/blob/master/format_description.txt
func inflatedSize(block []byte) (int, error) {
	size, err := snappy.DecodedLen(block)
	if err != nil {
		return 0, fmt.Errorf("snappy size: %w: %w", ErrMalformed, err)
	}
	if int64(size) > int64(len(block))*64/3 {
		return 0, fmt.Errorf("snappy block of %d bytes claims %d: %w", len(block), size, ErrMalformed)
	}
	return size, nil
}

// inflate decompresses block into dst, whose length is the size that the block
// claims; the decoder refuses a block that holds less or more.
func inflate(dst, block []byte) error {
	if _, err := snappy.Decode(dst, block); err != nil {
		return fmt.Errorf("snappy: %w: %w", ErrMalformed, err)
	}
	return nil
}

// Compress appends payload to dst as a Snappy block, for AppendCompressed.
// Payloads above MaxMessage are refused with ErrTooLarge.
func Compress(dst, payload []byte) ([]byte, error) {
	if len(payload) > MaxMessage {
		return dst, fmt.Errorf("rlpx: compress: payload of %d bytes: %w (limit %d)", len(payload), ErrTooLarge, MaxMessage)
	}
	return appendSnappy(dst, payload), nil
}
