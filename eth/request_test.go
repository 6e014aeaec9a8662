package eth

import (
	"encoding/hex"
	"errors"
	"testing"

	"parley/rlp"
)

// The empty answer to each request, byte by byte: request id 0x1234 comes back
// in the frame of its version.
func TestEmptyAnswers(t *testing.T) {
	hashes := []Hash{{1}, {2}, {3}}
	for _, tt := range []struct {
		version uint
		code    uint64
		query   []any
		want    string
	}{
		{68, GetBlockHeadersMsg, []any{[]any{uint(1), uint(2), uint(3), false}}, "c4821234c0"},
		{69, GetBlockHeadersMsg, []any{[]any{Hash{9}, uint(192), uint(0), true}}, "c4821234c0"},
		{69, GetBlockBodiesMsg, []any{hashes}, "c4821234c0"},
		{72, GetPooledTransactionsMsg, []any{hashes}, "c4821234c0"},
		{68, GetReceiptsMsg, []any{hashes}, "c4821234c0"},
		{69, GetReceiptsMsg, []any{hashes}, "c4821234c0"},
		{70, GetReceiptsMsg, []any{uint(5), hashes}, "c582123480c0"},
		{71, GetBlockAccessListsMsg, []any{hashes}, "c7821234c3808080"},
		{71, GetBlockAccessListsMsg, []any{[]Hash{}}, "c4821234c0"},
		{72, GetCellsMsg, []any{hashes, CellMask{1}}, "d6821234c0c09000000000000000000000000000000000"},
	} {
		m, ok := Describe(tt.version, tt.code)
		if !ok || m.Role != Request {
			t.Fatalf("eth/%d: %#x is no request", tt.version, tt.code)
		}
		payload, err := rlp.Encode(append([]any{uint(0x1234)}, tt.query...))
		if err != nil {
			t.Fatal(err)
		}
		e, err := parseEnvelope(m, payload)
		if err != nil {
			t.Errorf("eth/%d %s: %v", tt.version, m.Name, err)
			continue
		}
		b, err := appendEmptyAnswer(nil, tt.version, m, &e)
		if got := hex.EncodeToString(b); err != nil || got != tt.want {
			t.Errorf("eth/%d %s: %s, %v; want %s", tt.version, m.Name, got, err, tt.want)
		}
		answer, _ := Describe(tt.version, m.Answer)
		if back, err := parseEnvelope(answer, b); err != nil || back.id != 0x1234 {
			t.Errorf("eth/%d %s: our own answer is read as id %#x, %v", tt.version, m.Name, back.id, err)
		}
	}
}

// An answer about block access lists is no longer than the bound.
func TestAccessListsBound(t *testing.T) {
	m, _ := Describe(71, GetBlockAccessListsMsg)
	payload, err := rlp.Encode([]any{uint(1), make([]Hash, 5000)})
	if err != nil {
		t.Fatal(err)
	}
	e, err := parseEnvelope(m, payload)
	if err != nil {
		t.Fatal(err)
	}
	b, err := appendEmptyAnswer(nil, 71, m, &e)
	if err != nil {
		t.Fatal(err)
	}
	back, err := parseEnvelope(m, b)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := countList(back.items[0]); n != 1024 || err != nil {
		t.Errorf("%d entries, %v; want 1024", n, err)
	}
}

// A request that is not a list of the right length with an id in front, or not
// canonical inside, is malformed.
func TestEnvelopeRefusals(t *testing.T) {
	headers, _ := Describe(69, GetBlockHeadersMsg)
	receipts, _ := Describe(70, GetReceiptsMsg)
	for _, tt := range []struct {
		name  string
		m     Message
		input string
		want  error
	}{
		{"empty", headers, "", rlp.ErrTruncated},
		{"string", headers, "80", rlp.ErrExpectedList},
		{"no id", headers, "c0", rlp.ErrTooFewElements},
		{"id a list", headers, "c2c0c0", rlp.ErrExpectedString},
		{"id of 9 bytes", headers, "cb89010000000000000000c0", rlp.ErrTooLarge},
		{"id with a zero in front", headers, "c4820001c0", rlp.ErrCanonical},
		{"no query", headers, "c101", rlp.ErrTooFewElements},
		{"one more", headers, "c301c0c0", rlp.ErrTooManyElements},
		{"junk after", headers, "c201c000", rlp.ErrTrailing},
		{"cut inside", headers, "c301c201", rlp.ErrTruncated},
		{"eth/69 receipts in eth/70", receipts, "c201c0", rlp.ErrTooFewElements},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.input)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parseEnvelope(tt.m, b); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	m, _ := Describe(71, GetBlockAccessListsMsg)
	e, err := parseEnvelope(m, []byte{0xc2, 0x01, 0x80})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := appendEmptyAnswer(nil, 71, m, &e); !errors.Is(err, rlp.ErrExpectedList) {
		t.Errorf("hashes of access lists as a string: %v, want ErrExpectedList", err)
	}
}
