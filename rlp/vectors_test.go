package rlp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A vector is one case of the RLPTests; see testdata/README.md.
type vector struct {
	In  any    `json:"in"`
	Out string `json:"out"`
}

// vectors reads a file of which n cases are expected.
func vectors(t *testing.T, file string, n int) map[string]vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var vs map[string]vector
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&vs); err != nil {
		t.Fatal(err)
	}
	if len(vs) != n {
		t.Fatalf("%s has %d vectors, want %d", file, len(vs), n)
	}
	return vs
}

func (v vector) encoding(t *testing.T) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(v.Out, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goValue turns the input of a vector into values that Encode knows.
func goValue(t *testing.T, in any) any {
	t.Helper()
	switch in := in.(type) {
	case json.Number:
		n, ok := new(big.Int).SetString(in.String(), 10)
		if !ok {
			t.Fatalf("bad number %q", in)
		}
		return n
	case string:
		if digits, ok := strings.CutPrefix(in, "#"); ok {
			return goValue(t, json.Number(digits))
		}
		return in
	case []any:
		list := make([]any, len(in))
		for i := range in {
			list[i] = goValue(t, in[i])
		}
		return list
	}
	t.Fatalf("bad input of type %T", in)
	return nil
}

// decodeLike reads an item with the cursor, as what want is.
func decodeLike(c *Cursor, want any) (any, error) {
	switch want.(type) {
	case *big.Int:
		return c.BigInt()
	case string:
		s, err := c.Bytes()
		return string(s), err
	}
	items, err := c.List()
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, w := range want.([]any) {
		x, err := decodeLike(&items, w)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, items.End()
}

// same compares the values that goValue makes.
func same(a, b any) bool {
	switch a := a.(type) {
	case *big.Int:
		b, ok := b.(*big.Int)
		return ok && a.Cmp(b) == 0
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return a == b
}

// Each valid vector is written and read back as the tests of Ethereum say.
func TestVectorsValid(t *testing.T) {
	for name, v := range vectors(t, "rlptest.json", 28) {
		t.Run(name, func(t *testing.T) {
			value, want := goValue(t, v.In), v.encoding(t)
			got, err := Encode(value)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("Encode(%v) = %x, %v; want %x", value, got, err, want)
			}
			if len(got) != cap(got) {
				t.Errorf("Encode allocated %d bytes for %d", cap(got), len(got))
			}
			if err := Valid(want); err != nil {
				t.Errorf("Valid = %v", err)
			}
			c := NewCursor(want)
			back, err := decodeLike(&c, value)
			if err == nil {
				err = c.End()
			}
			if err != nil || !same(back, value) {
				t.Errorf("read back %v, %v; want %v", back, err, value)
			}
			typedVector(t, value, want)
		})
	}
}

// typedVector reads a vector with Decode into the type that fits it.
func typedVector(t *testing.T, value any, enc []byte) {
	t.Helper()
	var err error
	var got any
	switch value := value.(type) {
	case *big.Int:
		got = new(big.Int)
		err = Decode(enc, got)
	case string:
		var s string
		err = Decode(enc, &s)
		got = s
	case []any:
		var raws []Raw
		if err = Decode(enc, &raws); err == nil && len(raws) != len(value) {
			t.Errorf("Decode found %d items, want %d", len(raws), len(value))
		}
		again, encErr := Encode(raws)
		if encErr != nil || !bytes.Equal(again, enc) {
			t.Errorf("items encode to %x, %v; want %x", again, encErr, enc)
		}
		got = value
	}
	if err != nil || !same(got, value) {
		t.Errorf("Decode = %v, %v; want %v", got, err, value)
	}
}

// The vectors that only say VALID are accepted and keep their bytes.
func TestVectorsRandom(t *testing.T) {
	for name, v := range vectors(t, "example.json", 1) {
		if enc := v.encoding(t); v.In != "VALID" || Valid(enc) != nil {
			t.Errorf("%s: Valid(%x) = %v; want nil", name, enc, Valid(enc))
		}
	}
}

// No way of reading accepts an invalid vector.
func TestVectorsInvalid(t *testing.T) {
	// The headers of these are right and the items inside are not.
	inner := map[string]bool{"randomRLP": true}
	for name, v := range vectors(t, "invalidRLPTest.json", 26) {
		t.Run(name, func(t *testing.T) {
			enc := v.encoding(t)
			if err := Valid(enc); err == nil {
				t.Errorf("Valid accepts %x", enc)
			}
			if inner[name] {
				return
			}
			for _, target := range []any{
				new(Raw), new([]byte), new(string), new(uint64), new(big.Int), new(Uint256), new(bool),
				new([1]byte), new([]Raw), new([][]byte), new([]uint64), new(struct{}), new([][32]byte),
			} {
				if err := Decode(enc, target); err == nil {
					t.Errorf("Decode accepts %x as %v", enc, reflect.TypeOf(target).Elem())
				}
			}
		})
	}
}
