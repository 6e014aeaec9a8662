package eth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"

	"parley/rlp"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// testStatus is the Status of the chain that the eth conformance suite of
// devp2p brings along.
func testStatus(version uint) *Status {
	s := &Status{
		Version: version,
		Network: 3503995874084926,
		Genesis: mustHash("1518c33dab6ed4dbb2d0c48239ac2f00acc0e28dc43660bb745a0f127552024c"),
		ForkID:  ForkID{Hash: 0x5942bfc2},
		Range: BlockRange{
			Latest:     600,
			LatestHash: mustHash("9d78f73579811aa17b112188ce020cda4362b0d57a4a339a0c3911c4ace7220c"),
		},
	}
	if version < 69 {
		s.Range.Latest = 0
		s.TotalDifficulty = big.NewInt(0x20000)
	}
	return s
}

// The bytes of Status in each version are those in testdata/status.txt, and are
// read back to the same values.
func TestStatusGolden(t *testing.T) {
	var out strings.Builder
	for v := uint(MinVersion); v <= MaxVersion; v++ {
		s := testStatus(v)
		b, err := rlp.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseStatus(v, b)
		if err != nil || !reflect.DeepEqual(back, s) {
			t.Errorf("eth/%d: read back as %+v, %v; want %+v", v, back, err, s)
		}
		fmt.Fprintf(&out, "eth/%d %d bytes\n", v, len(b))
		writeItems(&out, b, 1)
	}
	golden(t, "status.txt", out.String())
}

// writeItems writes an RLP item as indented lines, one for each header or string.
func writeItems(out *strings.Builder, b []byte, depth int) {
	c := rlp.NewCursor(b)
	kind, size, err := c.Kind()
	if err != nil {
		fmt.Fprintf(out, "!%v\n", err)
		return
	}
	indent := strings.Repeat("  ", depth)
	if kind == rlp.String {
		fmt.Fprintf(out, "%s%x\n", indent, b)
		return
	}
	fmt.Fprintf(out, "%s%x\n", indent, b[:len(b)-size])
	list, _ := c.List()
	for list.More() {
		item, err := list.Raw()
		if err != nil {
			fmt.Fprintf(out, "!%v\n", err)
			return
		}
		writeItems(out, item, depth+1)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got\n%s", path, got)
	}
}

// A Status that is not of its version's form is refused, and the error says
// where.
func TestStatusRefusals(t *testing.T) {
	encode := func(items ...any) []byte {
		b, err := rlp.Encode(items)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	g, id := Hash{1}, ForkID{Hash: 2}
	wide := new(big.Int).Lsh(big.NewInt(1), maxDifficulty)
	for _, tt := range []struct {
		name    string
		version uint
		payload []byte
		want    error
		where   string
	}{
		{"empty", 69, nil, rlp.ErrTruncated, "eth: Status: "},
		{"string", 69, []byte{0x80}, rlp.ErrExpectedList, "eth: Status: "},
		{"junk after", 69, append(encode(uint(69), uint(1), g, id, uint(0), uint(0), g), 0), rlp.ErrTrailing, "eth: Status: "},
		{"version 2^32", 69, encode(uint64(1<<32), uint(1), g, id, uint(0), uint(0), g), rlp.ErrTooLarge, "version: "},
		{"network 2^64", 69, encode(uint(69), new(big.Int).Lsh(big.NewInt(1), 64), g, id, uint(0), uint(0), g), rlp.ErrTooLarge, "network: "},
		{"short genesis", 69, encode(uint(69), uint(1), g[:31], id, uint(0), uint(0), g), rlp.ErrSize, "genesis: "},
		{"fork id a string", 69, encode(uint(69), uint(1), g, uint(7), uint(0), uint(0), g), rlp.ErrExpectedList, "fork id: "},
		{"latest 2^64", 69, encode(uint(69), uint(1), g, id, uint(0), new(big.Int).Lsh(big.NewInt(1), 64), g), rlp.ErrTooLarge, "latest: "},
		{"short latest hash", 69, encode(uint(69), uint(1), g, id, uint(0), uint(0), g[:8]), rlp.ErrSize, "latest hash: "},
		{"one more", 69, encode(uint(69), uint(1), g, id, uint(0), uint(0), g, uint(1)), rlp.ErrTooManyElements, ""},
		{"form of eth/68 in eth/69", 69, encode(uint(69), uint(1), uint(1), g, g, id), rlp.ErrSize, "genesis: "},
		{"form of eth/69 in eth/68", 68, encode(uint(68), uint(1), g, id, uint(0), uint(0), g), rlp.ErrExpectedString, "latest hash: "},
		{"difficulty 2^256", 68, encode(uint(68), uint(1), wide, g, g, id), rlp.ErrTooLarge, "total difficulty: "},
		{"long fork id", 68, encode(uint(68), uint(1), uint(0), g, g, []any{[4]byte{}, uint(1), uint(2)}), rlp.ErrTooManyElements, "fork id: "},
		{"513 bytes", 69, make([]byte, maxStatus+1), ErrMessageSize, "513 bytes, at most 512"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ParseStatus(tt.version, tt.payload)
			if !errors.Is(err, tt.want) || s != nil {
				t.Fatalf("%v, %v; want %v", s, err, tt.want)
			}
			if !strings.HasPrefix(err.Error(), "eth: Status: ") || !strings.Contains(err.Error(), tt.where) {
				t.Errorf("%q does not say %q", err, tt.where)
			}
		})
	}
}

// The largest Status of either form fits the limit with room to spare.
func TestStatusLargest(t *testing.T) {
	for v, want := range map[uint]int{68: 126, 72: 115} {
		s := testStatus(v)
		s.Version, s.Network, s.ForkID.Next = math.MaxUint32, math.MaxUint64, math.MaxUint64
		s.ForkID.Hash = math.MaxUint32
		s.Range.Earliest, s.Range.Latest = math.MaxUint64, math.MaxUint64
		if v == 68 {
			s.Version = 68
			s.TotalDifficulty = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), maxDifficulty), big.NewInt(1))
		}
		b, err := rlp.Encode(s)
		if err != nil || len(b) != want {
			t.Errorf("eth/%d: %d bytes, %v; want %d", v, len(b), err, want)
		}
		if _, err := ParseStatus(v, b); err != nil {
			t.Errorf("eth/%d: %v", v, err)
		}
	}
	neg := testStatus(68)
	neg.TotalDifficulty = big.NewInt(-1)
	if _, err := rlp.Encode(neg); !errors.Is(err, rlp.ErrNegative) {
		t.Errorf("negative difficulty: %v, want ErrNegative", err)
	}
}

// A block range must begin before it ends and have a last block.
func TestBlockRange(t *testing.T) {
	h := Hash{1}
	for _, tt := range []struct {
		r  BlockRange
		ok bool
	}{
		{BlockRange{0, 0, h}, true},
		{BlockRange{5, 5, h}, true},
		{BlockRange{0, math.MaxUint64, h}, true},
		{BlockRange{6, 5, h}, false},
		{BlockRange{math.MaxUint64, 0, h}, false},
		{BlockRange{0, 5, Hash{}}, false},
	} {
		if err := tt.r.Validate(); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrBlockRange) {
			t.Errorf("%+v: %v", tt.r, err)
		}
		b, err := rlp.Encode(tt.r)
		if err != nil {
			t.Fatal(err)
		}
		var back BlockRange
		if err := rlp.Decode(b, &back); err != nil || back != tt.r {
			t.Errorf("read back as %+v, %v; want %+v", back, err, tt.r)
		}
		if err := rlp.Decode(append([]byte{b[0] + 1}, append(b[1:], 5)...), &back); err == nil {
			t.Errorf("%+v with one more element is accepted", tt.r)
		}
	}
}

// No Status, of whatever form, makes ParseStatus panic, and one that is accepted
// is encoded to the same bytes.
func FuzzStatus(f *testing.F) {
	for v := uint(MinVersion); v <= MaxVersion; v++ {
		b, err := rlp.Encode(testStatus(v))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(v, b)
	}
	f.Add(uint(69), []byte{0xc0})
	f.Fuzz(func(t *testing.T, form uint, b []byte) {
		s, err := ParseStatus(form, b)
		if err != nil {
			return
		}
		// The form is chosen by the version that was agreed on, not by the one in
		// the message.
		named := s.Version
		if (named < 69) != (form < 69) {
			return
		}
		again, err := rlp.Encode(s)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("eth/%d %s: encoded again as %x, %v", form, hex.EncodeToString(b), again, err)
		}
	})
}
