package rlp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type (
	octet  byte
	name   string
	hash   [32]byte
	wide   [60]byte // its header has two bytes
	number uint16

	plain struct {
		A uint64
		B string
		c int //nolint:unused // not exported: not encoded
		D []number
		E *uint8
	}
	outer struct {
		plain
		Inner plain
		Big   *big.Int
		Last  big.Int
	}
	skipping struct {
		A uint64
		B chan int `rlp:"-"`
		C bool
	}
	optional struct {
		A uint64
		B uint64   `rlp:"optional"`
		C []uint64 `rlp:"optional"`
		D *hash    `rlp:"optional"`
	}
	tailed struct {
		A    uint64
		Rest []Raw `rlp:"tail"`
	}
	optionalTailed struct {
		A    uint64
		B    uint64   `rlp:"optional"`
		Rest []uint64 `rlp:"tail"`
	}
	nils struct {
		A *uint64  `rlp:"nil"`
		B *plain   `rlp:"nil"`
		C *uint64  `rlp:"nilList"`
		D *plain   `rlp:"nilString"`
		E *[]byte  `rlp:"nil"`
		F *[]hash  `rlp:"nil"`
		G *Raw     `rlp:"nil"`
		H *big.Int `rlp:"nil"`
	}
	tree struct {
		Value    uint64
		Children []tree
	}
	chain struct {
		Value uint64
		Next  *chain `rlp:"nil"`
	}
)

func ptr[T any](v T) *T { return &v }

// Values and their encodings, in both directions. The values are compared as
// they are after decoding, so empty slices are not nil.
func TestTyped(t *testing.T) {
	h := hash(bytes.Repeat([]byte{7}, 32))
	w := wide(bytes.Repeat([]byte{7}, 60))
	hexH, hexW := "a0"+strings.Repeat("07", 32), "b83c"+strings.Repeat("07", 60)
	for _, r := range []struct {
		v   any
		enc string
	}{
		{true, "01"},
		{false, "80"},
		{uint8(200), "81c8"},
		{uint16(0x400), "820400"},
		{uint32(math.MaxUint32), "84ffffffff"},
		{uint64(math.MaxUint64), "88ffffffffffffffff"},
		{uint(5), "05"},
		{uintptr(5), "05"},
		{number(5), "05"},
		{"dog", "83646f67"},
		{name("dog"), "83646f67"},
		{[]byte("dog"), "83646f67"},
		{[]byte{}, "80"},
		{[]octet("dog"), "83646f67"},
		{[3]byte{1, 2, 3}, "83010203"},
		{[3]octet{1, 2, 3}, "83010203"},
		{[1]byte{1}, "01"},
		{[1]byte{0x80}, "8180"},
		{[0]byte{}, "80"},
		{h, hexH},
		{w, hexW},
		{[]hash{h, h}, "f842" + hexH + hexH},
		{[]wide{w, w}, "f87c" + hexW + hexW},
		{[][]hash{{h}, {}}, "e3e1" + hexH + "c0"},
		{[]hash{}, "c0"},
		{[][1]byte{{0}, {0x80}}, "c3008180"},
		{[][2]byte{{0, 1}, {2, 3}}, "c6820001820203"},
		{[2]uint64{1, 1024}, "c401820400"},
		{[2]hash{h, h}, "f842" + hexH + hexH},
		{[]uint16{0, 1, 0xffff}, "c5800182ffff"},
		{[]uint32{0, 1, math.MaxUint32}, "c7800184ffffffff"},
		{[]uint64{0, 1, math.MaxUint64}, "cb800188ffffffffffffffff"},
		{[]uint{0, 1, 128}, "c480018180"},
		{[]uintptr{0, 1, 128}, "c480018180"},
		{[]number{0, 1, 128}, "c480018180"},
		{[]bool{true, false}, "c20180"},
		{[]string{"a", "dog"}, "c56183646f67"},
		{[][]byte{{}, {1}}, "c28001"},
		{[]struct{}{{}, {}}, "c2c0c0"},
		{struct{}{}, "c0"},
		{Uint256{}, "80"},
		{Uint256{31: 1}, "01"},
		{Uint256{30: 4}, "820400"},
		{Uint256(h), hexH},
		{[]Uint256{{30: 4}, {}}, "c482040080"},
		{*big.NewInt(1024), "820400"},
		{big.NewInt(1024), "820400"},
		{ptr(uint64(5)), "05"},
		{ptr(ptr("x")), "78"},
		{[]*uint64{ptr(uint64(0)), ptr(uint64(5))}, "c28005"},
		{Raw(unhex("c20102")), "c20102"},
		{[]Raw{unhex("c20102"), unhex("05")}, "c4c2010205"},
		{plain{A: 1, B: "b", D: []number{2}, E: ptr(uint8(0))}, "c50162c10280"},
		{outer{Inner: plain{D: []number{}, E: ptr(uint8(3))}, Big: new(big.Int), Last: *big.NewInt(300)},
			"c9c48080c0038082012c"},
		{skipping{A: 1, C: true}, "c20101"},
		{optional{A: 1}, "c101"},
		{optional{A: 1, B: 2}, "c20102"},
		{optional{A: 1, C: []uint64{3}}, "c40180c103"},
		{optional{A: 1, C: []uint64{}}, "c30180c0"},
		{optional{A: 1, C: []uint64{}, D: &h}, "e40180c0" + hexH},
		{tailed{A: 1, Rest: []Raw{}}, "c101"},
		{tailed{A: 1, Rest: []Raw{{2}, {0xc0}}}, "c30102c0"},
		{optionalTailed{A: 1}, "c101"},
		{optionalTailed{A: 1, Rest: []uint64{}}, "c20180"},
		{optionalTailed{A: 1, B: 2, Rest: []uint64{}}, "c20102"},
		{optionalTailed{A: 1, Rest: []uint64{3}}, "c3018003"},
		{nils{}, "c880c0c080" + "80c080" + "80"},
		{nils{A: ptr(uint64(1)), B: &plain{D: []number{}, E: ptr(uint8(1))}, C: ptr(uint64(1)), D: &plain{D: []number{}, E: ptr(uint8(1))},
			E: ptr([]byte{1}), F: ptr([]hash{h}), G: ptr(Raw{1}), H: big.NewInt(1)},
			"f101c48080c00101c48080c00101e1" + hexH + "0101"},
		{tree{1, []tree{{2, []tree{}}, {3, []tree{}}}}, "c801c6c202c0c203c0"},
		{chain{1, &chain{2, &chain{3, nil}}}, "c601c402c203c0"},
	} {
		label := fmt.Sprintf("%T %s", r.v, r.enc)
		if len(label) > 60 {
			label = label[:60]
		}
		t.Run(label, func(t *testing.T) { roundTrip(t, r.v, unhex(r.enc)) })
	}
}

// roundTrip encodes v given by value and by pointer, and decodes enc into a fresh
// variable and into one full of something else.
func roundTrip(t *testing.T, v any, enc []byte) {
	t.Helper()
	got, err := Encode(v)
	if err != nil || !bytes.Equal(got, enc) {
		t.Fatalf("Encode(%v) = %x, %v; want %x", v, got, err, enc)
	}
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	if got, err := Append([]byte("x"), p.Interface()); err != nil || string(got) != "x"+string(enc) {
		t.Errorf("Append to x = %x, %v; want 78%x", got, err, enc)
	}
	if got, err := Encode(p.Interface()); err != nil || len(got) != cap(got) {
		t.Errorf("Encode has length %d, capacity %d", len(got), cap(got))
	}
	for range 2 { // the second time over the result of the first
		if err := Decode(enc, p.Interface()); err != nil {
			t.Fatalf("Decode(%x) = %v", enc, err)
		}
		if back := p.Elem().Interface(); !reflect.DeepEqual(back, v) {
			t.Errorf("Decode(%x) = %#v, want %#v", enc, back, v)
		}
	}
	for cut := range enc {
		if err := Decode(enc[:cut], p.Interface()); err == nil {
			t.Errorf("Decode accepts the first %d bytes of %x", cut, enc)
		}
	}
	if err := Decode(append(bytes.Clone(enc), 0x80), p.Interface()); !errors.Is(err, ErrTrailing) {
		t.Errorf("Decode with a byte more = %v, want %v", err, ErrTrailing)
	}
}

// What has one encoding only in one direction.
func TestEncodeOnly(t *testing.T) {
	var nilPlain *plain
	var nilBytes []byte
	var nilHashes []hash
	var fooNil *foo
	for _, r := range []struct {
		v   any
		enc string
	}{
		{nilBytes, "80"},
		{nilHashes, "c0"},
		{nilPlain, "c0"},
		{(*uint64)(nil), "80"},
		{(*big.Int)(nil), "80"},
		{(*Uint256)(nil), "80"},
		{(*hash)(nil), "80"},
		{(*[2]uint64)(nil), "c0"},
		{(**uint64)(nil), "80"},
		{fooNil, "80"},
		{[]any{}, "c0"},
		{[]any{uint64(1), "dog", []any{}, &plain{}, hash{1}}, "ec0183646f67c0c48080c080a001" + strings.Repeat("00", 31)},
		{struct{ V any }{[]byte{1}}, "c101"},
		{struct{ V fmt.Stringer }{name("x")}, "c178"},
	} {
		if got, err := Encode(r.v); err != nil || !bytes.Equal(got, unhex(r.enc)) {
			t.Errorf("Encode(%T %v) = %x, %v; want %s", r.v, r.v, got, err, r.enc)
		}
	}
}

func (n name) String() string { return string(n) }

// Input that does not fit the type is refused with the reason and the place.
func TestDecodeErrors(t *testing.T) {
	for _, r := range []struct {
		into any
		in   string
		want error
		text string
	}{
		{new(uint8), "820100", ErrTooLarge, "rlp: decode uint8: integer too large"},
		{new(plain), "80", ErrExpectedList, "rlp: decode plain: expected a list, found a byte string"},
		{new(plain), "c3 01 62 c0", ErrTooFewElements, "rlp: decode plain.E: list has too few elements"},
		{new(plain), "c5 01 62 c0 80 80", ErrTooManyElements, "rlp: decode plain: list has too many elements"},
		{new(plain), "c8 01 62 c4 01 83010000 80", ErrTruncated, "rlp: decode plain.D: input ends inside an item"},
		{new(plain), "c8 01 62 c4 83010000 80", ErrTooLarge, "rlp: decode plain.D[0]: integer too large"},
		{new(outer), "cb c48080c080 c8 80 80", ErrTruncated, ""},
		{new(outer), "c9 c58080c10080 80 80 80", ErrCanonical, "rlp: decode outer.Inner.D[0]: not canonical: integer begins with zeros"},
		{new([]plain), "ca c48080c080 c48080c0c0", ErrExpectedString, "rlp: decode []rlp.plain[1].E: expected a byte string, found a list"},
		{new([2]uint64), "c1 01", ErrTooFewElements, "rlp: decode [2]uint64[1]: list has too few elements"},
		{new([2]uint64), "c3 010203", ErrTooManyElements, "rlp: decode [2]uint64: list has too many elements"},
		{new([2]uint64), "820102", ErrExpectedList, ""},
		{new(hash), "820102", ErrSize, "rlp: decode hash: byte string of the wrong size: 2 bytes, want 32"},
		{new([]hash), "c3 820102", ErrSize, "rlp: decode []rlp.hash[0]: byte string of the wrong size: 2 bytes, want 32"},
		{new([]hash), "e1 a1" + strings.Repeat("00", 32), ErrTruncated, ""},
		{new([]hash), "e1 c0" + strings.Repeat("00", 32), ErrExpectedString, ""},
		{new([]hash), "e1 9f" + strings.Repeat("01", 31) + "00", ErrSize, ""},
		{new([]hash), "f842 9f" + strings.Repeat("01", 31) + "a1" + strings.Repeat("01", 33), ErrSize, ""},
		{new([]wide), "f83e b83b" + strings.Repeat("00", 59) + "01", ErrSize, ""},
		{new([]uint16), "c4 83010000", ErrTooLarge, ""},
		{new([]uint32), "c6 850100000000", ErrTooLarge, ""},
		{new([]uint64), "ca 89010000000000000000", ErrTooLarge, "rlp: decode []uint64[0]: integer too large"},
		{new([]uint64), "c1 00", ErrCanonical, ""},
		{new([]uint64), "c1 c0", ErrExpectedString, ""},
		{new([]byte), "c101", ErrExpectedString, ""},
		{new(string), "c101", ErrExpectedString, ""},
		{new(big.Int), "8200ff", ErrCanonical, ""},
		{new(Uint256), "a1" + strings.Repeat("01", 33), ErrTooLarge, ""},
		{new(optional), "c5 01 02 c0 80 80", ErrSize, "rlp: decode optional.D: byte string of the wrong size: 0 bytes, want 32"},
		{new(optional), "c0", ErrTooFewElements, "rlp: decode optional.A: list has too few elements"},
		{new(nils), "c8 c0 c0c080 80c08080", ErrExpectedString, "rlp: decode nils.A: expected a byte string, found a list for nil"},
		{new(nils), "c8 80 80c080 80c08080", ErrExpectedList, "rlp: decode nils.B: expected a list, found a byte string for nil"},
		{new(tree), "c4 01 c2 c101", ErrTooFewElements, "rlp: decode tree.Children[0].Children: list has too few elements"},
		{new(plain), "", ErrTruncated, "rlp: decode plain: input ends inside an item"},
		{new(plain), "c4 80 80 c0 80 01", ErrTrailing, "rlp: decode plain: bytes after the item"},
		{new(any), "80", ErrType, "rlp: decode interface {}: unsupported type interface {}: can be encoded, but not decoded"},
		{plain{}, "80", ErrValue, "rlp: decode rlp.plain: unsupported value: not a pointer, or nil"},
		{(*plain)(nil), "80", ErrValue, "rlp: decode *rlp.plain: unsupported value: not a pointer, or nil"},
		{nil, "80", ErrValue, "rlp: decode <nil>: unsupported value: not a pointer, or nil"},
	} {
		err := Decode(unhex(r.in), r.into)
		e, ok := errors.AsType[*Error](err)
		if !errors.Is(err, r.want) || !ok || e.Op != "decode" {
			t.Errorf("Decode(%s) into %T = %v; want an *Error with %v", r.in, r.into, err, r.want)
		} else if r.text != "" && err.Error() != r.text {
			t.Errorf("Decode(%s) into %T says\n\t%q, want\n\t%q", r.in, r.into, err, r.text)
		}
	}
}

// Types without an encoding, and values without one, are errors that say where.
func TestUnsupported(t *testing.T) {
	type selfPointer *selfPointer
	type deepBad struct{ A []struct{ B map[string]int } }
	cycle := []any{nil}
	cycle[0] = cycle
	loop := &chain{Value: 1}
	loop.Next = loop
	for _, r := range []struct {
		v    any
		want error
		text string
	}{
		{int(1), ErrType, "rlp: encode int: unsupported type int: RLP has no signed integers"},
		{struct{ A int64 }{}, ErrType, "rlp: encode struct { A int64 }.A: unsupported type int64: RLP has no signed integers"},
		{deepBad{A: make([]struct{ B map[string]int }, 1)}, ErrType, "rlp: encode deepBad.A[0].B: unsupported type map[string]int"},
		{1.5, ErrType, ""},
		{make(chan int), ErrType, ""},
		{func() {}, ErrType, ""},
		{complex(1, 1), ErrType, ""},
		{netip.Addr{}, ErrType, "rlp: encode Addr: unsupported type netip.Addr: no exported field"},
		{struct{ T time.Time }{}, ErrType, "rlp: encode struct { T time.Time }.T: unsupported type time.Time: no exported field"},
		{new(selfPointer), ErrType, ""},
		{new(*any), ErrType, ""},
		{nil, ErrValue, "rlp: encode any: unsupported value: nil interface"},
		{[]any{nil}, ErrValue, "rlp: encode []interface {}[0]: unsupported value: nil interface"},
		{Raw{}, ErrValue, "rlp: encode Raw: unsupported value: Raw is not exactly one item"},
		{Raw{1, 2}, ErrValue, ""},
		{[]Raw{{0x81, 1}}, ErrValue, ""},
		{big.NewInt(-1), ErrNegative, "rlp: encode Int: negative integer"},
		{cycle, ErrDepth, ""},
		{loop, ErrDepth, ""},

		{struct {
			A uint `rlp:"optional"`
			B uint
		}{}, ErrType, "rlp: encode struct { A uint \"rlp:\\\"optional\\\"\"; B uint }: unsupported type: field B follows an optional one and is not optional"},
		{struct {
			A []uint `rlp:"tail"`
			B uint
		}{}, ErrType, ""},
		{struct {
			A []uint `rlp:"tail,optional"`
		}{}, ErrType, ""},
		{struct {
			A []byte `rlp:"tail"`
		}{}, ErrType, ""},
		{struct {
			A Raw `rlp:"tail"`
		}{}, ErrType, ""},
		{struct {
			A uint `rlp:"nil"`
		}{}, ErrType, ""},
		{struct {
			A uint `rlp:"omitempty"`
		}{}, ErrType, "rlp: encode struct { A uint \"rlp:\\\"omitempty\\\"\" }: unsupported type: field A: tag \"omitempty\" is not known"},
	} {
		b, err := Append([]byte("x"), r.v)
		e, ok := errors.AsType[*Error](err)
		if !errors.Is(err, r.want) || !ok || e.Op != "encode" || string(b) != "x" {
			t.Errorf("Append(%T) = %q, %v; want x and an *Error with %v", r.v, b, err, r.want)
		} else if r.text != "" && err.Error() != r.text {
			t.Errorf("Append(%T) says\n\t%q, want\n\t%q", r.v, err, r.text)
		}
		if errors.Is(r.want, ErrType) {
			target := reflect.New(reflect.TypeOf(r.v))
			if err := Decode(unhex("c3c2c180"), target.Interface()); err == nil {
				t.Errorf("Decode accepts %T", r.v)
			}
		}
	}
}

// A foo encodes and decodes itself.
type foo string

func (f foo) AppendRLP(b []byte) ([]byte, error) {
	if f == "bad" {
		return b, errFoo
	}
	return AppendString(b, "foo:"+string(f)), nil
}

func (f *foo) DecodeRLP(c *Cursor) error {
	s, err := c.Bytes()
	if err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(string(s), "foo:")
	if !ok {
		return errFoo
	}
	*f = foo(rest)
	return nil
}

var errFoo = errors.New("not a foo")

// Methods take the place of the rules for the type wherever it occurs.
func TestSelf(t *testing.T) {
	type holder struct {
		V foo
		P *foo
		S []foo
		A [1]foo
		N *foo `rlp:"nil"`
	}
	v := holder{V: "v", P: ptr(foo("p")), S: []foo{"s", "t"}, A: [1]foo{"a"}}
	want := "e3" + "85666f6f3a76" + "85666f6f3a70" + "cc85666f6f3a7385666f6f3a74" + "c685666f6f3a61" + "80"
	// An Appender's size is not known beforehand, so only the bytes are compared.
	for _, given := range []any{v, &v} {
		if got, err := Encode(given); err != nil || !bytes.Equal(got[1:], unhex(want)[1:]) {
			t.Errorf("Encode = %x, %v; want %s", got, err, want)
		}
	}
	enc, _ := Encode(v)
	var back holder
	if err := Decode(enc, &back); err != nil || !reflect.DeepEqual(back, v) {
		t.Errorf("Decode = %v, %v; want %v", back, err, v)
	}
	if _, err := Encode([]foo{"ok", "bad"}); !errors.Is(err, errFoo) || err.Error() != "rlp: encode []rlp.foo[1]: not a foo" {
		t.Errorf("Encode = %v, want the Appender's error", err)
	}
	if err := Decode(unhex("c2 80 80"), &back); !errors.Is(err, errFoo) || err.Error() != "rlp: decode holder.V: not a foo" {
		t.Errorf("Decode = %v, want the Decoder's error", err)
	}
}

// A reader reads as many items as its value says.
type reader int

func (r *reader) DecodeRLP(c *Cursor) error {
	for range int(*r) {
		if err := c.Skip(); err != nil {
			return err
		}
	}
	return nil
}

// A Decoder that reads less or more than its item is an error, and it cannot
// read behind the list it is in.
func TestDecoderReadsOneItem(t *testing.T) {
	for _, r := range []struct {
		reads int
		in    string
		into  func(r reader) any
		want  error
	}{
		{0, "01", func(r reader) any { return &r }, ErrDecoder},
		{1, "01", func(r reader) any { return &r }, nil},
		{2, "01", func(r reader) any { return &r }, ErrTruncated}, // there is nothing more
		{0, "c201c0", func(r reader) any { return &[2]reader{r, 1} }, ErrDecoder},
		{1, "c201c0", func(r reader) any { return &[2]reader{r, 1} }, nil},
		{2, "c201c0", func(r reader) any { return &[2]reader{r, 1} }, ErrDecoder},
		{3, "c4c201c002", func(r reader) any { return &[1][2]reader{{r, 1}} }, ErrTooFewElements},
	} {
		if err := Decode(unhex(r.in), r.into(reader(r.reads))); !errors.Is(err, r.want) || (err == nil) != (r.want == nil) {
			t.Errorf("%d items of %s: %v, want %v", r.reads, r.in, err, r.want)
		}
	}
}

// A Decoder may use Decode for parts of its item; the paths of both errors show.
type part struct{ inner optional }

func (p *part) DecodeRLP(c *Cursor) error {
	l, err := c.List()
	if err != nil {
		return err
	}
	if err := l.Decode(&p.inner); err != nil {
		return err
	}
	return l.End()
}

func TestCursorDecode(t *testing.T) {
	var v struct{ P []part }
	if err := Decode(unhex("c5c4c3c20102"), &v); err != nil || v.P[0].inner.B != 2 {
		t.Errorf("Decode = %v, %v; want B = 2", v, err)
	}
	err := Decode(unhex("c6c5c4c3010202"), &v)
	want := "rlp: decode struct { P []rlp.part }.P[0]: decode optional.C: expected a list, found a byte string"
	if !errors.Is(err, ErrExpectedList) || err.Error() != want {
		t.Errorf("Decode says %q, want %q", err, want)
	}

	c := NewCursor(unhex("c20102 c0 c103"))
	var o optional
	if err := c.Decode(&o); err != nil || o.A != 1 || o.B != 2 {
		t.Errorf("first item: %v, %v; want 1, 2", o, err)
	}
	if err := c.Decode(&o); !errors.Is(err, ErrTooFewElements) || c.Len() != 3 {
		t.Errorf("second item: %v with %d bytes left; want %v and 3", err, c.Len(), ErrTooFewElements)
	}
	c.Skip()
	if err := c.Decode(&o); err != nil || o.A != 3 || o.B != 0 || c.More() {
		t.Errorf("third item: %v, %v; want 3, 0", o, err)
	}
	if err := c.Decode(&o); !errors.Is(err, ErrTruncated) {
		t.Errorf("no item: %v; want %v", err, ErrTruncated)
	}
}

// Decode writes into no memory that the value referred to before, and keeps none
// of the input but for Raw.
func TestDecodeFresh(t *testing.T) {
	type all struct {
		B []byte
		S []uint64
		P *uint64
		N *big.Int
		V big.Int
		T string
		H []hash
		R Raw
	}
	v := all{[]byte{9, 9}, []uint64{9, 9}, ptr(uint64(9)), big.NewInt(9), *big.NewInt(9), "9", []hash{{9}}, Raw{9}}
	before := v
	enc := unhex("ee 8181 c20304 05 06 07 62 e1a0" + strings.Repeat("08", 32) + "820a0a")
	if err := Decode(enc, &v); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before.B, []byte{9, 9}) || !slices.Equal(before.S, []uint64{9, 9}) || *before.P != 9 ||
		before.N.Int64() != 9 || before.V.Int64() != 9 || before.H[0] != (hash{9}) || before.R[0] != 9 {
		t.Errorf("Decode wrote into what the old value refers to: %v", before)
	}
	clear(enc)
	if v.B[0] != 0x81 || v.T != "b" || v.H[0][31] != 8 || v.N.Int64() != 6 || v.V.Int64() != 7 {
		t.Errorf("Decode kept the input: %v", v)
	}
	if !bytes.Equal(v.R, []byte{0, 0, 0}) {
		t.Errorf("Raw is %x; want it to alias the input, now zeros", v.R)
	}
	u := Uint256{1, 2, 3}
	if err := Decode(unhex("05"), &u); err != nil || u != (Uint256{31: 5}) {
		t.Errorf("Uint256 is %x, %v; want 5", u, err)
	}
}

// A type with a fault is one only where the fault is reached.
func TestFaultyBranch(t *testing.T) {
	type iface struct {
		A uint64
		V any
	}
	if b, err := Encode(&iface{1, "x"}); err != nil || !bytes.Equal(b, unhex("c20178")) {
		t.Errorf("Encode = %x, %v; want c20178", b, err)
	}
	if err := Decode(unhex("c20178"), new(iface)); !errors.Is(err, ErrType) {
		t.Errorf("Decode = %v, want %v", err, ErrType)
	}
}
