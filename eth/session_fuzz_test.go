package eth

import (
	"errors"
	"testing"

	"parley/p2p"
	"parley/rlp"
)

// A sink keeps the last message written to it.
type sink struct{ last p2p.Msg }

func (s *sink) ReadMsg() (p2p.Msg, error) { return p2p.Msg{}, p2p.ErrPipeClosed }
func (s *sink) WriteMsg(m p2p.Msg) error  { s.last = m; return nil }

// Whatever arrives after Status is either dealt with or ends the session with a
// reason; a request that does not end it is answered with its own id.
func FuzzSession(f *testing.F) {
	for version := uint(MinVersion); version <= MaxVersion; version++ {
		for code := range Length(version) {
			f.Add(version, code, []byte{0xc2, 0x07, 0xc0})
			f.Add(version, code, []byte{0xc3, 0x07, 0x80, 0xc0})
		}
	}
	a, err := testAnnouncement(2).appendFor(72, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint(72), uint64(NewPooledTransactionHashesMsg), a)

	cfg := testConfig()
	cfg.Handler = Handler{
		Transactions: func(_ *Peer, txs []rlp.Raw) {
			for _, tx := range txs {
				if rlp.Valid(tx) != nil {
					panic("a transaction is not canonical RLP")
				}
			}
		},
		Announcement: func(_ *Peer, a Announcement) {
			if len(a.Types) != a.Len() || len(a.Sizes) != a.Len() {
				panic("an announcement is uneven")
			}
		},
		BlockRange: func(_ *Peer, r BlockRange) {
			if r.Validate() != nil {
				panic("a block range is invalid")
			}
		},
	}
	s, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, version uint, code uint64, payload []byte) {
		out := new(sink)
		p := &Peer{conn: p2p.NewPeer(testNode(t, 1), "", nil), rw: out, version: version, tracker: newTracker(1), status: theirStatus(69)}
		err := s.handle(p, &p2p.Msg{Code: code, Payload: payload})
		if err != nil {
			if _, ok := errors.AsType[p2p.DiscReason](err); !ok || out.last.Payload != nil {
				t.Fatalf("%v has no reason, or came after an answer", err)
			}
			return
		}
		m, ok := Describe(version, code)
		if !ok {
			t.Fatalf("eth/%d took message %#x", version, code)
		}
		if m.Role != Request {
			if out.last.Payload != nil {
				t.Fatalf("%s was answered", m.Name)
			}
			return
		}
		asked, err1 := parseEnvelope(m, payload)
		answer, _ := Describe(version, m.Answer)
		told, err2 := parseEnvelope(answer, out.last.Payload)
		if err1 != nil || err2 != nil || out.last.Code != m.Answer || told.id != asked.id {
			t.Fatalf("%s %x answered by %#x %x: %v, %v", m.Name, payload, out.last.Code, out.last.Payload, err1, err2)
		}
	})
}
