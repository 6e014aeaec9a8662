package enr

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley/internal/secp"
)

// fields reads a file of lines "name value".
func fields(t testing.TB, file string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, " ")
		m[name] = strings.TrimSpace(value)
	}
	return m
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func specKey(t testing.TB) *secp.PrivateKey {
	t.Helper()
	key, err := secp.ParsePrivateKey(unhex(t, fields(t, "testdata/eip778.txt")["key"]))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The example record of the specification is read as the specification says.
func TestSpecRead(t *testing.T) {
	want := fields(t, "testdata/eip778.txt")
	r, err := Parse(want["enr"])
	if err != nil {
		t.Fatal(err)
	}
	pub := r.PublicKey()
	compressed := pub.Compress()
	if got := hex.EncodeToString(compressed[:]); got != want["pubkey"] {
		t.Errorf("public key %s, want %s", got, want["pubkey"])
	}
	id := secp.Keccak256(pub[:])
	if got := hex.EncodeToString(id[:]); got != want["id"] {
		t.Errorf("node ID %s, want %s", got, want["id"])
	}
	if got := strconv.FormatUint(r.Seq(), 10); got != want["seq"] {
		t.Errorf("sequence number %s, want %s", got, want["seq"])
	}
	var (
		id4  ID
		ip   IP4
		udp  UDP
		key  Secp256k1
		keys []string
	)
	for _, e := range []Entry{&id4, &ip, &udp, &key} {
		if err := r.Load(e); err != nil {
			t.Error(err)
		}
	}
	if id4 != "v4" || netip.Addr(ip).String() != want["ip"] || strconv.Itoa(int(udp)) != want["udp"] || secp.PublicKey(key) != pub {
		t.Errorf("entries id=%s ip=%v udp=%d secp256k1=%x", id4, netip.Addr(ip), udp, key)
	}
	for k := range r.Entries() {
		keys = append(keys, k)
	}
	if want := []string{"id", "ip", "secp256k1", "udp"}; !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	if r.String() != want["enr"] {
		t.Errorf("String = %s, want %s", r, want["enr"])
	}
	if r.Len() != 134 || len(r.Bytes()) != 134 {
		t.Errorf("Len = %d, %d bytes; want 134", r.Len(), len(r.Bytes()))
	}
}

// The example record can be made from its contents. Signatures are
// deterministic, so it comes out the same.
func TestSpecSign(t *testing.T) {
	want := fields(t, "testdata/eip778.txt")
	ip := netip.MustParseAddr(want["ip"])
	for name, entries := range map[string][]Entry{
		"in order":     {IP4(ip), UDP(30303)},
		"out of order": {With("udp", uint16(30303)), IP(ip)},
	} {
		r, err := Sign(specKey(t), 1, entries...)
		if err != nil {
			t.Fatal(err)
		}
		if r.String() != want["enr"] {
			t.Errorf("%s: Sign = %s, want %s", name, r, want["enr"])
		}
		parsed, err := ParseBytes(r.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if parsed.pairs != r.pairs || parsed.seq != r.seq || parsed.key != r.key || !bytes.Equal(parsed.raw, r.raw) {
			t.Errorf("%s: signed record %+v differs from the parsed one %+v", name, r, parsed)
		}
	}
}

// The records in the example tree of the DNS discovery specification are valid.
func TestDNSExample(t *testing.T) {
	b, err := os.ReadFile("testdata/dnsdisc.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for text := range strings.Lines(string(b)) {
		r, err := Parse(text)
		if err != nil || r.String() != strings.TrimSpace(text) {
			t.Errorf("Parse(%s) = %v, %v", strings.TrimSpace(text), r, err)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}
