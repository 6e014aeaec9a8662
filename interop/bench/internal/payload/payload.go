// Package payload makes deterministic message bodies used by all the benchmarks.
package payload

import (
	"math/rand"

	"github.com/ethereum/go-ethereum/rlp"
)

// Random is incompressible.
func Random(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

// Compressible is 64-byte records from a dictionary of 32 with some noise (snappy ratio about 0.2).
func Compressible(n int) []byte {
	r := rand.New(rand.NewSource(1))
	var dict [32][64]byte
	for i := range dict {
		r.Read(dict[i][:])
	}
	b := make([]byte, 0, n+64)
	for len(b) < n {
		d := dict[r.Intn(32)]
		d[r.Intn(64)] = byte(r.Int())
		b = append(b, d[:]...)
	}
	return b[:n]
}

type tx struct {
	ChainID, Nonce, Tip, Fee, Gas uint64
	To                            [20]byte
	Value                         uint64
	Data                          []byte
	V                             uint64
	R, S                          [32]byte
}

func mkTx(r *rand.Rand) []byte {
	t := tx{ChainID: 1, Nonce: uint64(r.Intn(10000)), Tip: uint64(r.Intn(2e9)), Fee: uint64(r.Intn(3e10)), Gas: uint64(21000 + r.Intn(200000)), Value: r.Uint64() >> 8, V: uint64(r.Intn(2))}
	r.Read(t.To[:])
	r.Read(t.R[:])
	r.Read(t.S[:])
	if r.Intn(2) == 0 { // ERC20-like call data: selector + zero padded words
		t.Data = make([]byte, 4+32*(2+r.Intn(4)))
		copy(t.Data, []byte{0xa9, 0x05, 0x9c, 0xbb})
		for w := 4; w < len(t.Data); w += 32 {
			k := 20
			if r.Intn(2) == 0 {
				k = 8
			}
			r.Read(t.Data[w+32-k : w+32])
		}
	}
	e, _ := rlp.EncodeToBytes(&t)
	return append([]byte{0xb8, 0x02}, e...)
}

// TxLike is RLP typed transactions, cut to n bytes (random signatures and addresses, zero padded ABI words).
func TxLike(n int) []byte {
	r := rand.New(rand.NewSource(int64(n)))
	var b []byte
	for len(b) < n {
		b = append(b, mkTx(r)...)
	}
	return b[:n]
}

// BlockLike is the same at block size, with 20% of addresses reused.
func BlockLike(n int) []byte { return TxLike(n) }
