package eth

import (
	"encoding/hex"
	"errors"
	"testing"

	"parley/rlp"
)

// The entry is [[hash, next]]. What later versions may add to the outer list is
// ignored; what must not be there is refused.
func TestEntry(t *testing.T) {
	want := Entry{ForkID{Hash: 0xdeadbeef, Next: 0xbaddcafe}}
	b, err := rlp.Encode(want)
	if got := hex.EncodeToString(b); err != nil || got != "cbca84deadbeef84baddcafe" {
		t.Errorf("encoding: %s, %v", got, err)
	}
	for _, tt := range []struct {
		name, input string
		want        error
	}{
		{"as written", "cbca84deadbeef84baddcafe", nil},
		{"one more element", "ccca84deadbeef84baddcafe05", nil},
		{"two more, one a list", "cfca84deadbeef84baddcafe" + "05c20102", nil},
		{"cut in what is ignored", "ccca84deadbeef84baddcafe81", rlp.ErrTruncated},
		{"empty", "c0", rlp.ErrTooFewElements},
		{"not nested", "ca84deadbeef84baddcafe", rlp.ErrExpectedList},
		{"long fork id", "cccb84deadbeef84baddcafe05", rlp.ErrTooManyElements},
		{"short hash", "cac983adbeef84baddcafe", rlp.ErrSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.input)
			if err != nil {
				t.Fatal(err)
			}
			var e Entry
			err = rlp.Decode(b, &e)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if err == nil && e != want {
				t.Errorf("%v, want %v", e, want)
			}
		})
	}
}

// Whatever is accepted as an entry has a fork id that survives a round trip.
func FuzzEntry(f *testing.F) {
	for _, s := range []string{"cbca84deadbeef84baddcafe", "ccca84deadbeef84baddcafe05", "c0", "c7c684fc64ec0480"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, back Entry
		if rlp.Decode(b, &e) != nil {
			return
		}
		again, err := rlp.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := rlp.Decode(again, &back); err != nil || back != e {
			t.Fatalf("%x: %v, then %v, %v", b, e, back, err)
		}
	})
}
