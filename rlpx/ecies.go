package rlpx

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"parley/internal/secp"
)

// An ECIES envelope is R || iv || c || d: the sender's one-time public key in
// the long form, the initialization vector, the ciphertext, the tag.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#ecies-encryption
const (
	envelopeKeySize  = 65
	envelopeIVSize   = aes.BlockSize
	envelopeTagSize  = sha256.Size
	envelopeOverhead = envelopeKeySize + envelopeIVSize + envelopeTagSize // 113
)

// appendEnvelope appends plain, encrypted to the holder of the key to. The tag
// covers shared as well, which is not part of the envelope. key and iv must be
// fresh for each envelope.
func appendEnvelope(dst []byte, to secp.PublicKey, key *secp.PrivateKey, iv [envelopeIVSize]byte, plain, shared []byte) ([]byte, error) {
	secret, err := key.ECDH(to)
	if err != nil {
		return nil, err
	}
	encKey, macKey := envelopeKeys(secret)
	from := key.Public()
	dst = append(dst, 4)
	dst = append(dst, from[:]...)
	start := len(dst)
	dst = append(dst, iv[:]...)
	dst = append(dst, plain...)
	if err := envelopeCrypt(encKey, dst[start:start+envelopeIVSize], dst[start+envelopeIVSize:]); err != nil {
		return nil, err
	}
	tag := envelopeTag(macKey, dst[start:], shared)
	return append(dst, tag[:]...), nil
}

// openEnvelope returns the plaintext of an envelope sealed to key with the same
// shared data. The envelope is left as it is.
func openEnvelope(key *secp.PrivateKey, envelope, shared []byte) ([]byte, error) {
	if len(envelope) < envelopeOverhead {
		return nil, fmt.Errorf("envelope of %d bytes: %w", len(envelope), ErrMalformed)
	}
	// The long form only: the parser takes shorter and other forms too, which
	// have no place here.
	if envelope[0] != 4 {
		return nil, fmt.Errorf("envelope key of form %#x: %w", envelope[0], ErrMalformed)
	}
	from, err := secp.ParsePublicKey(envelope[:envelopeKeySize])
	if err != nil {
		return nil, fmt.Errorf("envelope key: %w", err)
	}
	secret, err := key.ECDH(from)
	if err != nil {
		return nil, fmt.Errorf("envelope key: %w", err)
	}
	encKey, macKey := envelopeKeys(secret)
	body := envelope[envelopeKeySize : len(envelope)-envelopeTagSize]
	want := envelopeTag(macKey, body, shared)
	if !hmac.Equal(want[:], envelope[len(envelope)-envelopeTagSize:]) {
		return nil, ErrMAC
	}
	plain := append([]byte(nil), body[envelopeIVSize:]...)
	if err := envelopeCrypt(encKey, body[:envelopeIVSize], plain); err != nil {
		return nil, err
	}
	return plain, nil
}

// envelopeKeys derives the encryption key and the key of the tag: the
// concatenation KDF of NIST SP 800-56, of which 32 bytes are a single round.
func envelopeKeys(secret [32]byte) (enc [16]byte, mac [32]byte) {
	var round [4 + 32]byte
	binary.BigEndian.PutUint32(round[:], 1)
	copy(round[4:], secret[:])
	k := sha256.Sum256(round[:])
	return [16]byte(k[:16]), sha256.Sum256(k[16:])
}

// envelopeCrypt encrypts or decrypts data in place.
func envelopeCrypt(key [16]byte, iv, data []byte) error {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return err
	}
	cipher.NewCTR(block, iv).XORKeyStream(data, data)
	return nil
}

func envelopeTag(key [32]byte, body, shared []byte) (tag [envelopeTagSize]byte) {
	mac := hmac.New(sha256.New, key[:])
	mac.Write(body)
	mac.Write(shared)
	mac.Sum(tag[:0])
	return tag
}
