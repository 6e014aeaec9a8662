package secp

import (
	"bytes"
	"math/big"
	"testing"
)

// ParsePublicKey accepts exactly the points that SEC 1 describes, in three forms.
func FuzzParsePublicKey(f *testing.F) {
	for _, c := range agreementCases() {
		if c.op == "parse" {
			f.Add(c.args[0])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		want := refResult(refParse(b))
		if got := run("parse", [][]byte{b}); got != want {
			t.Fatalf("parse %x = %s, want %s", b, got, want)
		}
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
	})
}

// Recover accepts exactly the signatures in range whose r is the X coordinate of
// a point, and the key that it returns verifies the signature.
func FuzzRecover(f *testing.F) {
	for _, c := range agreementCases() {
		if c.op == "recover" {
			f.Add(c.args[0], c.args[1])
		}
	}
	f.Fuzz(func(t *testing.T, digest, b []byte) {
		if len(digest) != 32 || len(b) != 65 {
			return
		}
		sig := Signature(b)
		pub, err := Recover([32]byte(digest), sig)

		r, _ := refScalars(b)
		var nonce *refPoint
		if r != nil {
			nonce = refNoncePoint(r, sig[64])
		}
		if err != nil {
			if nonce != nil && !refInfinity(digest, b, nonce) {
				t.Fatalf("recover %x %x: %v", digest, b, err)
			}
			return
		}
		if nonce == nil {
			t.Fatalf("recover %x %x = %x, want an error", digest, b, pub)
		}
		if !Verify(pub, [32]byte(digest), [64]byte(b)) {
			t.Fatalf("recover %x %x = %x, which does not verify it", digest, b, pub)
		}
		sig[64] ^= 1
		if other, err := Recover([32]byte(digest), sig); err == nil && other == pub {
			t.Fatalf("recover %x %x: the same key for both v", digest, b)
		}
	})
}

// refInfinity reports whether recovery ends with s·R = e·G.
func refInfinity(digest, sig []byte, nonce *refPoint) bool {
	e := mod(new(big.Int).SetBytes(digest), refN)
	return nonce.mul(new(big.Int).SetBytes(sig[32:64])).add(refG.mul(e).negate()) == nil
}
