package eth

import (
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"parley/enode"
	"parley/enr"
	"parley/p2p"
	"parley/rlp"
)

// New lists every mistake in the configuration.
func TestConfigMistakes(t *testing.T) {
	if _, err := New(testConfig()); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	if _, err := New(mirrorConfig()); err != nil {
		t.Errorf("a mirror: %v", err)
	}
	for _, c := range Chains() {
		if _, err := New(c.Config()); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	id := ForkID{Hash: 1}
	_, err := New(Config{
		Forks:           ForkList{Blocks: []uint64{1}},
		ForkID:          &id,
		Head:            Head{Number: 5},
		TotalDifficulty: big.NewInt(-1),
		Versions:        []uint{69, 67, 69, 73},
		MaxRequests:     -1,
	})
	want := []string{
		"eth: config: Genesis is missing",
		"eth: config: both Forks and ForkID are set",
		"eth: config: head: block 5 has no hash",
		"eth: config: TotalDifficulty is not an integer of at most 256 bits",
		"eth: config: Versions[1]: eth/67 is not one of eth/68 to eth/72",
		"eth: config: Versions[2]: eth/69 is listed twice",
		"eth: config: Versions[3]: eth/73 is not one of eth/68 to eth/72",
		"eth: config: MaxRequests is -1; it cannot be turned off",
	}
	if err == nil || !slices.Equal(strings.Split(err.Error(), "\n"), want) {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	cfg := testConfig()
	cfg.Earliest = 601
	if _, err := New(cfg); err == nil || err.Error() != "eth: config: earliest block 601 is after head 600" {
		t.Errorf("earliest after head: %v", err)
	}
	for name, cfg := range map[string]Config{
		"Network":         {Mirror: true, Network: 1},
		"Genesis":         {Mirror: true, Genesis: Hash{1}},
		"Forks":           {Mirror: true, Forks: ForkList{Times: []uint64{1}}},
		"ForkID":          {Mirror: true, ForkID: &id},
		"Head":            {Mirror: true, Head: Head{Time: 1}},
		"Earliest":        {Mirror: true, Earliest: 1},
		"TotalDifficulty": {Mirror: true, TotalDifficulty: big.NewInt(1)},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "Mirror takes the chain from the other side") {
			t.Errorf("mirror with %s: %v", name, err)
		}
	}
}

// The Service keeps no part of the Config that the caller may change.
func TestConfigCopied(t *testing.T) {
	cfg := testConfig()
	cfg.Forks = ForkList{}
	cfg.ForkID = &ForkID{Hash: 7}
	cfg.Versions = []uint{69, 70}
	cfg.TotalDifficulty = big.NewInt(5)
	s := newService(t, cfg)
	cfg.ForkID.Hash, cfg.Versions[0] = 8, 72
	cfg.TotalDifficulty.SetInt64(6)
	if got := s.Entry().ForkID; got.Hash != 7 {
		t.Errorf("fork id became %v", got)
	}
	if st := s.status(68); st.TotalDifficulty.Int64() != 5 {
		t.Errorf("total difficulty became %v", st.TotalDifficulty)
	}
	if got := s.Protocols(); len(got) != 2 || got[0].Version != 70 || got[1].Version != 69 {
		t.Errorf("%d protocols, the first eth/%d; want eth/70 and eth/69", len(got), got[0].Version)
	}
}

// All versions are offered unless told otherwise, highest first, and the record
// has one entry for all of them; a mirror's has none.
func TestProtocols(t *testing.T) {
	for _, cfg := range []Config{testConfig(), mirrorConfig()} {
		var versions []uint
		entries := 0
		s := newService(t, cfg)
		for _, p := range s.Protocols() {
			versions = append(versions, p.Version)
			if p.Name != "eth" || p.Length != Length(p.Version) || p.Run == nil {
				t.Errorf("%v has length %d", p.Cap(), p.Length)
			}
			for _, e := range p.Attributes {
				entries++
				if e != enr.Entry(s.Entry()) || e.ENRKey() != "eth" {
					t.Errorf("entry %v", e)
				}
			}
		}
		want := 1
		if cfg.Mirror {
			want = 0
		}
		if !slices.Equal(versions, []uint{72, 71, 70, 69, 68}) || entries != want {
			t.Errorf("versions %v with %d entries, want %d", versions, entries, want)
		}
	}
}

// SetHead changes what the next peer is told, and says when the record must too.
func TestSetHead(t *testing.T) {
	cfg := testConfig()
	s := newService(t, cfg)
	before := s.Entry()
	if forked, err := s.SetHead(Head{Number: 700, Hash: Hash{7}, Time: 1_790_000_000}); forked || err != nil {
		t.Errorf("no fork between: %v, %v", forked, err)
	}
	if st := s.status(69); st.Range != (BlockRange{Latest: 700, LatestHash: Hash{7}}) || st.ForkID != before.ForkID {
		t.Errorf("status %+v", st)
	}
	last := Head{Number: 800, Hash: Hash{8}, Time: 1_800_000_000}
	if forked, err := s.SetRange(650, last); !forked || err != nil {
		t.Errorf("at the fork: %v, %v; want true", forked, err)
	}
	if st := s.status(69); st.Range != (BlockRange{650, 800, Hash{8}}) || st.ForkID != cfg.Forks.ID(cfg.Genesis, last) || s.Entry().ForkID != st.ForkID {
		t.Errorf("status %+v, entry %v", st, s.Entry())
	}
	for _, h := range []Head{{Number: 649, Hash: Hash{1}}, {Number: 900}, {}} {
		if _, err := s.SetHead(h); err == nil {
			t.Errorf("head %v with earliest 650 was accepted", h)
		}
	}
	if got := s.NodeInfo(); got.Head != last.Hash {
		t.Errorf("a refused head was kept: %v", got.Head)
	}
	if _, err := s.SetRange(0, Head{}); err != nil || s.NodeInfo().Head != cfg.Genesis {
		t.Errorf("back to genesis: %v, head %v", err, s.NodeInfo().Head)
	}
	if _, err := newService(t, mirrorConfig()).SetHead(last); !errors.Is(err, ErrMirror) {
		t.Errorf("a mirror's head: %v, want ErrMirror", err)
	}
	cfg.Forks, cfg.ForkID = ForkList{}, &ForkID{Hash: 7}
	if forked, err := newService(t, cfg).SetHead(last); forked || err != nil {
		t.Errorf("with a fixed fork id: %v, %v; want false", forked, err)
	}
}

// The JSON of admin_nodeInfo.
func TestNodeInfo(t *testing.T) {
	b, err := json.Marshal(newService(t, testConfig()).NodeInfo())
	want := `{"network":3503995874084926,"genesis":"0x1518c33dab6ed4dbb2d0c48239ac2f00acc0e28dc43660bb745a0f127552024c",` +
		`"head":"0x9d78f73579811aa17b112188ce020cda4362b0d57a4a339a0c3911c4ace7220c"}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
	if got := newService(t, mirrorConfig()).NodeInfo(); got != (NodeInfo{Mirror: true}) {
		t.Errorf("a mirror: %+v", got)
	}
}

// A broadcaster that keeps what it is given.
type broadcaster struct {
	m     p2p.Outgoing
	peers []*p2p.Peer
}

func (b *broadcaster) Broadcast(m p2p.Outgoing, peers []*p2p.Peer) []p2p.Missed {
	b.m, b.peers = m, peers
	return []p2p.Missed{{}}
}

// BroadcastRange goes to all sessions but those of eth/68, which has no such
// message.
func TestBroadcastRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, testConfig())
		var open []*remote
		for i, v := range []uint{68, 69, 72} {
			r := connect(t, s, v, byte(i+1))
			r.greet(s)
			open = append(open, r)
		}
		if _, err := s.SetRange(3, Head{Number: 9, Hash: Hash{9}}); err != nil {
			t.Fatal(err)
		}
		var b broadcaster
		if missed := s.BroadcastRange(&b); len(missed) != 1 {
			t.Errorf("%d missed, want what the broadcaster said", len(missed))
		}
		want := p2p.Outgoing{Protocol: "eth", Code: 0x11, Payload: encode(t, []any{uint(3), uint(9), Hash{9}})}
		if !reflect.DeepEqual(b.m, want) {
			t.Errorf("message %+v, want %+v", b.m, want)
		}
		if len(b.peers) != 2 || !slices.Contains(b.peers, open[1].conn) || !slices.Contains(b.peers, open[2].conn) {
			t.Errorf("to %v, want the sessions of eth/69 and eth/72", b.peers)
		}
		for _, r := range open {
			r.close()
		}
		b = broadcaster{}
		if missed := newService(t, mirrorConfig()).BroadcastRange(&b); missed != nil || b.peers != nil || b.m.Code != 0 {
			t.Error("a mirror sent a range")
		}
	})
}

// Candidates are filtered by the fork id in their record.
func TestFilter(t *testing.T) {
	node := func(entries ...enr.Entry) *enode.Node {
		key, err := enode.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		r, err := enr.Sign(key, 1, entries...)
		if err != nil {
			t.Fatal(err)
		}
		n, err := enode.New(r)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	cfg := testConfig()
	good := cfg.Forks.ID(cfg.Genesis, cfg.Head)
	fixed := testConfig()
	fixed.Forks, fixed.ForkID = ForkList{}, &good
	for _, tt := range []struct {
		name              string
		node              *enode.Node
		configured, other error
	}{
		{"no record", testNode(t, 1), nil, nil},
		{"no entry", node(), ErrNoEntry, ErrNoEntry},
		{"our fork id", node(Entry{good}), nil, nil},
		{"our fork id and more", node(enr.With("eth", []any{good, uint(5)})), nil, nil},
		{"another chain", node(Entry{ForkID{Hash: 5}}), ErrLocalStale, nil},
		{"no fork id", node(enr.With("eth", []any{})), rlp.ErrTooFewElements, rlp.ErrTooFewElements},
	} {
		for _, c := range []struct {
			cfg  Config
			want error
		}{{cfg, tt.configured}, {fixed, tt.configured}, {mirrorConfig(), tt.other}} {
			for _, p := range newService(t, c.cfg).Protocols() {
				if err := p.Filter(tt.node); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("%s, mirror %v, %v: %v, want %v", tt.name, c.cfg.Mirror, p.Cap(), err, c.want)
				}
			}
		}
	}
}
