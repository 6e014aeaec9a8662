package eth

import (
	"encoding/json"
	"strings"
	"testing"
)

const hash64 = "0x9d78f73579811aa17b112188ce020cda4362b0d57a4a339a0c3911c4ace7220c"

// Hashes, fork ids and heads are written as they are read.
func TestTextRoundTrip(t *testing.T) {
	in := struct {
		H Hash
		F ForkID
		A Head
		B Head
	}{A: Head{Number: 600}, B: Head{Number: 600, Time: 1700000000}, F: ForkID{0x07c9462e, 1791294816}}
	if err := in.H.UnmarshalText([]byte(hash64)); err != nil {
		t.Fatal(err)
	}
	in.A.Hash, in.B.Hash = in.H, in.H
	b, err := json.Marshal(in)
	want := `{"H":"` + hash64 + `","F":"0x07c9462e,1791294816","A":"600:` + hash64 + `","B":"600:` + hash64 + `:1700000000"}`
	if err != nil || string(b) != want {
		t.Fatalf("%s, %v\nwant %s", b, err, want)
	}
	out := in
	out.A, out.B, out.F, out.H = Head{}, Head{}, ForkID{}, Hash{}
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("read back as %+v, %v", out, err)
	}
	if h, err := ParseHash(hash64[2:]); err != nil || h != in.H {
		t.Errorf("without 0x: %v, %v", h, err)
	}
	if id, err := ParseForkID("07c9462e, 1791294816"); err != nil || id != in.F {
		t.Errorf("fork id without 0x and with a space: %v, %v", id, err)
	}
}

// A text that is not one is refused with an error that says what is wrong and
// does not repeat it.
func TestTextRefusals(t *testing.T) {
	const evil = "\x1b[2Jevil"
	parse := map[string]func(string) error{
		"hash": func(s string) error { _, err := ParseHash(s); return err },
		"fork": func(s string) error { _, err := ParseForkID(s); return err },
		"head": func(s string) error { _, err := ParseHead(s); return err },
	}
	for _, tt := range []struct{ kind, input, want string }{
		{"hash", "", "eth: hash: 0 characters, want 64 hex digits"},
		{"hash", hash64 + "0", "eth: hash: 65 characters, want 64 hex digits"},
		{"hash", evil + hash64[2+len(evil):], "eth: hash: not a hex digit"},
		{"fork", "07c9462e", "eth: fork id: want HASH,NEXT"},
		{"fork", "07c9,0", "eth: fork id: hash: 4 characters, want 8 hex digits"},
		{"fork", "07c9462e,-1", "eth: fork id: next: invalid syntax"},
		{"fork", "07c9462e," + evil, "eth: fork id: next: invalid syntax"},
		{"fork", "07c9462e,18446744073709551616", "eth: fork id: next: value out of range"},
		{"head", "600", "eth: head: want NUMBER:HASH or NUMBER:HASH:TIME"},
		{"head", evil + ":" + hash64, "eth: head: number: invalid syntax"},
		{"head", "600:12", "eth: head: hash: 2 characters, want 64 hex digits"},
		{"head", "600:" + hash64 + ":x", "eth: head: time: invalid syntax"},
	} {
		err := parse[tt.kind](tt.input)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s %q: %v, want %s", tt.kind, tt.input, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), evil) {
			t.Errorf("%s %q: error repeats the input", tt.kind, tt.input)
		}
	}
}
