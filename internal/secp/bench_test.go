package secp

import (
	"slices"
	"testing"
	"time"
)

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

// The curve operations of one RLPx handshake, both sides together: 4 ephemeral
// keys (two for ECIES, two for the session), 8 shared secrets, a signature and its
// recovery.
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

// How long an operation takes for secrets of very different shape, in turns so
// that whatever else the machine does meets all of them: the medians, in ns. A
// difference would be a leak; that there is none in the median proves nothing.
func BenchmarkSecretTiming(b *testing.B) {
	generated, err := GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	keys := []struct {
		name string
		*PrivateKey
	}{
		{"k=1", private(b32(small(1)))},
		{"k=2^128", private(b32(power(128, 0)))},
		{"k=N-1", private(b32(sub(refN, small(1))))},
		{"random", generated},
	}
	pub, digest := private(digestA).Public(), [32]byte(digestA)
	for _, op := range []struct {
		name string
		do   func(k *PrivateKey)
	}{
		{"ECDH", func(k *PrivateKey) { k.ECDH(pub) }},
		{"Sign", func(k *PrivateKey) { k.Sign(digest) }},
		{"Public", func(k *PrivateKey) { publicOf(&k.pair().secret) }},
	} {
		b.Run(op.name, func(b *testing.B) {
			times := make([][]time.Duration, len(keys))
			for b.Loop() {
				for i, k := range keys {
					start := time.Now()
					op.do(k.PrivateKey)
					times[i] = append(times[i], time.Since(start))
				}
			}
			for i, k := range keys {
				slices.Sort(times[i])
				b.ReportMetric(float64(times[i][len(times[i])/2]), k.name+"-ns")
			}
		})
	}
}
