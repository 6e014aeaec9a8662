package secp

import "testing"

// operations are the public operations with inputs that succeed.
func operations() []operation {
	k, other := private(secretA), private(digestA).Public()
	digest := [32]byte(digestA)
	sig, _ := k.Sign(digest)
	compressed := other.Compress()
	data := make([]byte, 128)
	bad := other
	bad[63] ^= 1
	high := negateS(sig)
	return []operation{
		{"GenerateKey", func() { GenerateKey() }},
		{"ParsePrivateKey", func() { ParsePrivateKey(secretA) }},
		{"ECDH", func() { k.ECDH(other) }},
		{"SharedPoint", func() { k.SharedPoint(other) }},
		{"Sign", func() { k.Sign(digest) }},
		{"Recover", func() { Recover(digest, sig) }},
		{"Verify", func() { Verify(other, digest, [64]byte(sig[:])) }},
		{"Parse33", func() { ParsePublicKey(compressed[:]) }},
		{"Parse64", func() { ParsePublicKey(other[:]) }},
		{"ParseBad", func() { ParsePublicKey(bad[:]) }},
		{"RecoverBad", func() { Recover(digest, high) }},
		{"Keccak128", func() { Keccak256(data) }},
	}
}

type operation struct {
	name string
	do   func()
}

// No operation allocates more than its back end's maxAllocs says, those that
// strangers can cause with rubbish included.
func TestAllocs(t *testing.T) {
	for _, op := range operations() {
		want, ok := maxAllocs[op.name]
		if !ok {
			t.Errorf("%s has no limit", op.name)
		}
		if got := testing.AllocsPerRun(20, op.do); got > want {
			t.Errorf("%s: %v allocations, want at most %v", op.name, got, want)
		}
	}
}

func Benchmark(b *testing.B) {
	for _, op := range operations() {
		b.Run(op.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				op.do()
			}
		})
	}
}

// The curve operations of one RLPx handshake, both sides: an ephemeral key, a
// signature or its recovery, and the three shared secrets of auth, ack and the
// session.
func BenchmarkHandshake(b *testing.B) {
	a, z := private(secretA), private(digestA)
	digest := [32]byte(digestA)
	b.ReportAllocs()
	for b.Loop() {
		// Initiator: auth.
		ephemeralA, _ := GenerateKey()
		eciesA, _ := GenerateKey()
		a.ECDH(z.Public())
		eciesA.ECDH(z.Public())
		sig, _ := ephemeralA.Sign(digest)
		// Recipient: auth, ack.
		z.ECDH(eciesA.Public())
		z.ECDH(a.Public())
		remote, _ := Recover(digest, sig)
		ephemeralZ, _ := GenerateKey()
		eciesZ, _ := GenerateKey()
		eciesZ.ECDH(a.Public())
		ephemeralZ.ECDH(remote)
		// Initiator: ack.
		a.ECDH(eciesZ.Public())
		ephemeralA.ECDH(ephemeralZ.Public())
	}
}
