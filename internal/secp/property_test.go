package secp

import (
	"bytes"
	"math/big"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// genKey draws a private key, any value of 1..N-1.
func genKey(t *rapid.T, label string) *PrivateKey {
	b := genBytes32(t, label)
	if refSecret(b[:]) == nil {
		b = [32]byte{31: 1}
	}
	return private(b[:])
}

func genBytes32(t *rapid.T, label string) [32]byte {
	return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
}

// negateS returns the other signature with the same meaning: -s, and the other
// oddness.
func negateS(sig Signature) Signature {
	s := new(big.Int).SetBytes(sig[32:64])
	sub(refN, s).FillBytes(sig[32:64])
	sig[64] ^= 1
	return sig
}

// What a key signs is recovered to that key and verified with it, and with no
// other digest, key or form of the signature.
func TestSignatureProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := genKey(t, "key")
		digest := genBytes32(t, "digest")
		sig, err := k.Sign(digest)
		if err != nil {
			t.Fatal(err)
		}
		if sig[64] > 3 || !inRange((*[64]byte)(sig[:])) {
			t.Fatalf("Sign made %x, which is out of range", sig)
		}
		if again, _ := k.Sign(digest); again != sig {
			t.Fatalf("Sign again = %x, want %x", again, sig)
		}
		if pub, err := Recover(digest, sig); err != nil || pub != k.Public() {
			t.Fatalf("Recover = %x, %v; want %x", pub, err, k.Public())
		}
		rs := [64]byte(sig[:])
		if !Verify(k.Public(), digest, rs) {
			t.Fatal("Verify refuses a good signature")
		}

		high := negateS(sig)
		if pub, err := Recover(digest, high); err == nil {
			t.Fatalf("Recover with high s = %x, want an error", pub)
		}
		if Verify(k.Public(), digest, [64]byte(high[:])) {
			t.Fatal("Verify accepts high s")
		}
		digest[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if pub, _ := Recover(digest, sig); pub == k.Public() {
			t.Fatal("Recover finds the signer for another digest")
		}
		if Verify(k.Public(), digest, rs) {
			t.Fatal("Verify accepts another digest")
		}
	})
}

// Two parties compute the same point, SharedPoint is ECDH with the oddness of Y,
// and both are the product of the secrets.
func TestECDHProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genKey(t, "a"), genKey(t, "b")
		x, err := a.ECDH(b.Public())
		if err != nil {
			t.Fatal(err)
		}
		if y, err := b.ECDH(a.Public()); err != nil || y != x {
			t.Fatalf("the other side has %x, %v; want %x", y, err, x)
		}
		point, err := a.SharedPoint(b.Public())
		if err != nil || !bytes.Equal(point[1:], x[:]) {
			t.Fatalf("SharedPoint = %x, %v; want X %x", point, err, x)
		}
		product := mod(times(refSecret(a.Bytes()), refSecret(b.Bytes())), refN)
		want := private(b32(product)).Public().Compress()
		if point != want {
			t.Fatalf("SharedPoint = %x, want %x", point, want)
		}
	})
}

// Every form of a key is read back to the same key.
func TestPublicKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pub := genKey(t, "key").Public()
		compressed := pub.Compress()
		for _, b := range [][]byte{pub[:], append([]byte{4}, pub[:]...), compressed[:]} {
			if got, err := ParsePublicKey(b); err != nil || got != pub {
				t.Fatalf("ParsePublicKey(%x) = %x, %v; want %x", b, got, err, pub)
			}
		}
		if pub.IsZero() {
			t.Fatal("a valid key is zero")
		}
	})
}

// Generated keys are valid, distinct, and survive Bytes and ParsePrivateKey.
func TestGenerateKey(t *testing.T) {
	seen := make(map[PublicKey]bool)
	for range 100 {
		k, err := GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		pub := k.Public()
		if !onCurve(&pub) || seen[pub] {
			t.Fatalf("key %x is off the curve or was made before", pub)
		}
		seen[pub] = true
		if got := private(k.Bytes()).Public(); got != pub {
			t.Fatalf("parsed again: %x, want %x", got, pub)
		}
	}
}

// A key neither keeps the bytes that it was parsed from nor gives away its own.
func TestPrivateKeyImmutable(t *testing.T) {
	b := bytes.Clone(secretA)
	k := private(b)
	clear(b)
	clear(k.Bytes())
	if !bytes.Equal(k.Bytes(), secretA) {
		t.Error("the secret changed through a slice that the caller holds")
	}
}

// One key, and the context of the back end, may be used by many goroutines. The
// race detector is the judge.
func TestConcurrentUse(t *testing.T) {
	k := private(secretA)
	digest := [32]byte(digestA)
	want, _ := k.Sign(digest)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				sig, _ := k.Sign(digest)
				pub, err := Recover(digest, sig)
				if sig != want || pub != k.Public() || err != nil {
					t.Errorf("Sign, Recover = %x, %x, %v", sig, pub, err)
				}
				if _, err := k.ECDH(pub); err != nil {
					t.Error(err)
				}
				if _, err := GenerateKey(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
