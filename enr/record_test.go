package enr

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"parley/internal/secp"
	"parley/rlp"
)

// forkID is an entry as a protocol defines one: the "eth" entry of
// https://github.com/ethereum/devp2p/blob/master/enr-entries/eth.md.
type forkID struct {
	ForkID struct {
		Hash [4]byte
		Next uint64
	}
	Rest []rlp.Raw `rlp:"tail"`
}

func (forkID) ENRKey() string { return "eth" }

// Entries of all kinds come back from a record as they went in.
func TestLoad(t *testing.T) {
	var eth forkID
	eth.ForkID.Hash, eth.ForkID.Next = [4]byte{0xfc, 0x64, 0xec, 0x04}, 1150000
	ip4, ip6 := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	r, err := Sign(specKey(t), 3, IP(ip4), IP(ip6), TCP(1), UDP(2), TCP6(3), UDP6(4), eth,
		With("custom", []string{"a", "bc"}), With("raw", rlp.Raw{0xc1, 0x05}))
	if err != nil {
		t.Fatal(err)
	}
	var (
		got4   IP4
		got6   IP6
		tcp    TCP
		udp    UDP
		tcp6   TCP6
		udp6   UDP6
		gotEth forkID
		custom []string
		raw    rlp.Raw
	)
	for _, e := range []Entry{&got4, &got6, &tcp, &udp, &tcp6, &udp6, &gotEth, With("custom", &custom), With("raw", &raw)} {
		if err := r.Load(e); err != nil {
			t.Errorf("%s: %v", e.ENRKey(), err)
		}
	}
	if netip.Addr(got4) != ip4 || netip.Addr(got6) != ip6 || tcp != 1 || udp != 2 || tcp6 != 3 || udp6 != 4 {
		t.Errorf("ip %v, ip6 %v, ports %d %d %d %d", netip.Addr(got4), netip.Addr(got6), tcp, udp, tcp6, udp6)
	}
	if gotEth.ForkID != eth.ForkID || !slices.Equal(custom, []string{"a", "bc"}) || !bytes.Equal(raw, []byte{0xc1, 0x05}) {
		t.Errorf("eth %v, custom %q, raw %x", gotEth, custom, raw)
	}
	if !r.Has("udp6") || r.Has("ud") || r.Has("udp7") || r.Has("") {
		t.Error("Has does not tell keys apart")
	}
}

func TestLoadErrors(t *testing.T) {
	r, err := Sign(specKey(t), 1, With("ip", []byte{1, 2, 3}), With("ip6", bytes.Repeat([]byte{9}, 17)),
		With("tcp", uint32(1<<16)), With("udp", []uint16{1}), With("mapped", append(make([]byte, 10), 0xff, 0xff, 1, 2, 3, 4)))
	if err != nil {
		t.Fatal(err)
	}
	mapped := struct{ IP6 }{}
	for _, c := range []struct {
		entry Entry
		want  error
		text  string
	}{
		{new(TCP6), ErrNotFound, `enr: entry "tcp6": not in the record`},
		{With("nope", new(string)), ErrNotFound, `enr: entry "nope": not in the record`},
		{new(IP4), rlp.ErrSize, `enr: entry "ip": `},
		{new(IP6), rlp.ErrSize, `enr: entry "ip6": `},
		{new(TCP), rlp.ErrTooLarge, `enr: entry "tcp": `},
		{new(UDP), rlp.ErrExpectedString, `enr: entry "udp": `},
		{With("mapped", &mapped.IP6), errNotIP6, `enr: entry "mapped": `},
		{With("udp", new(int)), rlp.ErrType, `enr: entry "udp": `},
		{With("udp", nil), rlp.ErrValue, `enr: entry "udp": `},
		{UDP(1), rlp.ErrValue, `enr: entry "udp": `}, // not a pointer
	} {
		err := r.Load(c.entry)
		entryErr, ok := errors.AsType[*EntryError](err)
		if !ok || !errors.Is(err, c.want) || entryErr.Key != c.entry.ENRKey() || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("Load(%T %s) = %v, want %v", c.entry, c.entry.ENRKey(), err, c.want)
		}
	}
}

func TestSignErrors(t *testing.T) {
	key := specKey(t)
	for _, c := range []struct {
		name    string
		entries []Entry
		want    error
		text    string
	}{
		{"duplicate", []Entry{TCP(1), UDP(2), With("tcp", uint8(3))}, ErrDuplicateKey, `enr: entry "tcp": duplicate key`},
		{"id given", []Entry{ID("v4")}, ErrDuplicateKey, `enr: entry "id": duplicate key`},
		{"secp256k1 given", []Entry{Secp256k1(key.Public())}, ErrDuplicateKey, `enr: entry "secp256k1": duplicate key`},
		{"too large", []Entry{With("x", make([]byte, 200))}, ErrTooLarge, "enr: sign: record is larger than 300 bytes: "},
		{"no address", []Entry{IP(netip.Addr{})}, errNotIP6, `enr: entry "ip6": `},
		{"IPv6 as ip", []Entry{IP4(netip.MustParseAddr("::1"))}, errNotIP4, `enr: entry "ip": `},
		{"IPv4 as ip6", []Entry{IP6(netip.MustParseAddr("198.51.100.7"))}, errNotIP6, `enr: entry "ip6": `},
		{"mapped as ip6", []Entry{IP6(netip.MustParseAddr("::ffff:198.51.100.7"))}, errNotIP6, `enr: entry "ip6": `},
		{"type", []Entry{With("x", -1)}, rlp.ErrType, `enr: entry "x": `},
		{"nil value", []Entry{With("x", nil)}, rlp.ErrValue, `enr: entry "x": `},
		{"broken raw", []Entry{With("x", rlp.Raw{0xc1})}, rlp.ErrValue, `enr: entry "x": `},
		{"broken inside raw", []Entry{With("x", rlp.Raw{0xc2, 0x81, 0x01})}, rlp.ErrCanonical, `enr: entry "x": `},
		{"two raw items", []Entry{With("x", rlp.Raw{1, 2})}, nil, `enr: entry "x": `},
		{"empty key", []Entry{With("", "x")}, nil, `enr: entry "": empty key`},
		{"nil entry", []Entry{nil}, nil, "enr: sign: nil entry"},
	} {
		r, err := Sign(key, 1, c.entries...)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("%s: %v, %v; want %s…", c.name, r, err, c.text)
		}
	}
	if _, err := Sign(new(secp.PrivateKey), 1); !errors.Is(err, secp.ErrPrivateKey) {
		t.Errorf("zero key: %v, want ErrPrivateKey", err)
	}
}

// Sign leaves the caller's slice alone.
func TestSignKeepsEntries(t *testing.T) {
	entries := append(make([]Entry, 0, 8), UDP(2), TCP(1))
	if _, err := Sign(specKey(t), 1, entries...); err != nil {
		t.Fatal(err)
	}
	if entries[0] != Entry(UDP(2)) || entries[1] != Entry(TCP(1)) || entries[:3][2] != nil {
		t.Errorf("entries are now %v", entries[:3])
	}
}

// A mapped address is one host with its IPv4 address (A11).
func TestIPMapped(t *testing.T) {
	e := IP(netip.MustParseAddr("::ffff:198.51.100.7"))
	r, err := Sign(specKey(t), 1, e)
	if err != nil {
		t.Fatal(err)
	}
	var got IP4
	if err := r.Load(&got); err != nil || netip.Addr(got).String() != "198.51.100.7" || r.Has("ip6") {
		t.Errorf("ip = %v, %v; has ip6: %v", netip.Addr(got), err, r.Has("ip6"))
	}
}

// An entry encodes as its value, however it is made, so that entries can be
// compared.
func TestEntryEncoding(t *testing.T) {
	for _, e := range []Entry{TCP(30303), With("tcp", uint16(30303)), With("tcp", rlp.Raw{0x82, 0x76, 0x5f})} {
		if b, err := rlp.Encode(e); err != nil || !bytes.Equal(b, []byte{0x82, 0x76, 0x5f}) {
			t.Errorf("%T encodes as %x, %v; want 82765f", e, b, err)
		}
	}
}

// An iteration can be left at any entry.
func TestEntriesStop(t *testing.T) {
	r, err := Sign(specKey(t), 1, TCP(1))
	if err != nil {
		t.Fatal(err)
	}
	for k, value := range r.Entries() {
		if k != "id" || !bytes.Equal(value, []byte("\x82v4")) {
			t.Errorf("first entry %s = %x", k, value)
		}
		break
	}
}

// Records are fields of messages and of configurations.
func TestRecordInMessage(t *testing.T) {
	r, err := Parse(fields(t, "testdata/eip778.txt")["enr"])
	if err != nil {
		t.Fatal(err)
	}
	type response struct {
		Token  uint64
		Record *Record
	}
	b, err := rlp.Encode(&response{7, r})
	if err != nil {
		t.Fatal(err)
	}
	var got response
	if err := rlp.Decode(b, &got); err != nil || got.Token != 7 || got.Record.String() != r.String() {
		t.Errorf("decoded %v, %v", got, err)
	}
	b[len(b)-1]++
	if err := rlp.Decode(b, new(response)); !errors.Is(err, ErrSignature) {
		t.Errorf("tampered: %v, want ErrSignature", err)
	}

	j, err := json.Marshal(map[string]*Record{"record": r})
	if want := `{"record":"` + r.String() + `"}`; err != nil || string(j) != want {
		t.Errorf("Marshal = %s, %v; want %s", j, err, want)
	}
	var back map[string]*Record
	if err := json.Unmarshal(j, &back); err != nil || back["record"].String() != r.String() {
		t.Errorf("Unmarshal = %v, %v", back, err)
	}

	// One that is in use stays what it is.
	kept := r.String()
	c := rlp.NewCursor(r.Bytes())
	if err := r.DecodeRLP(&c); !errors.Is(err, errInUse) || r.String() != kept {
		t.Errorf("DecodeRLP into a record in use: %v", err)
	}
	if err := r.UnmarshalText([]byte(kept)); !errors.Is(err, errInUse) {
		t.Errorf("UnmarshalText into a record in use: %v", err)
	}
	var zero Record
	if _, err := rlp.Encode(&zero); !errors.Is(err, errEmpty) {
		t.Errorf("encoding a zero Record: %v, want errEmpty", err)
	}
	if _, err := zero.MarshalText(); !errors.Is(err, errEmpty) || zero.String() != "" || zero.Has("id") {
		t.Errorf("zero Record: text %q, %v", zero.String(), err)
	}
}

// Any entries that fit make a record that reads back the same, in any order of
// the arguments.
func TestRoundTrip(t *testing.T) {
	key := specKey(t)
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.MapOfN(
			rapid.StringMatching(`[ -~]{1,10}`).Filter(func(s string) bool { return s != keyID && s != keySecp256k1 }),
			rapid.SliceOfN(rapid.Byte(), 0, 40), 0, 8).Draw(t, "entries")
		var entries []Entry
		for k, v := range values {
			entries = append(entries, With(k, v))
		}
		seq := rapid.Uint64().Draw(t, "seq")
		r, err := Sign(key, seq, entries...)
		if errors.Is(err, ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(entries)
		again, err := Sign(key, seq, entries...)
		if err != nil || again.String() != r.String() {
			t.Fatalf("the order of the arguments matters: %v, %v", again, err)
		}
		for how, parse := range map[string]func() (*Record, error){
			"bytes": func() (*Record, error) { return ParseBytes(r.Bytes()) },
			"text":  func() (*Record, error) { return Parse(r.String()) },
		} {
			back, err := parse()
			if err != nil {
				t.Fatalf("%s: %v", how, err)
			}
			if !bytes.Equal(back.raw, r.raw) || back.seq != seq || back.pairs != r.pairs || back.key != r.key || back.Len() > SizeLimit {
				t.Fatalf("%s: %+v, want %+v", how, back, r)
			}
			for k, v := range values {
				var got []byte
				if err := back.Load(With(k, &got)); err != nil || !bytes.Equal(got, v) {
					t.Fatalf("%s: entry %q = %x, %v; want %x", how, k, got, err, v)
				}
			}
			n, last := 0, ""
			for k := range back.Entries() {
				if n > 0 && k <= last {
					t.Fatalf("%q comes after %q", k, last)
				}
				n, last = n+1, k
			}
			if n != len(values)+2 {
				t.Fatalf("%d entries, want %d", n, len(values)+2)
			}
		}
	})
}
