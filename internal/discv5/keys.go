package discv5

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"parley/enode"
	"parley/internal/secp"
)

const (
	identityText  = "discovery v5 identity proof"
	agreementText = "discovery v5 key agreement"
)

// identityDigest is what the initiator of a handshake signs: id-signature-input,
// hashed. Ephemeral is the compressed key of the initiator, dest the ID of the
// node that sent the challenge.
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-theory.md#step-3-node-a-processes-the-challenge
func identityDigest(challenge, ephemeral []byte, dest enode.ID) [32]byte {
	b := make([]byte, 0, len(identityText)+len(challenge)+len(ephemeral)+len(dest))
	b = append(b, identityText...)
	b = append(b, challenge...)
	b = append(b, ephemeral...)
	b = append(b, dest[:]...)
	return sha256.Sum256(b)
}

// deriveKeys returns the keys with which the initiator and the recipient
// encrypt. Either side may call it, with its own secret and the other's public
// key: one is ephemeral, the other the recipient's node key.
func deriveKeys(key *enode.PrivateKey, pub enode.PublicKey, initiator, recipient enode.ID, challenge []byte) (i, r [keySize]byte, err error) {
	secret, err := key.SharedPoint(pub)
	if err != nil {
		return i, r, fmt.Errorf("discv5: derive session keys: %w", err)
	}
	info := make([]byte, 0, len(agreementText)+2*idSize)
	info = append(info, agreementText...)
	info = append(info, initiator[:]...)
	info = append(info, recipient[:]...)
	data, err := hkdf.Key(sha256.New, secret[:], challenge, string(info), 2*keySize)
	if err != nil {
		return i, r, fmt.Errorf("discv5: derive session keys: %w", err)
	}
	return [keySize]byte(data), [keySize]byte(data[keySize:]), nil
}

// newAEAD returns AES-128-GCM with the given key.
func newAEAD(key [keySize]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("discv5: AES refuses a key of 16 bytes") // cannot happen
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("discv5: GCM refuses AES") // cannot happen
	}
	return aead
}

// verifyIdentity reports whether sig is the id-signature of the owner of pub.
func verifyIdentity(pub enode.PublicKey, sig, challenge, ephemeral []byte, self enode.ID) bool {
	return secp.Verify(pub, identityDigest(challenge, ephemeral, self), [64]byte(sig))
}
