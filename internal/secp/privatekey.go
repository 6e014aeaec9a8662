package secp

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// ErrPrivateKey is the cause of every error about a private key.
var ErrPrivateKey = errors.New("secp: invalid private key")

var (
	errNoKey = fmt.Errorf("%w: zero PrivateKey", ErrPrivateKey)
	errRange = fmt.Errorf("%w: not in 1..N-1", ErrPrivateKey)
)

// PrivateKey is a secret number in 1..N-1 with its public key. It is immutable
// and safe for concurrent use. The zero value is no key: its methods return an
// error or, where they return none, zeros.
//
// No verb of package fmt, no slog handler and no encoder of the standard library
// prints the secret; Bytes is the only way to it.
type PrivateKey struct {
	// A function, because it cannot be looked into. A key that is an unexported
	// field of something is printed by reflection, its methods are not asked, and
	// with a verb like %s fmt follows a pointer in it.
	pair func() *keyPair
}

type keyPair struct {
	secret [32]byte
	public PublicKey
}

func newPrivateKey(pair *keyPair) *PrivateKey {
	pair.public = publicOf(&pair.secret)
	return &PrivateKey{func() *keyPair { return pair }}
}

// GenerateKey returns a new key from the random source of the operating system.
// The error is always nil today; a back end may need it.
func GenerateKey() (*PrivateKey, error) {
	pair := new(keyPair)
	for !isScalar(&pair.secret, &maxScalar) { // all but 2^-128 of all values are good
		rand.Read(pair.secret[:])
	}
	return newPrivateKey(pair), nil
}

// ParsePrivateKey reads a key of 32 bytes, big endian, in 1..N-1. It copies b.
// Errors are ErrPrivateKey and never contain any of b.
func ParsePrivateKey(b []byte) (*PrivateKey, error) {
	if len(b) != 32 {
		return nil, fmt.Errorf("%w: %d bytes instead of 32", ErrPrivateKey, len(b))
	}
	pair := &keyPair{secret: [32]byte(b)}
	if !isScalar(&pair.secret, &maxScalar) {
		return nil, errRange
	}
	return newPrivateKey(pair), nil
}

// Bytes returns a copy of the secret, 32 bytes, big endian.
func (k *PrivateKey) Bytes() []byte {
	secret := make([]byte, 32)
	if k.pair != nil {
		copy(secret, k.pair().secret[:])
	}
	return secret
}

// Public returns the public key, computed when k was made.
func (k *PrivateKey) Public() PublicKey {
	if k.pair == nil {
		return PublicKey{}
	}
	return k.pair().public
}

// ECDH returns the X coordinate of k·pub, the shared secret of SEC 1, section
// 3.3.1, as ECIES and the RLPx handshake use it. It is not hashed. The error is
// ErrPublicKey if pub is not a point of the curve.
func (k *PrivateKey) ECDH(pub PublicKey) ([32]byte, error) {
	point, err := k.multiply(&pub)
	return [32]byte(point[:32]), err
}

// SharedPoint returns k·pub compressed, the shared secret of the discovery v5
// handshake (ecdh() in discv5-theory.md). Errors are those of ECDH.
func (k *PrivateKey) SharedPoint(pub PublicKey) ([33]byte, error) {
	point, err := k.multiply(&pub)
	if err != nil {
		return [33]byte{}, err
	}
	return point.Compress(), nil
}

func (k *PrivateKey) multiply(pub *PublicKey) (PublicKey, error) {
	if k.pair == nil {
		return PublicKey{}, errNoKey
	}
	point, ok := multiply(&k.pair().secret, pub)
	if !ok {
		return PublicKey{}, errOffCurve
	}
	return point, nil
}

// redacted is what a private key looks like in print.
const redacted = "PrivateKey(redacted)"

// String returns a fixed text without the secret.
func (k PrivateKey) String() string { return redacted }

// GoString returns a fixed text without the secret.
func (k PrivateKey) GoString() string { return redacted }

// Format writes a fixed text without the secret, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
