package rlpx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/golang/snappy"

	"parley/rlp"
)

// maxCode is the longest encoding of a message code.
const maxCode = 9

// SealedSize returns a length that AppendMsg does not exceed for a payload of n
// bytes, nor AppendCompressed for a block of n bytes. With as much room behind
// dst they do not allocate.
func SealedSize(n int) int {
	return frameLen(maxCode + snappy.MaxEncodedLen(min(n, MaxMessage)))
}

// AppendMsg seals a message as one frame, compressed if Snappy is on, and
// appends the frame to dst. The bytes must reach the connection in the order in
// which they were appended, or the other side will close it.
//
// Payloads above MaxMessage, or larger than a frame when all is done, are refused
// with ErrTooLarge; dst is returned as it was and the connection lives on.
func (c *Conn) AppendMsg(dst []byte, code uint64, payload []byte) ([]byte, error) {
	if len(payload) > MaxMessage {
		return dst, tooLarge(code, len(payload), MaxMessage)
	}
	if !c.snappy {
		return c.appendFrame(dst, code, payload)
	}
	start := len(dst)
	frame := slices.Grow(dst, SealedSize(len(payload)))[:start+frameHead]
	frame = rlp.AppendUint(frame, code)
	frame = appendSnappy(frame, payload)
	return c.sealFrame(dst, frame, code)
}

// AppendCompressed is AppendMsg for a payload that Compress made, so that one
// that goes to many connections is compressed once. It fails if Snappy is off.
func (c *Conn) AppendCompressed(dst []byte, code uint64, block []byte) ([]byte, error) {
	if err := c.checkCompressed(code, block); err != nil {
		return dst, err
	}
	return c.appendFrame(dst, code, block)
}

// checkCompressed reports why a block cannot be sent.
func (c *Conn) checkCompressed(code uint64, block []byte) error {
	if !c.snappy {
		return errors.New("rlpx: seal: compressed payload for a connection without Snappy")
	}
	size, err := inflatedSize(block)
	if err != nil {
		return fmt.Errorf("rlpx: seal: %w", err)
	}
	if size > MaxMessage {
		return tooLarge(code, size, MaxMessage)
	}
	return nil
}

// appendFrame seals a body as it is.
func (c *Conn) appendFrame(dst []byte, code uint64, body []byte) ([]byte, error) {
	return c.sealFrame(dst, appendPlain(dst, code, body), code)
}

// appendPlain appends what a frame carries to dst, behind the space for a header.
func appendPlain(dst []byte, code uint64, body []byte) []byte {
	start := len(dst)
	frame := slices.Grow(dst, frameLen(maxCode+len(body)))[:start+frameHead]
	frame = rlp.AppendUint(frame, code)
	return append(frame, body...)
}

// sealFrame seals the plaintext that frame has beyond dst and the space for a
// header.
func (c *Conn) sealFrame(dst, frame []byte, code uint64) ([]byte, error) {
	frame, size, err := layFrame(dst, frame, code)
	if err != nil {
		return dst, err
	}
	c.out.seal(frame[len(dst):], size)
	return frame, nil
}

// layFrame extends frame, of which dst is the beginning, by the space for padding
// and MAC, and returns the size of what it carries.
func layFrame(dst, frame []byte, code uint64) (whole []byte, size int, err error) {
	size = len(frame) - len(dst) - frameHead
	if size > maxFrame {
		return nil, 0, tooLarge(code, size, maxFrame)
	}
	end := len(dst) + frameLen(size)
	return slices.Grow(frame, end-len(frame))[:end], size, nil
}

// appendSnappy compresses payload behind dst, in place if there is room.
func appendSnappy(dst, payload []byte) []byte {
	dst = slices.Grow(dst, snappy.MaxEncodedLen(len(payload)))
	block := snappy.Encode(dst[len(dst):cap(dst)], payload)
	return dst[:len(dst)+len(block)]
}

func tooLarge(code uint64, size, limit int) error {
	return fmt.Errorf("rlpx: seal: code %#x, %d bytes: %w (limit %d)", code, size, ErrTooLarge, limit)
}

// WriteMsg seals a message and writes it with one call. It is the simple way, for
// tools and tests: it blocks under the write deadline of the connection, and
// after an error nothing more can be sent.
func (c *Conn) WriteMsg(code uint64, payload []byte) error {
	buf := c.win.bufs.Get(SealedSize(len(payload)))
	defer c.win.bufs.Put(buf)
	frame, err := c.AppendMsg(buf[:0], code, payload)
	if err != nil {
		return err
	}
	if _, err := c.src.fd.Write(frame); err != nil {
		return fmt.Errorf("rlpx: write: %w", err)
	}
	return nil
}
