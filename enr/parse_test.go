package enr

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"parley/internal/secp"
	"parley/rlp"
)

var update = flag.Bool("update", false, "write the golden file anew")

// forge returns a record of the given items after the signature, signed by key
// whatever they are.
func forge(t testing.TB, key *secp.PrivateKey, content []byte) []byte {
	t.Helper()
	sig, err := key.Sign(digest(content))
	if err != nil {
		t.Fatal(err)
	}
	return list(rlp.AppendBytes(nil, sig[:64]), content)
}

// list returns the items as a list.
func list(items ...[]byte) []byte {
	payload := bytes.Join(items, nil)
	return append(rlp.AppendList(nil, len(payload)), payload...)
}

func str(s string) []byte { return rlp.AppendString(nil, s) }

// join returns items one after the other.
func join(items ...[]byte) []byte { return bytes.Join(items, nil) }

// bad is a record that must be refused, and why.
type bad struct {
	name   string
	record []byte
	want   error
}

// badRecords returns the hostile records of row F10 and others. All but those
// about the signature are signed, so that nothing but their fault speaks against
// them.
func badRecords(t testing.TB) []bad {
	key := specKey(t)
	pub := key.Public()
	compressed := pub.Compress()
	var (
		seq    = rlp.AppendUint(nil, 1)
		id     = join(str("id"), str("v4"))
		pubkey = join(str("secp256k1"), str(string(compressed[:])))
	)
	good := forge(t, key, join(seq, id, pubkey))
	sign := func(items ...[]byte) []byte { return forge(t, key, join(items...)) }
	withKey := func(k []byte) []byte { return sign(seq, id, str("secp256k1"), str(string(k))) }

	// A value that brings the record to 300 bytes, and one byte more.
	filler := make([]byte, SizeLimit-len(good)-len(str("z"))-3) // two headers grow
	if full := sign(seq, id, pubkey, str("z"), rlp.AppendBytes(nil, filler)); len(full) != SizeLimit {
		t.Fatalf("full record has %d bytes, want %d", len(full), SizeLimit)
	} else if _, err := ParseBytes(full); err != nil {
		t.Fatalf("record of %d bytes: %v", len(full), err)
	}
	over := sign(seq, id, pubkey, str("z"), rlp.AppendBytes(nil, append(filler, 0)))
	if len(over) != SizeLimit+1 {
		t.Fatalf("oversized record has %d bytes", len(over))
	}

	highS := bytes.Clone(good)
	negateS(highS[4+32 : 4+64])
	other, err := secp.ParsePrivateKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	sigAndRest := func(sig []byte) []byte { return list(rlp.AppendBytes(nil, sig), seq, id, pubkey) }

	offCurve := bytes.Clone(compressed[:])
	for secpOK(offCurve) {
		offCurve[32]++
	}
	return []bad{
		{"301 bytes", over, ErrTooLarge},
		{"empty input", nil, rlp.ErrTruncated},
		{"string", str("record"), rlp.ErrExpectedList},
		{"empty list", list(), rlp.ErrTooFewElements},
		{"byte after the list", append(bytes.Clone(good), 0), rlp.ErrTrailing},
		{"last byte missing", good[:len(good)-1], rlp.ErrTruncated},
		{"record in a list", list(good), rlp.ErrExpectedString},
		{"length in two bytes", append([]byte{0xf9, 0}, good[1:]...), rlp.ErrCanonical},

		{"signature only", list(str(strings.Repeat("s", 64))), rlp.ErrTooFewElements},
		{"signature is a list", list(list(), seq, id, pubkey), rlp.ErrExpectedString},
		{"signature of 63 bytes", sigAndRest(good[4 : 4+63]), ErrSignature},
		{"signature of 65 bytes", sigAndRest(append(bytes.Clone(good[4:4+64]), 0)), ErrSignature},
		{"signature empty", sigAndRest(nil), ErrSignature},
		{"signature zero", sigAndRest(make([]byte, 64)), ErrSignature},
		{"signature all ones", sigAndRest(bytes.Repeat([]byte{0xff}, 64)), ErrSignature},
		{"signature of another key", forge(t, other, join(seq, id, pubkey)), ErrSignature},
		{"signature with high s", highS, ErrSignature},
		{"signed with another seq", list(good[2:4+64], rlp.AppendUint(nil, 2), id, pubkey), ErrSignature},

		{"seq is a list", sign(list(), id, pubkey), rlp.ErrExpectedString},
		{"seq with leading zero", sign([]byte{0x82, 0, 1}, id, pubkey), rlp.ErrCanonical},
		{"seq zero as a byte", sign([]byte{0}, id, pubkey), rlp.ErrCanonical},
		{"seq one in two bytes", sign([]byte{0x81, 1}, id, pubkey), rlp.ErrCanonical},
		{"seq of 65 bits", sign([]byte{0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0}, id, pubkey), rlp.ErrTooLarge},

		{"no entries", sign(seq), ErrScheme},
		{"no id", sign(seq, pubkey), ErrScheme},
		{"id v5", sign(seq, str("id"), str("v5"), pubkey), ErrScheme},
		{"id is a list", sign(seq, str("id"), list(str("v4")), pubkey), ErrScheme},
		{"unsorted", sign(seq, pubkey, id), ErrKeyOrder},
		{"unsorted ip", sign(seq, id, str("ip6"), str("x"), str("ip"), str("x"), pubkey), ErrKeyOrder},
		{"duplicate id", sign(seq, id, id, pubkey), ErrDuplicateKey},
		{"duplicate unknown", sign(seq, str("a"), str(""), str("a"), str(""), id, pubkey), ErrDuplicateKey},
		{"duplicate empty key", sign(seq, str(""), str(""), str(""), str(""), id, pubkey), ErrDuplicateKey},
		{"key is a list", sign(seq, list(), str(""), id, pubkey), rlp.ErrExpectedString},
		{"key without value", sign(seq, id, pubkey, str("tcp")), rlp.ErrTooFewElements},
		{"key not canonical", sign(seq, []byte{0x81, 'a'}, str(""), id, pubkey), rlp.ErrCanonical},
		{"value not canonical", sign(seq, str("a"), []byte{0x81, 1}, id, pubkey), rlp.ErrCanonical},
		{"value beyond the list", list(good[2:4+64], seq, id, str("secp256k1"), []byte{0xb8, 0xff}), rlp.ErrTruncated},
		{"length of 2^64-1", list(good[2:4+64], seq, id, str("z"), bytes.Repeat([]byte{0xff}, 9)), rlp.ErrTruncated},

		{"no secp256k1", sign(seq, id), ErrPublicKey},
		{"secp256k1 empty", withKey(nil), ErrPublicKey},
		{"secp256k1 of 64 bytes", withKey(pub[:]), ErrPublicKey},
		{"secp256k1 a list", sign(seq, id, str("secp256k1"), list(str(string(compressed[:])))), ErrPublicKey},
		{"secp256k1 off the curve", withKey(offCurve), ErrPublicKey},
		{"secp256k1 format 04", withKey(append([]byte{4}, compressed[1:]...)), ErrPublicKey},
		{"secp256k1 zero", withKey(make([]byte, 33)), ErrPublicKey},
		{"secp256k1 X above P", withKey(append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)), ErrPublicKey},
		{"secp256k1 Y negated", withKey(append([]byte{compressed[0] ^ 1}, compressed[1:]...)), ErrSignature},
	}
}

func secpOK(b []byte) bool {
	_, err := secp.ParsePublicKey(b)
	return err == nil
}

// negateS replaces s by N-s, which signs the same message for whoever allows it.
func negateS(s []byte) {
	order, _ := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	borrow := 0
	for i := 31; i >= 0; i-- {
		d := int(order[i]) - int(s[i]) - borrow
		borrow = 0
		if d < 0 {
			d, borrow = d+256, 1
		}
		s[i] = byte(d)
	}
}

// F10, G4: each bad record is refused for its own fault. The golden file shows
// the records and the words.
func TestRefused(t *testing.T) {
	var got strings.Builder
	for _, c := range badRecords(t) {
		t.Run("F10/"+c.name, func(t *testing.T) {
			r, err := ParseBytes(c.record)
			if !errors.Is(err, c.want) {
				t.Fatalf("%x: %v, want %v", c.record, err, c.want)
			}
			if r != nil {
				t.Errorf("returned a record with the error %v", err)
			}
			if !errors.Is(c.want, ErrTooLarge) {
				if _, err := Parse(prefix + encoding.EncodeToString(c.record)); !errors.Is(err, c.want) {
					t.Errorf("as text: %v, want %v", err, c.want)
				}
			}
			fmt.Fprintf(&got, "%s\n    %x\n    %v\n", c.name, c.record, err)
		})
	}
	const file = "testdata/refused.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("differs from %s; got\n%s", file, &got)
	}
}

// F10: the highest sequence number is as good as any. What to do about the jump
// is for whoever keeps the table.
func TestSeqLimits(t *testing.T) {
	for _, seq := range []uint64{0, 1, 127, 128, 1 << 32, math.MaxUint64} {
		signed, err := Sign(specKey(t), seq)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseBytes(signed.Bytes())
		if err != nil || r.Seq() != seq || signed.Seq() != seq {
			t.Errorf("seq %d: %v, %v", seq, r, err)
		}
	}
}

// No bit of a record can be changed, nor its end cut off.
func TestTampered(t *testing.T) {
	good, err := Parse(fields(t, "testdata/eip778.txt")["enr"])
	if err != nil {
		t.Fatal(err)
	}
	for i := range good.Len() {
		for bit := range 8 {
			b := good.Bytes()
			b[i] ^= 1 << bit
			if _, err := ParseBytes(b); err == nil {
				t.Errorf("accepted with bit %d of byte %d flipped", bit, i)
			}
		}
		if _, err := ParseBytes(good.Bytes()[:i]); err == nil {
			t.Errorf("accepted when cut to %d bytes", i)
		}
	}
}

// A record has one text.
func TestTextRefused(t *testing.T) {
	text := fields(t, "testdata/eip778.txt")["enr"]
	data := strings.TrimPrefix(text, prefix)
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", `enr: parse: text does not start with "enr:"`},
		{"prefix only", "enr:", "enr: parse: rlp: input ends inside an item"},
		{"no prefix", data, `enr: parse: text does not start with "enr:"`},
		{"upper-case prefix", "ENR:" + data, `enr: parse: text does not start with "enr:"`},
		{"slashes", "enr://" + data, "enr: parse: not URL-safe base64"},
		{"padding", text + "=", "enr: parse: base64 with padding"},
		{"newline inside", text[:40] + "\n" + text[40:], "enr: parse: line break in base64"},
		{"return inside", text[:40] + "\r" + text[40:], "enr: parse: line break in base64"},
		{"space inside", text[:40] + " " + text[40:], "enr: parse: not URL-safe base64"},
		{"space after the prefix", "enr: " + data, "enr: parse: not URL-safe base64"},
		{"standard alphabet", strings.ReplaceAll(strings.ReplaceAll(text, "-", "+"), "_", "/"), "enr: parse: not URL-safe base64"},
		{"bits after the end", text[:len(text)-1] + "9", "enr: parse: not URL-safe base64"},
		{"cut", text[:len(text)-1], "enr: parse: not URL-safe base64"},
		{"character added", text + "A", "enr: parse: rlp: bytes after the item"},
		{"too long", "enr:" + strings.Repeat("A", 401), "enr: parse: record is larger than 300 bytes"},
		{"megabytes", "enr:" + strings.Repeat("A", 1<<22), "enr: parse: record is larger than 300 bytes"},
	} {
		r, err := Parse(c.text)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, %v; want error %s", c.name, r, err, c.want)
		}
	}
	for _, s := range []string{text, " " + text, text + "\n", "\t" + text + " \r\n"} {
		if r, err := Parse(s); err != nil || r.String() != text {
			t.Errorf("Parse(%q) = %v, %v", s, r, err)
		}
	}
}

// The record does not change with the bytes it was read from, nor with those it
// gives out.
func TestImmutable(t *testing.T) {
	text := fields(t, "testdata/eip778.txt")["enr"]
	good, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	in := good.Bytes()
	r, err := ParseBytes(in)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(b []byte) {
		for i := range b {
			b[i] = 0xee
		}
	}
	spoil(in)
	spoil(r.Bytes())
	for _, value := range r.Entries() {
		spoil(value)
	}
	var raw rlp.Raw
	if err := r.Load(With("udp", &raw)); err != nil {
		t.Fatal(err)
	}
	spoil(raw)
	if b, err := r.AppendRLP(nil); err != nil {
		t.Fatal(err)
	} else {
		spoil(b)
	}
	if r.String() != text {
		t.Errorf("the record is now %s", r)
	}
}

// Refusing costs little memory, whatever is refused: nothing is allocated for the
// size of the input.
func TestMemory(t *testing.T) {
	huge := bytes.Repeat([]byte{0xff}, 16<<20)
	text := prefix + strings.Repeat("A", 16<<20)
	refusals := map[string]func(){
		"16 MiB":       func() { ParseBytes(huge) },
		"16 MiB, text": func() { Parse(text) },
	}
	for _, c := range badRecords(t) {
		refusals[c.name] = func() { ParseBytes(c.record) }
	}
	const rounds = 10
	for name, refuse := range refusals {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			refuse()
		}
		runtime.ReadMemStats(&after)
		if per := (after.TotalAlloc - before.TotalAlloc) / rounds; per > 4<<10 {
			t.Errorf("%s: %d bytes allocated, want at most 4 KiB", name, per)
		}
	}
}

func TestAllocs(t *testing.T) {
	b, err := Parse(fields(t, "testdata/eip778.txt")["enr"])
	if err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	if n := testing.AllocsPerRun(50, func() { ParseBytes(raw) }); n > 12 { // 9 of them in the curve's back end
		t.Errorf("ParseBytes: %v allocations, want at most 12", n)
	}
	if n := testing.AllocsPerRun(50, func() { b.Has("udp") }); n != 0 {
		t.Errorf("Has: %v allocations, want 0", n)
	}
	buf := make([]byte, 0, SizeLimit)
	if n := testing.AllocsPerRun(50, func() { b.AppendRLP(buf) }); n != 0 {
		t.Errorf("AppendRLP: %v allocations, want 0", n)
	}
}

func BenchmarkParseBytes(b *testing.B) {
	r, err := Parse(fields(b, "testdata/eip778.txt")["enr"])
	if err != nil {
		b.Fatal(err)
	}
	raw := r.Bytes()
	b.ReportAllocs()
	for b.Loop() {
		ParseBytes(raw)
	}
}
