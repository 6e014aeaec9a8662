package eth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/p2p"
	"parley/rlp"
)

// P10 of ADVERSARIES.md: questions for headers that overflow, underflow or ask for
// nothing get an empty reply with their request id, and the session goes on.
func TestP10(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint) {
		s := newService(t, testConfig())
		r := connect(t, s, version, 1)
		r.greet(s)
		id := uint64(math.MaxUint64)
		for _, q := range []HeaderQuery{
			{From: 0, Limit: 0},
			{From: 1, Limit: 1, Skip: math.MaxUint64},
			{From: 1, Limit: 10, Skip: 1, Reverse: true},
			{From: math.MaxUint64, Limit: math.MaxUint64, Skip: math.MaxUint64},
			{From: 0, Limit: math.MaxUint64, Skip: math.MaxUint64, Reverse: true},
			{FromHash: Hash{1}, Limit: math.MaxUint64, Reverse: true},
		} {
			r.send(GetBlockHeadersMsg, []any{id, q})
			if err := p2p.ExpectMsg(r.rw, BlockHeadersMsg, []any{id, []any{}}); err != nil {
				t.Errorf("%+v: %v", q, err)
			}
			id--
		}
		if got := s.Stats().Answered["GetBlockHeaders"]; got != 6 {
			t.Errorf("%d answered, want 6", got)
		}
		r.close()
	})
}

// Every request of every version gets the answer of its kind, with its id, and
// never a disconnect.
func TestRequestsAnswered(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint) {
		s := newService(t, testConfig())
		r := connect(t, s, version, 1)
		r.greet(s)
		want := make(map[string]uint64)
		for id := range uint64(3) {
			for code := range Length(version) {
				m, ok := Describe(version, code)
				if !ok || m.Role != Request {
					continue
				}
				query := [][]any{{id, []Hash{{1}, {2}}}, {id, uint(7), []Hash{{1}}}}[m.Items-2]
				if code == GetCellsMsg {
					query = []any{id, []Hash{{1}}, CellMask{}}
				}
				r.send(code, query)
				msg := r.read()
				answer, _ := Describe(version, m.Answer)
				e, err := parseEnvelope(answer, msg.Payload)
				if msg.Code != m.Answer || err != nil || e.id != id {
					t.Fatalf("%s with id %d is answered by %#x with id %d, %v", m.Name, id, msg.Code, e.id, err)
				}
				want[m.Name]++
			}
		}
		want["GetBlockBodies"]++ // by greet
		if got := s.Stats().Answered; !reflect.DeepEqual(got, want) {
			t.Errorf("answered %v, want %v", got, want)
		}
		r.close()
	})
}

// A message that is not of its form ends the session as a breach of protocol.
func TestMalformed(t *testing.T) {
	for _, tt := range []struct {
		version uint
		code    uint64
		payload string
		want    error
	}{
		{69, GetBlockHeadersMsg, "c2c0c0", rlp.ErrExpectedString}, // no id to answer to
		{69, GetBlockHeadersMsg, "80", rlp.ErrExpectedList},
		{69, GetBlockHeadersMsg, "c301", rlp.ErrTruncated},
		{70, GetReceiptsMsg, "c201c0", rlp.ErrTooFewElements},
		{71, GetBlockAccessListsMsg, "c20180", rlp.ErrExpectedList},
		{69, BlockHeadersMsg, "c2c0c0", rlp.ErrExpectedString},
		{69, TransactionsMsg, "80", rlp.ErrExpectedList},
		{69, TransactionsMsg, "c28101", rlp.ErrCanonical},
		{69, NewPooledTransactionHashesMsg, "c301c0c0", ErrAnnouncement},
		{72, NewPooledTransactionHashesMsg, "c380c0c0", rlp.ErrTooFewElements},
		{69, BlockRangeUpdateMsg, "c20102", rlp.ErrTooFewElements},
		{68, BlockRangeUpdateMsg, "c0", ErrMessageCode},
		{70, GetBlockAccessListsMsg, "c201c0", ErrMessageCode},
		{71, GetCellsMsg, "c301c0c0", ErrMessageCode},
		{69, 0x0d, "c201c0", ErrMessageCode}, // GetNodeData, removed by EIP-4938
		{69, 1 << 40, "c0", ErrMessageCode},
	} {
		t.Run(fmt.Sprintf("eth%d %#x %s", tt.version, tt.code, tt.payload), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, testConfig())
				r := connect(t, s, tt.version, 1)
				r.greet(s)
				payload, err := hex.DecodeString(tt.payload)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.rw.WriteMsg(p2p.Msg{Code: tt.code, Payload: payload}); err != nil {
					t.Fatal(err)
				}
				r.wantEnd(tt.want, p2p.DiscProtocolError)
			})
		})
	}
}

// What was gossiped is counted and offered to the handler; nothing comes back.
func TestGossip(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint) {
		var txs []rlp.Raw
		var batches []int
		var anns []Announcement
		var ranges []BlockRange
		cfg := testConfig()
		cfg.Handler = Handler{
			Transactions: func(p *Peer, batch []rlp.Raw) {
				batches = append(batches, len(batch))
				for _, tx := range batch {
					txs = append(txs, slices.Clone(tx))
				}
			},
			Announcement: func(p *Peer, a Announcement) { anns = append(anns, a) },
			BlockRange:   func(p *Peer, b BlockRange) { ranges = append(ranges, b) },
		}
		s := newService(t, cfg)
		r := connect(t, s, version, 1)
		p := r.greet(s)

		legacy, typed := rlp.Raw(encode(t, []uint{1, 2, 3})), rlp.Raw(encode(t, []byte{2, 0xc0}))
		r.send(TransactionsMsg, []rlp.Raw{legacy, typed})
		r.send(TransactionsMsg, []rlp.Raw{})
		r.send(TransactionsMsg, slices.Repeat([]rlp.Raw{typed}, 2500))
		small, large := testAnnouncement(3), testAnnouncement(MaxAnnouncement+1)
		for _, a := range []*Announcement{small, large} {
			payload, err := a.appendFor(version, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.rw.WriteMsg(p2p.Msg{Code: NewPooledTransactionHashesMsg, Payload: payload}); err != nil {
				t.Fatal(err)
			}
		}
		r.send(NewBlockHashesMsg, []any{})
		r.send(NewBlockMsg, []any{})
		want := Stats{
			Peers: map[uint]int{version: 1}, Sessions: 1, Refused: map[string]uint64{},
			TransactionMessages: 3, Transactions: 2502,
			Announcements: 2, Announced: 3 + MaxAnnouncement + 1, LargeAnnouncements: 1,
			Obsolete: 2,
			Answered: map[string]uint64{"GetBlockBodies": 2},
		}
		update := BlockRange{Earliest: 7, Latest: 601, LatestHash: Hash{6}}
		if version >= 69 {
			r.send(BlockRangeUpdateMsg, update)
			want.RangeUpdates = 1
		}
		r.roundTrip()

		if got := s.Stats(); !reflect.DeepEqual(got, want) {
			t.Errorf("stats %+v\nwant %+v", got, want)
		}
		if !reflect.DeepEqual(txs[:2], []rlp.Raw{legacy, typed}) || len(txs) != 2502 || !bytes.Equal(txs[2501], typed) {
			t.Errorf("%d transactions, the first %x", len(txs), txs[:2])
		}
		if want := []int{2, 1024, 1024, 452}; !slices.Equal(batches, want) {
			t.Errorf("batches of %v, want %v", batches, want)
		}
		if !reflect.DeepEqual(anns, []Announcement{*small, *large}) {
			t.Errorf("%d announcements, not those sent", len(anns))
		}
		if version >= 69 && (!slices.Equal(ranges, []BlockRange{update}) || p.BlockRange() != update) {
			t.Errorf("block ranges %+v, peer %+v; want %+v", ranges, p.BlockRange(), update)
		}
		r.close()
	})
}

// An update to a range that cannot be ends the session.
func TestBlockRangeUpdateInvalid(t *testing.T) {
	for _, b := range []BlockRange{{Earliest: 2, Latest: 1, LatestHash: Hash{1}}, {Earliest: 1, Latest: 2}} {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, testConfig())
			r := connect(t, s, 69, 1)
			p := r.greet(s)
			r.send(BlockRangeUpdateMsg, b)
			r.wantEnd(ErrBlockRange, p2p.DiscProtocolError)
			if !strings.HasPrefix(r.err.Error(), "eth: BlockRangeUpdate: invalid block range: ") {
				t.Errorf("error text %q", r.err)
			}
			if got := p.BlockRange(); got != theirStatus(69).Range {
				t.Errorf("range became %+v", got)
			}
		})
	}
}

// After Status nothing is sent that was not asked for, in a day.
func TestQuiet(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint) {
		for _, cfg := range []Config{testConfig(), mirrorConfig()} {
			s := newService(t, cfg)
			r := connect(t, s, version, 1)
			if cfg.Mirror {
				r.send(StatusMsg, theirStatus(version))
				r.read()
			} else {
				r.greet(s)
			}
			read := make(chan error)
			go func() {
				_, err := r.rw.ReadMsg()
				read <- err
			}()
			select {
			case err := <-read:
				t.Errorf("something came: %v", err)
			case <-time.After(24 * time.Hour):
			}
			r.rw.Close()
			if err := <-read; !errors.Is(err, p2p.ErrPipeClosed) {
				t.Errorf("something came at the end: %v", err)
			}
			r.wait()
		}
	})
}

// P9 of ADVERSARIES.md: bombs end the session as a breach of protocol, or are
// harmless, and handling them allocates no more than twice their size and 64 KiB.
func TestP9(t *testing.T) {
	const size = 1 << 20
	bomb := func(item ...byte) []byte {
		b := rlp.AppendList(nil, size)
		return append(b, bytes.Repeat(item, size/len(item))...)
	}
	deep := func(depth int) []byte {
		b := []byte{0xc0}
		for range depth {
			b = append(rlp.AppendList(make([]byte, 0, len(b)+5), len(b)), b...)
		}
		return b
	}
	huge := []byte{0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	request := func(query []byte) []byte {
		return append(append(rlp.AppendList(nil, 1+len(query)), 1), query...)
	}
	full, err := testAnnouncement(30000).appendFor(69, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.Handler = Handler{
		Transactions: func(*Peer, []rlp.Raw) {},
		Announcement: func(*Peer, Announcement) {},
		BlockRange:   func(*Peer, BlockRange) {},
	}
	for _, tt := range []struct {
		name    string
		code    uint64
		payload []byte
		want    error // nil: harmless
	}{
		{"a million empty lists", TransactionsMsg, bomb(0xc0), nil},
		{"a million empty strings", TransactionsMsg, bomb(0x80), nil},
		{"a million small lists", TransactionsMsg, bomb(0xc1, 0xc0), nil},
		{"depth 2000", TransactionsMsg, deep(2000), rlp.ErrDepth},
		{"depth 2000 in a request", GetBlockBodiesMsg, request(deep(2000)), rlp.ErrDepth},
		{"length 2^63-1", TransactionsMsg, huge, rlp.ErrTruncated},
		{"length 2^63-1 in a request", GetBlockHeadersMsg, huge, rlp.ErrTruncated},
		{"length in too many bytes", TransactionsMsg, []byte{0xf9, 0x00, 0x38}, rlp.ErrCanonical},
		{"announcement of empty lists", NewPooledTransactionHashesMsg, bomb(0xc0), rlp.ErrExpectedString},
		{"announcement of 30000", NewPooledTransactionHashesMsg, full, nil},
		{"range of empty lists", BlockRangeUpdateMsg, bomb(0xc0), rlp.ErrExpectedString},
		{"headers of empty lists", GetBlockHeadersMsg, bomb(0xc0), rlp.ErrExpectedString},
		{"answer nobody asked for", BlockBodiesMsg, request(bomb(0xc0)), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t, cfg)
			a, b := p2p.MsgPipe()
			b.Close()
			p := &Peer{conn: p2p.NewPeer(testNode(t, 1), "", nil), rw: a, version: 69, tracker: newTracker(1), status: theirStatus(69)}
			msg := p2p.Msg{Code: tt.code, Payload: tt.payload}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := s.handle(p, &msg)
			runtime.ReadMemStats(&after)
			if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(2*len(tt.payload)+64<<10); got > limit {
				t.Errorf("%d bytes allocated for %d, at most %d", got, len(tt.payload), limit)
			}
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if reason, ok := errors.AsType[p2p.DiscReason](err); err != nil && (!ok || reason != p2p.DiscProtocolError) {
				t.Errorf("reason %v, want %v", reason, p2p.DiscProtocolError)
			}
		})
	}
}

// A handler that panics leaves no session behind and is told that the peer is
// gone.
func TestHandlerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var removed error
		cfg := testConfig()
		cfg.Handler.Transactions = func(*Peer, []rlp.Raw) { panic("boom") }
		cfg.Handler.Removed = func(_ *Peer, err error) { removed = err }
		s := newService(t, cfg)
		ours, theirs := p2p.MsgPipe()
		conn := p2p.NewPeer(testNode(t, 1), "", nil)
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			s.run(conn, ours, 69)
		}()
		if _, err := theirs.ReadMsg(); err != nil {
			t.Fatal(err)
		}
		p2p.Send(theirs, StatusMsg, theirStatus(69))
		p2p.Send(theirs, TransactionsMsg, []rlp.Raw{{0xc0}})
		if v := <-done; v != "boom" {
			t.Errorf("recovered %v, want the handler's panic", v)
		}
		if len(s.Peers()) != 0 || removed != errPanicked {
			t.Errorf("%d peers left, Removed got %v", len(s.Peers()), removed)
		}
	})
}

// Added and Removed come in pairs, also for a node that came back before its
// first session had ended; its second session stays known.
func TestAddedRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		cfg := testConfig()
		cfg.Handler.Added = func(p *Peer) { log = append(log, fmt.Sprintf("+%d", p.Version())) }
		cfg.Handler.Removed = func(p *Peer, err error) {
			log = append(log, fmt.Sprintf("-%d %v", p.Version(), errors.Is(err, p2p.ErrPipeClosed)))
		}
		s := newService(t, cfg)
		first := connect(t, s, 69, 1)
		first.greet(s)
		second := connect(t, s, 70, 1)
		p := second.greet(s)
		first.close()
		if got, ok := s.Peer(p.ID()); !ok || got != p || p.Version() != 70 {
			t.Error("the end of the first session removed the second")
		}
		second.close()
		if want := []string{"+69", "+70", "-69 true", "-70 true"}; !slices.Equal(log, want) || len(s.Peers()) != 0 {
			t.Errorf("%v with %d left, want %v with none", log, len(s.Peers()), want)
		}
	})
}
