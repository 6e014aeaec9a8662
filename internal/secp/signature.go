package secp

import (
	"errors"
	"fmt"
)

// ErrSignature is the cause of every error about a signature.
var ErrSignature = errors.New("secp: invalid signature")

var (
	errScalar  = fmt.Errorf("%w: r not in 1..N-1 or s not in 1..N/2", ErrSignature)
	errV       = fmt.Errorf("%w: v not in 0..3", ErrSignature)
	errNoPoint = fmt.Errorf("%w: no key made it", ErrSignature)
)

// Signature is a recoverable ECDSA signature r‖s‖v: two big-endian numbers of 32
// bytes and the recovery id. Bit 0 of v is the oddness of the Y coordinate of the
// nonce point, bit 1 says that its X coordinate was N or more (SEC 1, section
// 4.1.6). The first 64 bytes are the signature of ENR and discovery v5.
type Signature [65]byte

// Sign signs a digest with the nonce of RFC 6979, so that the same key and digest
// give the same signature in both back ends. The result has s ≤ N/2 and v in
// 0..3. The only error is ErrPrivateKey, for the zero PrivateKey.
func (k *PrivateKey) Sign(digest [32]byte) (Signature, error) {
	if k.pair == nil {
		return Signature{}, errNoKey
	}
	digest = reduce(&digest)
	return sign(&k.pair().secret, &digest), nil
}

// Recover returns the public key whose owner signed digest. Any signature in
// range that leads to a point has such a key, so this proves nothing unless the
// key is compared with one that was expected, or the digest commits to it.
//
// It refuses, with an error that is ErrSignature, r or s that is zero or not
// below N, v above 3, s above N/2, and an r that is no coordinate of a point.
//
// Specifications of devp2p do not say whether s may be above N/2. It is refused
// because otherwise anybody could turn one valid message into a second one.
func Recover(digest [32]byte, sig Signature) (PublicKey, error) {
	if sig[64] > 3 {
		return PublicKey{}, errV
	}
	if !inRange((*[64]byte)(sig[:])) {
		return PublicKey{}, errScalar
	}
	pub, ok := recoverKey(&digest, &sig)
	if !ok {
		return PublicKey{}, errNoPoint
	}
	return pub, nil
}

// Verify reports whether sig, r‖s, is the signature of digest by the owner of
// pub. It is false also for a pub that is not a point of the curve and for s
// above N/2.
func Verify(pub PublicKey, digest [32]byte, sig [64]byte) bool {
	return inRange(&sig) && verify(&pub, &digest, &sig)
}

// inRange reports whether r is in 1..N-1 and s in 1..N/2.
func inRange(sig *[64]byte) bool {
	return isScalar((*[32]byte)(sig[:]), &maxScalar) && isScalar((*[32]byte)(sig[32:]), &halfOrder)
}
