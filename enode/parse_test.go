package enode

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"parley/enr"
)

var update = flag.Bool("update", false, "write the golden file anew")

// Each text of the golden file is read, or refused, as the file says. What is
// accepted reads back from its canonical form as the same node.
func TestTexts(t *testing.T) {
	const file = "testdata/texts.txt"
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	expand := strings.NewReplacer("KEYUPPER", strings.ToUpper(hexKey(t)), "KEYSHORT", hexKey(t)[:127], "KEY", hexKey(t), "ENR", specRecord)
	shorten := strings.NewReplacer(hexKey(t), "KEY", specRecord, "ENR")
	var got strings.Builder
	n := 0
	for line := range strings.Lines(string(golden)) {
		in, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "in")
		if !ok {
			continue
		}
		n++
		node, err := Parse(expand.Replace(in)) // with the space before it
		fmt.Fprintf(&got, "in%s\n", in)
		if err != nil {
			fmt.Fprintf(&got, "    %s\n\n", strings.TrimPrefix(err.Error(), "enode: parse: "))
			continue
		}
		fmt.Fprintf(&got, "  = %s\n\n", shorten.Replace(node.URL()))
		back, err := Parse(node.String())
		if err != nil || back.String() != node.String() || back.URL() != node.URL() || back.ID() != node.ID() {
			t.Errorf("%s reads back as %v, %v", node, back, err)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if n != 100 {
		t.Errorf("%d texts, want 100", n)
	}
	if got.String() != string(golden) {
		t.Errorf("differs from %s; got\n%s", file, got.String())
	}
}

// Errors name the part, and no text however long or strange makes them long or
// strange.
func TestParseErrorsAreBounded(t *testing.T) {
	long := strings.Repeat("a", 300)
	control := strings.Repeat("\x00\x1b\"", 60)
	for part, inputs := range map[string][]string{
		"text":       {"", " \n", strings.Repeat("e", 513), "enode://" + hexKey(t) + "@" + strings.Repeat(long+".", 1000)},
		"scheme":     {control + ":", "ftp://" + long},
		"record":     {"enr:" + control, "enr:" + long},
		"public key": {control, long, "enode://" + control, strings.Repeat("\x00", 128), strings.Repeat("é", 64)},
		"host":       {"enode://" + hexKey(t) + "@" + control + ":1", "enode://" + hexKey(t) + "@" + long + ":1"},
		"port":       {"enode://" + hexKey(t) + "@h:" + control, "enode://" + hexKey(t) + "@" + long},
		"query":      {"enode://" + hexKey(t) + "@h:1?" + control, "enode://" + hexKey(t) + "@h:1?discport=" + long, "enode://" + hexKey(t) + "@h:1?discport=1&" + long},
	} {
		for _, in := range inputs {
			_, err := Parse(in)
			perr, ok := errors.AsType[*ParseError](err)
			if !ok || perr.Part != part {
				t.Errorf("Parse(%.40q…) = %v, want an error about the %s", in, err, part)
				continue
			}
			msg := err.Error()
			if len(msg) > 160 {
				t.Errorf("error of %d bytes: %s", len(msg), msg)
			}
			for _, c := range msg {
				if c < ' ' || c > '~' {
					t.Errorf("error contains %q: %s", c, msg)
				}
			}
		}
	}
}

// A private key in place of a public one does not get into the error.
func TestParseErrorHidesKey(t *testing.T) {
	for _, in := range []string{specKey, "0x" + specKey, "enode://" + specKey, "enode://" + specKey + "@h:1", specKey + ":", specKey + "@h:1", strings.Repeat("g", 64) + specKey} {
		_, err := Parse(in)
		if err == nil || strings.Contains(err.Error(), specKey[:4]) {
			t.Errorf("Parse of a private key: %v", err)
		}
	}
}

func TestClip(t *testing.T) {
	for in, want := range map[string]string{
		"":                                 `""`,
		"a\nb":                             `"a\nb"`,
		strings.Repeat("a", 62):            `"` + strings.Repeat("a", 62) + `"`,
		strings.Repeat("a", 63):            `"` + strings.Repeat("a", 59) + `"...`,
		strings.Repeat("a", 64):            `"` + strings.Repeat("a", 59) + `"...`,
		strings.Repeat("a", 1000):          `"` + strings.Repeat("a", 59) + `"...`,
		strings.Repeat("\x00", 64):         `"` + strings.Repeat(`\x00`, 14) + `\x0"...`,
		strings.Repeat("a", 58) + "\x00bc": `"` + strings.Repeat("a", 58) + `\"...`,
	} {
		got := clip(in)
		if len(got) > 64 {
			t.Errorf("clip(%q) has %d characters", in, len(got))
		}
		if got != want {
			t.Errorf("clip(%q) = %s, want %s", in, got, want)
		}
	}
}

// A zero Node takes a text; any other refuses, because it is immutable.
func TestNodeText(t *testing.T) {
	url := "enode://" + hexKey(t) + "@node.example.org:30303"
	var config struct{ Nodes []*Node }
	if err := json.Unmarshal([]byte(`{"Nodes":["`+url+`","`+specRecord+`"]}`), &config); err != nil {
		t.Fatal(err)
	}
	if got := config.Nodes[0]; got.Hostname() != "node.example.org" || config.Nodes[1].Seq() != 1 {
		t.Errorf("nodes %v", config.Nodes)
	}
	b, err := json.Marshal(config)
	if want := `{"Nodes":["` + url + `","` + specRecord + `"]}`; err != nil || string(b) != want {
		t.Errorf("Marshal = %s, %v; want %s", b, err, want)
	}
	n := config.Nodes[0]
	if err := n.UnmarshalText([]byte(specRecord)); err == nil || n.URL() != url {
		t.Errorf("UnmarshalText into a node in use: %v, node now %v", err, n)
	}
	if err := new(Node).UnmarshalText([]byte("x")); err == nil {
		t.Error("UnmarshalText(x) succeeds")
	}
}

// Nodes of every kind of URL read back as they were.
func TestURLRoundTrip(t *testing.T) {
	pub := key(t).Public()
	rapid.Check(t, func(t *rapid.T) {
		var addr netip.Addr
		switch rapid.IntRange(0, 2).Draw(t, "family") {
		case 1:
			addr = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip")))
		case 2:
			addr = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip6")))
		}
		n := NewV4(pub, addr, rapid.Uint16().Draw(t, "tcp"), rapid.Uint16().Draw(t, "udp"))
		if !n.Addr().IsValid() && rapid.Bool().Draw(t, "named") {
			n.host = rapid.StringMatching(`([a-z0-9]([a-z0-9_-]{0,10}[a-z0-9])?\.){0,3}[a-z]{1,10}`).Draw(t, "host")
		}
		back, err := Parse(n.URL())
		if err != nil {
			t.Fatal(err)
		}
		if n.host == "" && !n.Addr().IsValid() {
			n = n.WithTCP(0).WithUDP(0) // a key alone has no ports
		}
		if *back != *n {
			t.Fatalf("%s reads back as %+v, want %+v", n.URL(), back, n)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		specRecord, hexKey(f), "enode://" + hexKey(f) + "@[2001:db8::7]:1?discport=2",
		"enode://" + hexKey(f) + "@node.example.org.:30303", "enode://" + hexKey(f) + "@127.1:0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if _, ok := errors.AsType[*ParseError](err); !ok || len(err.Error()) > 200 {
				t.Errorf("error %T of %d bytes", err, len(err.Error()))
			}
			return
		}
		if n.ID() != PubkeyID(n.PublicKey()) {
			t.Errorf("ID %v is not that of the key", n.ID())
		}
		for _, text := range []string{n.String(), n.URL()} {
			back, err := Parse(text)
			if err != nil || back.URL() != n.URL() || back.ID() != n.ID() {
				t.Errorf("%q -> %s -> %v, %v", s, text, back, err)
			}
		}
	})
}

// Refusing a text costs a bounded amount of memory, however long the text is.
func TestParseMemory(t *testing.T) {
	for name, s := range map[string]string{
		"key":    strings.Repeat("a", 16<<20),
		"record": "enr:" + strings.Repeat("A", 16<<20),
		"host":   "enode://" + hexKey(t) + "@" + strings.Repeat("a.", 8<<20),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 10 {
			if _, err := Parse(s); err == nil {
				t.Fatalf("%s: accepted", name)
			}
		}
		runtime.ReadMemStats(&after)
		if per := (after.TotalAlloc - before.TotalAlloc) / 10; per > 4<<10 {
			t.Errorf("%s: %d bytes allocated for a refusal, want at most 4 KiB", name, per)
		}
	}
}

func TestParseAllocs(t *testing.T) {
	url := "enode://" + hexKey(t) + "@198.51.100.7:30303?discport=30301"
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(url) }); n > 4 {
		t.Errorf("Parse of a URL: %v allocations, want at most 4", n)
	}
	r, err := enr.Sign(key(t), 1, enr.IP(ip("198.51.100.7")), enr.TCP(1), enr.UDP(2))
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = New(r) }); n > 14 {
		t.Errorf("New: %v allocations, want at most 14", n)
	}
}

func BenchmarkParseURL(b *testing.B) {
	url := "enode://" + hexKey(b) + "@198.51.100.7:30303?discport=30301"
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse(url)
	}
}

func BenchmarkNew(b *testing.B) {
	r, err := enr.Sign(key(b), 1, enr.IP(ip("198.51.100.7")), enr.TCP(1), enr.UDP(2))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = New(r)
	}
}
