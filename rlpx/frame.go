package rlpx

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"

	"parley/internal/keccak"
)

// A frame is header || header MAC || body || body MAC, the header 16 bytes and
// the body padded to a multiple of 16.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#framing
const (
	headerSize = 16
	macSize    = 16
	frameHead  = headerSize + macSize

	// maxFrame is the largest size that a header's 24 bits can tell: the message
	// code and the (compressed) payload.
	maxFrame = 1<<24 - 1
)

// A lane is one direction of a session: the key stream and the running hash of
// everything that went that way. Its methods must see the frames in the order
// of the wire; a lane has one user at a time.
type lane struct {
	stream cipher.Stream
	block  cipher.Block // keyed with the MAC secret; has no state, both lanes share it
	mac    keccak.Sponge

	// digest is the hash as it stands. The step to the next header MAC begins
	// with the digest that ended the frame before, so it is kept, not squeezed
	// out of the sponge a second time.
	digest [keccak.Size]byte
	seed   [aes.BlockSize]byte
}

// newLanes returns the two directions of a session, seen from the initiator: the
// one it writes and the one it reads.
func newLanes(s secrets, t *transcript) (fromInitiator, fromRecipient *lane, err error) {
	key, err := aes.NewCipher(s.aes[:])
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(s.mac[:])
	if err != nil {
		return nil, nil, err
	}
	// One key and one counter serve both directions: a known weakness of the
	// protocol, listed in the specification.
	lanes := [2]*lane{new(lane), new(lane)}
	for _, l := range lanes {
		l.stream = cipher.NewCTR(key, l.seed[:]) // all zero
		l.block = block
	}
	// Each direction is bound to the nonce of the side that reads it and to the
	// packet of the side that writes it.
	lanes[0].begin(s.mac, t.recipientNonce, t.auth)
	lanes[1].begin(s.mac, t.initiatorNonce, t.ack)
	return lanes[0], lanes[1], nil
}

// begin gives the hash its first input.
func (l *lane) begin(secret, nonce [32]byte, packet []byte) {
	subtle.XORBytes(l.digest[:], secret[:], nonce[:])
	l.mac.Absorb(l.digest[:])
	l.mac.Absorb(packet)
	l.digest = l.mac.Sum()
}

// mask returns in, 16 bytes, masked with the encrypted digest: what the hash
// takes up for a MAC. It is valid until the next call.
func (l *lane) mask(in []byte) []byte {
	l.block.Encrypt(l.seed[:], l.digest[:aes.BlockSize])
	subtle.XORBytes(l.seed[:], l.seed[:], in)
	return l.seed[:]
}

// step advances the hash by in. The MAC is the beginning of the new digest.
func (l *lane) step(in []byte) {
	l.mac.Absorb(l.mask(in))
	l.digest = l.mac.Sum()
}

// absorb continues the hash with a part of a body's ciphertext.
func (l *lane) absorb(body []byte) { l.mac.Absorb(body) }

// finish ends a body: after it the digest begins with the body's MAC.
func (l *lane) finish() {
	l.digest = l.mac.Sum()
	l.step(l.digest[:macSize])
}

// check reports whether mac is the MAC of what was hashed, in constant time.
func (l *lane) check(mac []byte) bool {
	return subtle.ConstantTimeCompare(l.digest[:macSize], mac) == 1
}

// padded returns the length on the wire of a body of size bytes, without MAC.
func padded(size int) int { return (size + 15) &^ 15 }

// frameLen returns the length on the wire of a frame of the given size.
func frameLen(size int) int { return frameHead + padded(size) + macSize }

// openHeader authenticates the first frameHead bytes of a frame, decrypts the
// header in place and returns the size it tells, 1 to maxFrame. The size is not
// looked at before the MAC was right. What the header says beyond it is ignored:
// the ids in it were never put to use.
func (l *lane) openHeader(head []byte) (size int, err error) {
	header := head[:headerSize]
	// The MAC continues the hash of all frames before. A frame that fails it
	// cannot be skipped: every later MAC would fail too.
	l.step(header)
	if !l.check(head[headerSize:frameHead]) {
		return 0, fmt.Errorf("header: %w", ErrMAC)
	}
	l.stream.XORKeyStream(header, header)
	size = int(header[0])<<16 | int(header[1])<<8 | int(header[2])
	if size == 0 {
		return 0, fmt.Errorf("header: frame of size zero: %w", ErrMalformed)
	}
	return size, nil
}

// verifyBody ends a body that was absorbed whole and compares its MAC. Only
// after it may the body be decrypted.
func (l *lane) verifyBody(mac []byte) error {
	l.finish()
	if !l.check(mac) {
		return fmt.Errorf("body: %w", ErrMAC)
	}
	return nil
}

// decrypt decrypts the next part of a verified body. dst may be src.
func (l *lane) decrypt(dst, src []byte) { l.stream.XORKeyStream(dst, src) }
