package enode

import (
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestID(t *testing.T) {
	id := PubkeyID(key(t).Public())
	if id.String() != specID || id.TerminalString() != specID[:16] {
		t.Errorf("String %s, TerminalString %s", id, id.TerminalString())
	}
	for _, s := range []string{specID, "0x" + specID, "0X" + specID, strings.ToUpper(specID)} {
		if got, err := ParseID(s); err != nil || got != id {
			t.Errorf("ParseID(%s) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "0x", specID[:63], specID + "0", "0x0x" + specID[:60], specID[:63] + "g", " " + specID[:63], "1x" + specID[2:]} {
		if got, err := ParseID(s); err == nil {
			t.Errorf("ParseID(%q) = %v, want an error", s, got)
		}
	}
}

// IDs are readable in JSON, also as keys, as nodes.json has them.
func TestIDText(t *testing.T) {
	id := PubkeyID(key(t).Public())
	b, err := json.Marshal(map[ID]ID{id: id})
	if want := `{"` + specID + `":"` + specID + `"}`; err != nil || string(b) != want {
		t.Fatalf("Marshal = %s, %v; want %s", b, err, want)
	}
	var back map[ID]ID
	if err := json.Unmarshal(b, &back); err != nil || back[id] != id {
		t.Errorf("Unmarshal = %v, %v", back, err)
	}
	kept := id
	if err := kept.UnmarshalText([]byte("x")); err == nil || kept != id {
		t.Errorf("after a failed UnmarshalText (%v) the ID is %v", err, kept)
	}
}

func anyID(t *rapid.T, label string) ID {
	return ID(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
}

// nearID draws an ID that shares a prefix of any length with id.
func nearID(t *rapid.T, id ID, label string) ID {
	for i := rapid.IntRange(0, 32).Draw(t, label+" prefix"); i < 32; i++ {
		id[i] ^= rapid.Byte().Draw(t, label)
	}
	return id
}

func xor(a, b ID) *big.Int {
	for i := range a {
		a[i] ^= b[i]
	}
	return new(big.Int).SetBytes(a[:])
}

func TestLogDistance(t *testing.T) {
	var zero ID
	if got := LogDistance(zero, zero); got != 0 {
		t.Errorf("distance to itself %d, want 0", got)
	}
	for bit := range 256 {
		var id ID
		id[bit/8] = 0x80 >> (bit % 8)
		if got, want := LogDistance(zero, id), 256-bit; got != want {
			t.Errorf("first difference in bit %d: distance %d, want %d", bit, got, want)
		}
		for i := bit/8 + 1; i < 32; i++ {
			id[i] = 0xff // what follows does not matter
		}
		if got, want := LogDistance(id, zero), 256-bit; got != want {
			t.Errorf("first difference in bit %d, then ones: distance %d, want %d", bit, got, want)
		}
	}
}

// Distances are those of the integer a XOR b.
func TestDistanceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := anyID(t, "target")
		a, b := nearID(t, target, "a"), nearID(t, target, "b")
		da, db := xor(target, a), xor(target, b)
		if got := LogDistance(target, a); got != da.BitLen() || got != LogDistance(a, target) {
			t.Fatalf("LogDistance = %d, reversed %d, want %d", got, LogDistance(a, target), da.BitLen())
		}
		if got := CompareDistance(target, a, b); got != da.Cmp(db) || got != -CompareDistance(target, b, a) {
			t.Fatalf("CompareDistance = %d, reversed %d, want %d", got, CompareDistance(target, b, a), da.Cmp(db))
		}
		if la, lb := LogDistance(target, a), LogDistance(target, b); la < lb && CompareDistance(target, a, b) >= 0 {
			t.Fatalf("log distance %d is less than %d, but CompareDistance is %d", la, lb, CompareDistance(target, a, b))
		}
		if got := CompareDistance(target, a, a); got != 0 {
			t.Fatalf("CompareDistance of one ID = %d", got)
		}
		if got, want := a.Compare(b), xor(a, ID{}).Cmp(xor(b, ID{})); got != want {
			t.Fatalf("Compare = %d, want %d", got, want)
		}
	})
}

// CompareDistance is an order that sorting can use: the nearest comes first.
func TestSortByDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := anyID(t, "target")
		ids := make([]ID, rapid.IntRange(2, 20).Draw(t, "n"))
		for i := range ids {
			ids[i] = nearID(t, target, "id")
		}
		slices.SortFunc(ids, func(a, b ID) int { return CompareDistance(target, a, b) })
		for i := 1; i < len(ids); i++ {
			if xor(target, ids[i-1]).Cmp(xor(target, ids[i])) > 0 {
				t.Fatalf("%v comes before %v", ids[i-1], ids[i])
			}
		}
	})
}

func TestDistanceAllocs(t *testing.T) {
	a, b := ID{1}, ID{2}
	n := testing.AllocsPerRun(100, func() {
		_, _ = LogDistance(a, b), CompareDistance(a, b, a)
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkLogDistance(b *testing.B) {
	x, y := ID{31: 1}, ID{31: 2}
	for b.Loop() {
		_ = LogDistance(x, y)
	}
}

func BenchmarkCompareDistance(b *testing.B) {
	target, x, y := ID{1}, ID{1, 31: 1}, ID{1, 31: 2}
	for b.Loop() {
		_ = CompareDistance(target, x, y)
	}
}
