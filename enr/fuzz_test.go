package enr

import (
	"bytes"
	"strings"
	"testing"

	"parley/rlp"
)

// Whatever bytes are accepted are the encoding of the record.
func FuzzParseBytes(f *testing.F) {
	for _, c := range badRecords(f) {
		f.Add(c.record)
	}
	good, err := Parse(fields(f, "testdata/eip778.txt")["enr"])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseBytes(b)
		if err != nil {
			return
		}
		check(t, r)
		if !bytes.Equal(r.Bytes(), b) {
			t.Errorf("%x is kept as %x", b, r.Bytes())
		}
	})
}

// Whatever text is accepted is the text of the record.
func FuzzParse(f *testing.F) {
	text := fields(f, "testdata/eip778.txt")["enr"]
	f.Add(text)
	f.Add(" " + text + "\n")
	f.Add(text + "=")
	f.Add("enr:")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		check(t, r)
		if r.String() != strings.TrimSpace(s) {
			t.Errorf("%q has the text %s", s, r)
		}
	})
}

// FuzzSigned gets behind the signature: it signs whatever content there is.
func FuzzSigned(f *testing.F) {
	good, err := Parse(fields(f, "testdata/eip778.txt")["enr"])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.raw[4+64:])
	for _, c := range badRecords(f) {
		if len(c.record) > 68 {
			f.Add(c.record[68:])
		}
	}
	key := specKey(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		b := forge(t, key, content)
		r, err := ParseBytes(b)
		if err != nil {
			return
		}
		check(t, r)
		if r.PublicKey() != key.Public() || !bytes.Equal(r.Bytes(), b) {
			t.Errorf("%x is kept as %v", b, r)
		}
	})
}

// check asserts what is true of every record.
func check(t *testing.T, r *Record) {
	t.Helper()
	if r.Len() > SizeLimit {
		t.Errorf("a record of %d bytes", r.Len())
	}
	size, last, n := 0, "", 0
	for k, value := range r.Entries() {
		if n > 0 && k <= last {
			t.Errorf("%q comes after %q", k, last)
		}
		var raw rlp.Raw
		if err := r.Load(With(k, &raw)); err != nil || !bytes.Equal(raw, value) {
			t.Errorf("entry %q = %x, %v; want %x", k, raw, err, value)
		}
		size += rlp.StringSize(k) + len(value)
		n, last = n+1, k
	}
	if size != r.Len()-r.pairs {
		t.Errorf("entries take %d bytes of %d", size, r.Len()-r.pairs)
	}
	var id ID
	var key Secp256k1
	if err := r.Load(&id); err != nil || id != schemeV4 {
		t.Errorf("id = %q, %v", id, err)
	}
	if err := r.Load(&key); err != nil || key != Secp256k1(r.PublicKey()) {
		t.Errorf("secp256k1 = %x, %v", key, err)
	}
	// Every value can be tried as every type.
	for k := range r.Entries() {
		for _, v := range []any{new(IP4), new(IP6), new(TCP), new(string), new([]string), new(forkID), new(Secp256k1)} {
			_ = r.Load(With(k, v))
		}
	}
}
