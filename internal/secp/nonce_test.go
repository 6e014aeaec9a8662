//go:build !libsecp256k1

package secp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

// The generator gives the nonces of RFC 6979, appendix A.2.5. That key and those
// digests are for the curve P-256, but they and the nonces are below both orders,
// so this generator must give the same ones.
func TestNonceRFC6979(t *testing.T) {
	secret := unhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
	for message, want := range map[string]string{
		"sample": "A6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60",
		"test":   "D16B6AE827F17175E040871A1C7EC3500192C4C92677336EC2537ACAEE0008E0",
	} {
		digest := sha256.Sum256([]byte(message))
		g := newNonces((*[32]byte)(secret), &digest)
		if got := g.next(); !bytes.Equal(got[:], unhex(want)) {
			t.Errorf("%s: nonce %X, want %s", message, got, want)
		}
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Asked more than once, the generator goes on as RFC 6979 says, compared with the
// section written down on crypto/hmac.
func TestNonceSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret, digest := genBytes32(t, "secret"), genBytes32(t, "digest")
		g := newNonces(&secret, &digest)
		for i, want := range refNonces(secret[:], digest[:], 4) {
			if refSecret(want) == nil {
				return // one chance in 2^128
			}
			if got := g.next(); !bytes.Equal(got[:], want) {
				t.Fatalf("nonce %d is %x, want %x", i, got, want)
			}
		}
	})
}
