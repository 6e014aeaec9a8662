package eth

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"parley/rlp"
)

// A vectorFile holds the test cases of one EIP.
type vectorFile struct {
	Source string
	Chains map[string]struct {
		Genesis Hash
		Blocks  []uint64
		Times   []uint64
	}
	IDs []struct {
		Chain        string
		Number, Time uint64
		ID           ForkID
	}
	Checks []struct {
		Chain        string
		Number, Time uint64
		Remote       ForkID
		Want         string
	}
	RLP []struct {
		ID  ForkID
		RLP string
	}
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// Every test case of EIP-2124 and EIP-6122 comes out as they say.
func TestForkIDVectors(t *testing.T) {
	for name, count := range map[string][3]int{
		"eip2124.json": {43, 15, 3},
		"eip6122.json": {29, 16, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var v vectorFile
			readJSON(t, name, &v)
			if got := [3]int{len(v.IDs), len(v.Checks), len(v.RLP)}; got != count {
				t.Errorf("%d ids, %d checks, %d encodings; want %d", got[0], got[1], got[2], count)
			}
			list := func(chain string) (Hash, ForkList) {
				c, ok := v.Chains[chain]
				if !ok {
					t.Fatalf("chain %q is not defined", chain)
				}
				return c.Genesis, ForkList{Blocks: c.Blocks, Times: c.Times}
			}
			for _, c := range v.IDs {
				genesis, forks := list(c.Chain)
				if got := forks.ID(genesis, Head{Number: c.Number, Time: c.Time}); got != c.ID {
					t.Errorf("%s at block %d, time %d: fork id %v, want %v", c.Chain, c.Number, c.Time, got, c.ID)
				}
			}
			for _, c := range v.Checks {
				genesis, forks := list(c.Chain)
				want := map[string]error{"": nil, "remote stale": ErrRemoteStale, "local stale": ErrLocalStale}[c.Want]
				if c.Want != "" && want == nil {
					t.Fatalf("unknown verdict %q", c.Want)
				}
				err := forks.Check(genesis, Head{Number: c.Number, Time: c.Time}, c.Remote)
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("%s at block %d, time %d with %v: %v, want %v", c.Chain, c.Number, c.Time, c.Remote, err, want)
				}
				if err != nil && !errors.Is(err, ErrForkID) {
					t.Errorf("%v does not wrap ErrForkID", err)
				}
			}
			for _, c := range v.RLP {
				b, err := rlp.Encode(c.ID)
				if got := hex.EncodeToString(b); err != nil || got != c.RLP {
					t.Errorf("encoding of %v: %s, %v; want %s", c.ID, got, err, c.RLP)
				}
				var back ForkID
				if err := rlp.Decode(b, &back); err != nil || back != c.ID {
					t.Errorf("decoding %s: %v, %v; want %v", c.RLP, back, err, c.ID)
				}
			}
		})
	}
}

// The built-in chains have the fork hashes that were published for each of their
// forks, and every one of their forks but Prague on two of them is among those.
func TestChainsPublished(t *testing.T) {
	var rows []struct {
		Chain        string
		Number, Time uint64
		Hash         string
		Source       string
	}
	readJSON(t, "published.json", &rows)
	if len(rows) != 29 {
		t.Errorf("%d rows, want 29", len(rows))
	}
	seen := make(map[string]map[uint32]bool)
	for _, r := range rows {
		c, ok := ChainNamed(r.Chain)
		if !ok {
			t.Fatalf("no chain named %q", r.Chain)
		}
		id := c.Forks.ID(c.Genesis, Head{Number: r.Number, Time: r.Time})
		if got, _, _ := strings.Cut(id.String(), ","); got != r.Hash {
			t.Errorf("%s at block %d, time %d: fork hash %s, want %s (%s)", r.Chain, r.Number, r.Time, got, r.Hash, r.Source)
		}
		if seen[r.Chain] == nil {
			seen[r.Chain] = make(map[uint32]bool)
		}
		seen[r.Chain][id.Hash] = true
	}
	for name, want := range map[string]int{"mainnet": 18, "sepolia": 6, "hoodi": 5} {
		if got := len(seen[name]); got != want {
			t.Errorf("%s: %d published states, want %d", name, got, want)
		}
	}
	for name, want := range map[string]int{"mainnet": 19, "sepolia": 9, "hoodi": 5} {
		c, _ := ChainNamed(name)
		if got := len(c.Forks.chain(c.Genesis).sums); got != want {
			t.Errorf("%s: %d states, want %d", name, got, want)
		}
	}
	if _, ok := ChainNamed("olympic"); ok {
		t.Error("ChainNamed finds a chain that is not there")
	}
}

// Order and repetition of the entries do not matter, and what is in force from
// genesis is no fork.
func TestForkListTidy(t *testing.T) {
	genesis := Hash{1}
	plain := ForkList{Blocks: []uint64{5, 10}, Times: []uint64{2000, 3000}, GenesisTime: 1000}
	messy := ForkList{Blocks: []uint64{10, 0, 5, 0, 10}, Times: []uint64{3000, 999, 1000, 2000, 2000, 0}, GenesisTime: 1000}
	for _, head := range []Head{{}, {Number: 5}, {Number: 10}, {Number: 10, Time: 2000}, {Number: 99, Time: 3000}} {
		if a, b := plain.ID(genesis, head), messy.ID(genesis, head); a != b {
			t.Errorf("head %v: %v and %v, want the same", head, a, b)
		}
	}
	if got := messy.Blocks[0]; got != 10 {
		t.Errorf("the list was changed: first block %d", got)
	}
	// A head that has the time of a fork but not the block before it has not
	// passed it: forks by time come after those by block.
	if a, b := plain.ID(genesis, Head{Number: 5, Time: 9999}), plain.ID(genesis, Head{Number: 5}); a != b {
		t.Errorf("a fork by time was passed before one by block: %v, want %v", a, b)
	}
}

// Mainnet after Shanghai: which fork ids are let in, with the time deciding.
func TestForkCheckMainnet(t *testing.T) {
	c := Mainnet()
	const prague, osaka = 1746612311, 1764798551
	at := func(time uint64) Head { return Head{Number: 22_500_000, Time: time} }
	id := func(time uint64) ForkID { return c.Forks.ID(c.Genesis, at(time)) }
	for _, tt := range []struct {
		name   string
		time   uint64
		remote ForkID
		want   error
	}{
		{"same", prague, id(prague), nil},
		{"no next known", prague, ForkID{Hash: id(prague).Hash}, nil},
		{"other next ahead", prague, ForkID{Hash: id(prague).Hash, Next: osaka + 1}, nil},
		{"other next behind", prague + 10, ForkID{Hash: id(prague).Hash, Next: prague + 10}, ErrLocalStale},
		{"next a block after forks by time", prague, ForkID{Hash: id(prague).Hash, Next: 99_000_000}, ErrLocalStale},
		{"next a time before any fork by time", 1681338000, ForkID{Hash: 0xf0afd0e3, Next: 1681330000}, ErrLocalStale},
		{"next our first fork by time", 1681338000, ForkID{Hash: 0xf0afd0e3, Next: 1681338455}, nil},
		{"remote syncing", osaka, id(prague), nil},
		{"remote never heard of osaka", osaka, ForkID{Hash: id(prague).Hash}, ErrRemoteStale},
		{"remote has another date", osaka, ForkID{Hash: id(prague).Hash, Next: osaka + 1}, ErrRemoteStale},
		{"local syncing", prague, id(osaka), nil},
		{"local at genesis", 0, id(osaka), nil},
		{"unknown fork", osaka, ForkID{Hash: extend(id(osaka).Hash, 5)}, ErrLocalStale},
		{"sepolia", osaka, ForkID{Hash: 0xe2ae4999, Next: 1761017184}, ErrLocalStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := c.Forks.Check(c.Genesis, at(tt.time), tt.remote)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v with %v: %v, want %v", id(tt.time), tt.remote, err, tt.want)
			}
			if err == nil {
				return
			}
			f, ok := errors.AsType[*ForkError](err)
			if !ok || f.Local != id(tt.time) || f.Remote != tt.remote {
				t.Errorf("error does not name both fork ids: %#v", err)
			}
		})
	}
}

// Two nodes on one chain agree about each other, whatever state either is in:
// one that refuses while the other accepts would be dialed for ever.
func TestForkCheckSymmetric(t *testing.T) {
	for _, c := range Chains() {
		var heads []Head
		for _, b := range slices.Concat([]uint64{0}, c.Forks.Blocks) {
			heads = append(heads, Head{Number: b, Time: c.Forks.GenesisTime})
		}
		for _, tm := range c.Forks.Times {
			heads = append(heads, Head{Number: 1 << 30, Time: tm}, Head{Number: 1 << 30, Time: tm - 1})
		}
		for _, a := range heads {
			for _, b := range heads {
				if err := c.Forks.Check(c.Genesis, a, c.Forks.ID(c.Genesis, b)); err != nil {
					t.Errorf("%s: head %v refuses head %v: %v", c.Name, a, b, err)
				}
			}
		}
	}
}

// A node that knows only its own fork id accepts its own state and one fork
// either way.
func TestForkIDCheck(t *testing.T) {
	c := Mainnet()
	var ids []ForkID
	for _, tm := range c.Forks.Times {
		ids = append(ids, c.Forks.ID(c.Genesis, Head{Number: 1 << 30, Time: tm}))
	}
	for i, ours := range ids {
		for j, theirs := range ids {
			err := ours.Check(Head{Number: 1 << 30, Time: c.Forks.Times[i]}, theirs)
			if near := max(i-j, j-i) <= 1; near != (err == nil) {
				t.Errorf("%v with %v, %d forks apart: %v", ours, theirs, j-i, err)
			}
		}
	}
	ours := ForkID{Hash: 0x5942bfc2}
	if err := ours.Check(Head{Number: 600}, ForkID{Hash: 0x5942bfc2, Next: 600}); !errors.Is(err, ErrLocalStale) {
		t.Errorf("a fork at our head that we do not know: %v, want ErrLocalStale", err)
	}
	if err := ours.Check(Head{Number: 600}, ForkID{Hash: 0x5942bfc2, Next: math.MaxUint64}); err != nil {
		t.Errorf("a fork far ahead: %v, want nil", err)
	}
}

// A fork id is refused unless it is a list of 4 bytes and an integer of 64 bits.
func TestForkIDRefusals(t *testing.T) {
	for _, tt := range []struct {
		input string
		want  error
	}{
		{"", rlp.ErrTruncated},
		{"80", rlp.ErrExpectedList},
		{"c0", rlp.ErrTooFewElements},
		{"c58400000000", rlp.ErrTooFewElements},
		{"c58300000080", rlp.ErrSize},
		{"c7850000000000" + "80", rlp.ErrSize},
		{"c6c40000000080", rlp.ErrExpectedString},
		{"c6840000000000", rlp.ErrCanonical},
		{"cf8400000000" + "89010000000000000000", rlp.ErrTooLarge},
		{"c7840000000080" + "80", rlp.ErrTooManyElements},
	} {
		b, err := hex.DecodeString(tt.input)
		if err != nil {
			t.Fatal(err)
		}
		id := ForkID{Hash: 7}
		if err := rlp.Decode(b, &id); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.input, err, tt.want)
		}
		if id != (ForkID{Hash: 7}) {
			t.Errorf("%s: target was changed to %v", tt.input, id)
		}
	}
}
