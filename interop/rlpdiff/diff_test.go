package rlpdiff

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"reflect"
	"testing"

	gethrlp "github.com/ethereum/go-ethereum/rlp"

	"parley/rlp"
)

type (
	inner struct {
		Number uint64
		Hash   [32]byte
		Name   string
		Flag   bool
	}
	nested struct {
		ID    uint16
		Inner inner
		List  []inner
		Ptr   *inner
		Big   *big.Int
		Pair  [2]uint32
	}
	optional struct {
		A uint64
		B []byte   `rlp:"optional"`
		C []uint16 `rlp:"optional"`
		D *big.Int `rlp:"optional"`
		E *inner   `rlp:"optional"`
	}
	nils struct {
		A *uint64   `rlp:"nil"`
		B *inner    `rlp:"nil"`
		C *[2]byte  `rlp:"nil"`
		D *uint64   `rlp:"nilList"`
		E *[]uint64 `rlp:"nilString"`
	}
	tree struct {
		Value    uint8
		Children []tree
	}
	// The packages have their own types for an item kept verbatim.
	tailed[R any] struct {
		A    uint64
		B    uint64 `rlp:"optional"`
		Rest []R    `rlp:"tail"`
	}
	raws[R any] struct {
		A R
		B []R
	}
)

// pairs are new variables of the same shape for both packages.
func pairs() []pair {
	return []pair{
		same[uint8](), same[uint32](), same[uint64](), same[uint](), same[bool](), same[string](),
		same[[]byte](), same[[0]byte](), same[[1]byte](), same[[32]byte](), same[big.Int](), same[*big.Int](),
		same[[]uint16](), same[[]uint64](), same[[]bool](), same[[]string](), same[[][]byte](), same[[][][]byte](),
		same[[][1]byte](), same[[][32]byte](), same[[][60]byte](), same[[]*big.Int](), same[[3]uint64](), same[[][2][]byte](),
		same[struct{}](), same[inner](), same[nested](), same[[]nested](), same[optional](), same[[]optional](), same[nils](),
		same[tree](), same[announcement](), same[tailed[[]byte]](), same[tailed[uint64]](),
		{new(rlp.Raw), new(gethrlp.RawValue)},
		{new([]rlp.Raw), new([]gethrlp.RawValue)},
		{new(raws[rlp.Raw]), new(raws[gethrlp.RawValue])},
		{new(tailed[rlp.Raw]), new(tailed[gethrlp.RawValue])},
	}
}

type pair struct{ ours, theirs any }

func same[T any]() pair { return pair{new(T), new(T)} }

// A difference is one that is meant to be.
type difference struct {
	why string
	// excuses tells whether the difference explains the errors of the two sides.
	excuses func(p pair, ours, theirs error) bool
}

var knownDifferences = []difference{
	{
		"memory: parley refuses values that take more than twice the input and 64 KiB",
		func(_ pair, ours, theirs error) bool { return errors.Is(ours, rlp.ErrMemory) && theirs == nil },
	},
	{
		"depth: parley refuses more than 64 lists in one another",
		func(_ pair, ours, theirs error) bool { return errors.Is(ours, rlp.ErrDepth) && theirs == nil },
	},
	{
		"verbatim: parley checks that a single byte kept as Raw has no header, go-ethereum when it is decoded",
		func(p pair, ours, theirs error) bool {
			return errors.Is(ours, rlp.ErrCanonical) && theirs == nil && reflect.TypeOf(p.ours) != reflect.TypeOf(p.theirs)
		},
	},
}

func excused(p pair, ours, theirs error) bool {
	for _, d := range knownDifferences {
		if d.excuses(p, ours, theirs) {
			return true
		}
	}
	return false
}

// compare decodes in on both sides and reports anything on which they differ.
func compare(t *testing.T, in []byte) {
	t.Helper()
	for _, p := range pairs() {
		typ := reflect.TypeOf(p.ours).Elem()
		ours, theirs := rlp.Decode(in, p.ours), gethrlp.DecodeBytes(in, p.theirs)
		if (ours == nil) != (theirs == nil) {
			if !excused(p, ours, theirs) {
				t.Fatalf("%v from %x:\nparley:      %v\ngo-ethereum: %v", typ, in, ours, theirs)
			}
			continue
		}
		if ours != nil {
			continue
		}
		a, ourErr := rlp.Encode(p.ours)
		b, theirErr := gethrlp.EncodeToBytes(p.theirs)
		if ourErr != nil || theirErr != nil || !bytes.Equal(a, b) {
			t.Fatalf("%v from %x encodes as\nparley:      %x %v\ngo-ethereum: %x %v", typ, in, a, ourErr, b, theirErr)
		}
		if typ == reflect.TypeOf(p.theirs).Elem() && !reflect.DeepEqual(p.ours, p.theirs) {
			t.Fatalf("%v from %x:\nparley:      %#v\ngo-ethereum: %#v", typ, in, p.ours, p.theirs)
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

// seeds reach each type, right and wrong.
func seeds() [][]byte {
	var all [][]byte
	for _, s := range []string{
		"", "80", "c0", "00", "01", "7f", "8180", "8100", "817f", "820400", "820001", "83646f67", "b800", "b801ff", "f800", "f801c0",
		"88ffffffffffffffff", "89010000000000000000", "bf0f000000000000021111", "ff0f000000000000021111", "bfffffffffffffffff",
		"c101", "c20102", "c30180c0", "c40180c103", "c3018003", "c4010203c0", "c58080c080c0", "c5c080c080c0", "c580c0c080c0", "c580c080c080",
		"c7c0c1c0c3c0c1c0", "c801c6c202c0c203c0", "c28100", "c3c28100", "c20102ff",
	} {
		all = append(all, unhex(s))
	}
	n := nested{ID: 300, Inner: inner{Number: 1 << 40, Hash: [32]byte{1}, Name: "x", Flag: true}, List: []inner{{}, {Name: "longer than fifty-five bytes, so that its header takes two of them"}},
		Ptr: &inner{}, Big: new(big.Int).Lsh(big.NewInt(1), 100), Pair: [2]uint32{1, 2}}
	for _, v := range []any{
		&n, []nested{n, n}, optional{A: 1, D: big.NewInt(5)}, optional{B: []byte{}, C: []uint16{1}}, nils{A: new(uint64), E: &[]uint64{}},
		tree{1, []tree{{2, []tree{{3, nil}}}}}, newAnnouncement(5), [][60]byte{{}, {1}}, [][1]byte{{1}, {255}}, [][32]byte{{1}},
	} {
		b, err := rlp.Encode(v)
		if err != nil {
			panic(err)
		}
		all = append(all, b)
	}
	return all
}

// Both packages agree on hand-made input.
func TestAgree(t *testing.T) {
	for _, in := range seeds() {
		compare(t, in)
		for i := range in { // and on small changes of it
			for _, x := range []byte{0x00, 0x01, 0x80, 0x81, 0xb8, 0xc0, 0xc1, 0xf8, 0xff} {
				changed := bytes.Clone(in)
				changed[i] = x
				compare(t, changed)
			}
			compare(t, in[:i])
		}
	}
}

// Both packages agree on any input.
func FuzzAgree(f *testing.F) {
	for _, in := range seeds() {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) { compare(t, in) })
}

// Both packages encode Go values alike, nil and empty ones too.
func TestEncodeAgree(t *testing.T) {
	var nilInner *inner
	for _, v := range []any{
		uint64(0), "", []byte(nil), []string(nil), nilInner, (*uint64)(nil), (*big.Int)(nil), (*[2]byte)(nil), (*[2]uint64)(nil), (*[]byte)(nil),
		nested{}, nils{}, optional{}, optional{C: []uint16{}}, optional{B: []byte{}}, optional{D: new(big.Int)}, optional{E: &inner{}},
		tailed[uint64]{}, tailed[uint64]{Rest: []uint64{0}}, tailed[uint64]{B: 1, Rest: []uint64{}}, tree{}, []any{uint64(1), "a", []any{}},
		struct {
			A *inner
			B *[3]byte
			C *bool
		}{},
	} {
		ours, ourErr := rlp.Encode(v)
		theirs, theirErr := gethrlp.EncodeToBytes(v)
		if ourErr != nil || theirErr != nil || !bytes.Equal(ours, theirs) {
			t.Errorf("%T %v encodes as\nparley:      %x %v\ngo-ethereum: %x %v", v, v, ours, ourErr, theirs, theirErr)
		}
	}
}

// Each known difference is one: the table does not outlive its reasons.
func TestKnownDifferences(t *testing.T) {
	deep := []byte{0xc0}
	for range 100 {
		deep = append(rlp.AppendList(nil, len(deep)), deep...)
	}
	many := append(rlp.AppendList(nil, 20_000), bytes.Repeat([]byte{0x80}, 20_000)...)
	type lists []lists
	for i, r := range []struct {
		in []byte
		p  pair
	}{
		{many, same[[][]byte]()},
		{deep, same[lists]()},
		{[]byte{0x81, 0x00}, pair{new(rlp.Raw), new(gethrlp.RawValue)}},
	} {
		ours, theirs := rlp.Decode(r.in, r.p.ours), gethrlp.DecodeBytes(r.in, r.p.theirs)
		if d := knownDifferences[i]; !d.excuses(r.p, ours, theirs) {
			t.Errorf("%s: parley says %v, go-ethereum %v", d.why, ours, theirs)
		}
	}
}
