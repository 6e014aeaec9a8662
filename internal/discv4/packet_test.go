package discv4

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"parley/enode"
	"parley/enr"
	"parley/internal/secp"
	"parley/rlp"
)

// readVectors returns the items of testdata/eip8.txt by name.
func readVectors(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/eip8.txt")
	if err != nil {
		t.Fatal(err)
	}
	items := make(map[string][]byte)
	for line := range strings.Lines(string(text)) {
		if name, digits, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			if items[name], err = hex.DecodeString(digits); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	return items
}

func bytes64(s string) (key enode.PublicKey) {
	b, _ := hex.DecodeString(s)
	copy(key[:], b)
	return key
}

// The packets of EIP-8, with their later versions, further elements and bytes
// behind the list, are read as what they are.
func TestOpenEIP8(t *testing.T) {
	vectors := readVectors(t)
	key, err := enode.ParsePrivateKey(vectors["key"])
	if err != nil {
		t.Fatal(err)
	}
	const expiration = 1136239445
	v6 := netip.MustParseAddr
	for name, want := range map[string]Message{
		"ping-4": &Ping{
			Version: 4, Expiration: expiration, Seq: 1,
			From: Endpoint{v6("127.0.0.1"), 3322, 5544},
			To:   Endpoint{v6("::1"), 2222, 3333},
		},
		"ping-555": &Ping{
			Version: 555, Expiration: expiration,
			From: Endpoint{v6("2001:db8:3c4d:15::abcd:ef12"), 3322, 5544},
			To:   Endpoint{v6("2001:db8:85a3:8d3:1319:8a2e:370:7348"), 2222, 33338},
		},
		"pong": &Pong{
			To:         Endpoint{v6("2001:db8:85a3:8d3:1319:8a2e:370:7348"), 2222, 33338},
			PingHash:   [32]byte(bytes32("fbc914b16819237dcd8801d7e53f69e9719adecb3cc0e790c57e91ca4461c954")),
			Expiration: expiration,
		},
		"findnode": &FindNode{
			Target: bytes64("ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd3138" +
				"7574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f"),
			Expiration: expiration,
		},
		"neighbors": &Neighbors{Expiration: expiration, Nodes: []Neighbor{
			{Endpoint{v6("99.33.22.55"), 4444, 4445}, bytes64("3155e1427f85f10a5c9a7755877748041af1bcd8d474ec065eb33df57a97babf" +
				"54bfd2103575fa829115d224c523596b401065a97f74010610fce76382c0bf32")},
			{Endpoint{v6("1.2.3.4"), 1, 1}, bytes64("312c55512422cf9b8a4097e9a6ad79402e87a15ae909a4bfefa22398f03d2095" +
				"1933beea1e4dfa6f968212385e829f04c2d314fc2d4e255e0d3bc08792b069db")},
			{Endpoint{v6("2001:db8:3c4d:15::abcd:ef12"), 3333, 3333}, bytes64("38643200b172dcfef857492156971f0e6aa2c538d8b74010f8e140811d53b98c" +
				"765dd2d96126051913f44582e8c199ad7c6d6819e9a56483f637feaac9448aac")},
			{Endpoint{v6("2001:db8:85a3:8d3:1319:8a2e:370:7348"), 999, 1000}, bytes64("8dcab8618c3253b558d459da53bd8fa68935a719aff8b811197101a4b2b47dd2" +
				"d47295286fc00cc081bb542d760717d1bdd6bec2c37cd72eca367d6dd3b9df73")},
		}},
	} {
		p, err := Open(vectors[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Key != key.Public() || p.ID != enode.PubkeyID(key.Public()) {
			t.Errorf("%s: signed by %x", name, p.Key[:])
		}
		// What follows the sequence number's place is not looked at, and it may
		// not be a number.
		if ping, ok := p.Message.(*Ping); ok && name == "ping-555" {
			ping.Seq = 0
		}
		if pong, ok := p.Message.(*Pong); ok {
			pong.Seq = 0
		}
		if !reflect.DeepEqual(p.Message, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, p.Message, want)
		}
	}
}

func bytes32(s string) []byte { b, _ := hex.DecodeString(s); return b }

// testKey returns a key that is always the same for n.
func testKey(n int) *enode.PrivateKey {
	var b [32]byte
	b[30], b[31] = byte(n>>8)+1, byte(n)
	key, err := enode.ParsePrivateKey(b[:])
	if err != nil {
		panic(err)
	}
	return key
}

func testMessages(t testing.TB) []Message {
	t.Helper()
	record, err := enr.Sign(testKey(1), 7, enr.IP(netip.MustParseAddr("1.2.3.4")), enr.UDP(30303))
	if err != nil {
		t.Fatal(err)
	}
	e4 := Endpoint{netip.MustParseAddr("1.2.3.4"), 30303, 30304}
	e6 := Endpoint{netip.MustParseAddr("2001:db8::1"), 1, 0}
	return []Message{
		&Ping{Version: 4, From: e4, To: e6, Expiration: 1 << 40, Seq: 1<<64 - 1},
		&Ping{Version: 4},
		&Pong{To: e6, PingHash: [32]byte{1}, Expiration: 1, Seq: 9},
		&FindNode{Target: testKey(2).Public(), Expiration: 1},
		&Neighbors{Nodes: []Neighbor{{e4, testKey(3).Public()}, {e6, testKey(4).Public()}, {}}, Expiration: 1},
		&Neighbors{},
		&ENRRequest{Expiration: 1},
		responseWith([32]byte{5}, record),
	}
}

// What is sealed opens as the same message, of the same sender and hash.
func TestSealOpen(t *testing.T) {
	key := testKey(1)
	for _, m := range testMessages(t) {
		data, hash, err := Seal(key, m)
		if err != nil {
			t.Fatalf("%v: %v", m.Kind(), err)
		}
		p, err := Open(data)
		if err != nil {
			t.Fatalf("%v: %v", m.Kind(), err)
		}
		if p.Key != key.Public() || p.Hash != hash || p.Size != len(data) || !reflect.DeepEqual(p.Message, m) {
			t.Errorf("%v:\n got %+v\nwant %+v", m.Kind(), p.Message, m)
		}
		if len(data) != headerSize+m.size() {
			t.Errorf("%v: %d bytes, size says %d", m.Kind(), len(data), headerSize+m.size())
		}
	}
}

// A message that does not fit into a packet is not sealed.
func TestSealTooLong(t *testing.T) {
	m := new(Neighbors)
	for range maxNodes {
		m.Nodes = append(m.Nodes, Neighbor{Endpoint: Endpoint{Addr: netip.IPv6Loopback()}})
	}
	if _, _, err := Seal(testKey(1), m); err != DropLong {
		t.Errorf("Seal = %v, want %v", err, DropLong)
	}
}

// rehash makes the hash of a changed packet right again.
func rehash(data []byte) []byte {
	h := secp.Keccak256(data[hashSize:])
	copy(data, h[:])
	return data
}

// sealRaw signs any kind and content.
func sealRaw(key *enode.PrivateKey, kind byte, content []byte) []byte {
	data := make([]byte, headerSize, headerSize+len(content))
	data[headerSize-1] = kind
	data = append(data, content...)
	sig, err := key.Sign(secp.Keccak256(data[headerSize-1:]))
	if err != nil {
		panic(err)
	}
	copy(data[hashSize:], sig[:])
	return rehash(data)
}

// Packets that are none are refused for the right reason, before anything is
// allocated for them.
func TestF2Malformed(t *testing.T) {
	key := testKey(1)
	good, _, err := Seal(key, &ENRRequest{Expiration: 1})
	if err != nil {
		t.Fatal(err)
	}
	change := func(i int, b byte) []byte { d := bytes.Clone(good); d[i] ^= b; return d }
	ping := &Ping{Version: 4}
	for _, c := range []struct {
		name string
		data []byte
		want Drop
	}{
		{"wrong hash", change(0, 1), DropHash},
		{"wrong byte at the end", change(len(good)-1, 1), DropHash},
		{"type 0", sealRaw(key, 0, []byte{0xc0}), DropKind},
		{"type 7", sealRaw(key, 7, []byte{0xc0}), DropKind},
		{"type 255", sealRaw(key, 255, []byte{0xc0}), DropKind},
		{"recovery id 4", rehash(change(hashSize+64, 4)), DropSignature},
		{"recovery id 255", rehash(change(hashSize+64, 0xff^good[hashSize+64])), DropSignature},
		{"r of zero", rehash(append(append(bytes.Clone(good[:hashSize]), make([]byte, 32)...), good[hashSize+32:]...)), DropSignature},
		{"no list", sealRaw(key, 5, []byte{0x80}), DropContent},
		{"list cut", sealRaw(key, 1, ping.appendTo(nil)[:10]), DropContent},
		{"empty list", sealRaw(key, 1, []byte{0xc0}), DropContent},
		{"integer with a leading zero", sealRaw(key, 5, []byte{0xc2, 0x81, 0x01}), DropContent},
		{"expiration of 65 bits", sealRaw(key, 5, []byte{0xca, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0}), DropContent},
		{"target of 63 bytes", sealRaw(key, 3, append([]byte{0xf8, 66, 0xb8, 63}, make([]byte, 64)...)), DropContent},
	} {
		t.Run("F2/"+c.name, func(t *testing.T) {
			if p, err := Open(c.data); p != nil || err != c.want {
				t.Errorf("Open = %v, %v; want %v", p, err, c.want)
			}
		})
	}
	bad := change(0, 1)
	if n := testing.AllocsPerRun(100, func() { _ = Check(bad) }); n != 0 {
		t.Errorf("a bad hash costs %v allocations", n)
	}
}

// A packet is 99 to 1280 bytes long, and a longer one is not read as its
// beginning.
func TestF3Length(t *testing.T) {
	key := testKey(1)
	m := (&ENRRequest{Expiration: 1}).appendTo(nil)
	for _, c := range []struct {
		size int
		want Drop
	}{
		{0, DropShort}, {97, DropShort}, {98, DropShort},
		{1279, 0}, {1280, 0}, {1281, DropLong}, {65507, DropLong},
	} {
		data := make([]byte, c.size)
		if c.size >= minSize {
			content := make([]byte, c.size-headerSize)
			copy(content, m)
			data = sealRaw(key, byte(KindENRRequest), content)
		}
		var got Drop
		if _, err := Open(data); err != nil {
			got = err.(Drop)
		}
		if len(data) != c.size || got != c.want {
			t.Errorf("%d bytes: %v, want %v", len(data), got, c.want)
		}
	}
}

// Each of a neighbor's fields may be nonsense without making the list so, but a
// list with items that are no nodes is not a list of nodes.
func TestF10EmptyNeighbors(t *testing.T) {
	key := testKey(1)
	items := bytes.Repeat([]byte{0xc0}, 1000)
	list := append(rlp.AppendList(nil, len(items)), items...)
	content := append(rlp.AppendList(nil, len(list)+1), list...)
	if _, err := Open(sealRaw(key, byte(KindNeighbors), append(content, 1))); err != DropContent {
		t.Errorf("1000 empty items: %v, want %v", err, DropContent)
	}
	data, _, err := Seal(key, &Neighbors{Nodes: []Neighbor{{Endpoint{UDP: 1}, enode.PublicKey{}}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(data)
	if err != nil || len(p.Message.(*Neighbors).Nodes) != 1 {
		t.Errorf("node without an address: %+v, %v", p, err)
	}
}

// Every reason and kind has words of its own, and a Drop is found with errors.As.
func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	for d := Drop(1); int(d) < drops; d++ {
		if s := d.String(); s == "" || seen[s] {
			t.Errorf("Drop %d is %q", d, s)
		} else {
			seen[s] = true
		}
	}
	if Drop(0).String() != "" || Drop(255).String() != "" {
		t.Error("a Drop that is none has words")
	}
	for k := Kind(0); int(k) <= kinds; k++ {
		if known := k >= KindPing && k <= KindENRResponse; known == (k.String() == "UNKNOWN") {
			t.Errorf("Kind %d is %v", k, k)
		}
	}
	var d Drop
	if _, err := Open(nil); !errors.As(err, &d) || d != DropShort {
		t.Errorf("Open(nil) = %v", err)
	}
}

// No input makes Open panic, and what it accepts it gives back when sealed again,
// as far as it understood it.
func FuzzOpen(f *testing.F) {
	for _, data := range readVectors(f) {
		if len(data) > headerSize {
			f.Add(data[headerSize-1], data[headerSize:])
		}
	}
	for _, m := range testMessages(f) {
		f.Add(byte(m.Kind()), m.appendTo(nil))
	}
	key := testKey(1)
	f.Fuzz(func(t *testing.T, kind byte, content []byte) {
		m, err := parse(Kind(kind), content)
		if err != nil || kind < 1 || kind > 6 {
			return
		}
		if m.size() != len(m.appendTo(nil)) {
			t.Fatalf("%v: size %d, appended %d", m.Kind(), m.size(), len(m.appendTo(nil)))
		}
		if m.size()+headerSize > MaxSize {
			return
		}
		data, _, err := Seal(key, m)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Open(data)
		if err != nil || !reflect.DeepEqual(p.Message, m) {
			t.Fatalf("again: %v\n got %+v\nwant %+v", err, p, m)
		}
	})
}

// FuzzOpenBytes throws whole packets, whose hashes it makes right.
func FuzzOpenBytes(f *testing.F) {
	for _, data := range readVectors(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= minSize {
			data = rehash(bytes.Clone(data))
		}
		p, err := Open(data)
		if _, ok := err.(Drop); (p == nil) == (err == nil) || (err != nil && !ok) {
			t.Fatalf("Open = %v, %v", p, err)
		}
	})
}
