package eth

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/p2p"
	"parley/rlp"
)

// An asked is a call of Request that goes on in the background.
type asked struct {
	wg    sync.WaitGroup
	items []rlp.Raw
	err   error
}

func ask(ctx context.Context, p *Peer, code uint64, query ...any) *asked {
	a := new(asked)
	a.wg.Go(func() { a.items, a.err = p.Request(ctx, code, query...) })
	return a
}

func (a *asked) wait() ([]rlp.Raw, error) {
	a.wg.Wait()
	return a.items, a.err
}

// requestID reads a request of the given code and returns its id.
func (r *remote) requestID(code uint64) uint64 {
	r.t.Helper()
	msg := r.read()
	m, _ := Describe(r.version, code)
	e, err := parseEnvelope(m, msg.Payload)
	if msg.Code != code || err != nil {
		r.t.Fatalf("message %#x, %v; want %s", msg.Code, err, m.Name)
	}
	return e.id
}

// P11 of ADVERSARIES.md: request ids are good for one answer of one kind from one
// peer, and those that wait are bounded.
func TestP11(t *testing.T) {
	bubble := func(name string, f func(t *testing.T, s *Service, r *remote, p *Peer)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, testConfig())
				r := connect(t, s, 72, 1)
				f(t, s, r, r.greet(s))
				r.close()
			})
		})
	}
	answers := func(t *testing.T, s *Service, good, bad uint64) {
		t.Helper()
		if st := s.Stats(); st.Answers != good || st.Unsolicited != bad {
			t.Errorf("%d answers and %d unsolicited, want %d and %d", st.Answers, st.Unsolicited, good, bad)
		}
	}

	bubble("never answered", func(t *testing.T, s *Service, r *remote, p *Peer) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var calls []*asked
		ids := make(map[uint64]bool)
		for range 64 {
			calls = append(calls, ask(ctx, p, GetBlockBodiesMsg, []Hash{}))
			ids[r.requestID(GetBlockBodiesMsg)] = true
		}
		if len(ids) != 64 || p.tracker.pending() != 64 {
			t.Errorf("%d ids, %d waiting; want 64", len(ids), p.tracker.pending())
		}
		if _, err := p.Request(ctx, GetBlockBodiesMsg, []Hash{}); err != ErrTooManyRequests {
			t.Errorf("request 65: %v, want %v", err, ErrTooManyRequests)
		}
		for _, a := range calls {
			if _, err := a.wait(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("never answered: %v, want DeadlineExceeded", err)
			}
		}
		if n := p.tracker.pending(); n != 0 {
			t.Errorf("%d still waiting after the deadline", n)
		}
		for id := range ids { // and now they all come
			r.send(BlockBodiesMsg, []any{id, []any{}})
		}
		r.roundTrip()
		answers(t, s, 0, 64)
	})
	bubble("answered twice", func(t *testing.T, s *Service, r *remote, p *Peer) {
		a := ask(t.Context(), p, GetBlockBodiesMsg, []Hash{{1}})
		id := r.requestID(GetBlockBodiesMsg)
		r.send(BlockBodiesMsg, []any{id, []uint{5, 6}})
		r.send(BlockBodiesMsg, []any{id, []uint{7}})
		r.roundTrip()
		if items, err := a.wait(); err != nil || !reflect.DeepEqual(items, []rlp.Raw{{0xc2, 5, 6}}) {
			t.Errorf("answer %x, %v; want the first", items, err)
		}
		answers(t, s, 1, 1)
	})
	bubble("answered by another kind", func(t *testing.T, s *Service, r *remote, p *Peer) {
		a := ask(t.Context(), p, GetBlockBodiesMsg, []Hash{{1}})
		id := r.requestID(GetBlockBodiesMsg)
		r.send(BlockHeadersMsg, []any{id, []uint{5}})
		r.roundTrip()
		answers(t, s, 0, 1)
		r.send(BlockBodiesMsg, []any{id, []uint{6}})
		if items, err := a.wait(); err != nil || !reflect.DeepEqual(items, []rlp.Raw{{0xc1, 6}}) {
			t.Errorf("answer %x, %v; want the one of its kind", items, err)
		}
	})
	bubble("answered by another peer", func(t *testing.T, s *Service, r *remote, p *Peer) {
		other := connect(t, s, 72, 2)
		other.greet(s)
		a := ask(t.Context(), p, GetBlockBodiesMsg, []Hash{{1}})
		id := r.requestID(GetBlockBodiesMsg)
		other.send(BlockBodiesMsg, []any{id, []uint{5}})
		other.roundTrip()
		if p.tracker.pending() != 1 {
			t.Error("another peer's answer was taken")
		}
		answers(t, s, 0, 1)
		r.send(BlockBodiesMsg, []any{id, []uint{6}})
		if items, err := a.wait(); err != nil || !reflect.DeepEqual(items, []rlp.Raw{{0xc1, 6}}) {
			t.Errorf("answer %x, %v; want that of the peer that was asked", items, err)
		}
		other.close()
	})
	bubble("peer gone", func(t *testing.T, s *Service, r *remote, p *Peer) {
		a := ask(t.Context(), p, GetBlockBodiesMsg, []Hash{{1}})
		r.requestID(GetBlockBodiesMsg)
		r.close()
		if _, err := a.wait(); err != ErrPeerGone {
			t.Errorf("request waiting at the end: %v, want %v", err, ErrPeerGone)
		}
		if _, err := p.Request(t.Context(), GetBlockBodiesMsg, []Hash{{1}}); err != ErrPeerGone {
			t.Errorf("request after the end: %v, want %v", err, ErrPeerGone)
		}
	})
}

// The requests of each version are asked in its form, and unknown ones not at all.
func TestRequestForms(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint) {
		s := newService(t, testConfig())
		r := connect(t, s, version, 1)
		p := r.greet(s)
		for code := range uint64(0x16) {
			m, ok := Describe(version, code)
			if !ok || m.Role != Request {
				if _, err := p.Request(t.Context(), code, []Hash{}); !errors.Is(err, ErrNotRequest) {
					t.Errorf("%#x: %v, want ErrNotRequest", code, err)
				}
				continue
			}
			query := slices.Repeat([]any{[]Hash{{9}}}, m.Items-1)
			if _, err := p.Request(t.Context(), code, append(query, 1)...); !errors.Is(err, ErrNotRequest) {
				t.Errorf("%s with one element more: %v, want ErrNotRequest", m.Name, err)
			}
			a := ask(t.Context(), p, code, query...)
			id := r.requestID(code)
			answer, _ := Describe(version, m.Answer)
			reply, want := []any{id}, []rlp.Raw{}
			for i := range byte(answer.Items - 1) {
				reply, want = append(reply, i+4), append(want, rlp.Raw{i + 4})
			}
			r.send(m.Answer, reply)
			if items, err := a.wait(); err != nil || !reflect.DeepEqual(items, want) {
				t.Errorf("%s: answer %x, %v; want %x", m.Name, items, err, want)
			}
		}
		if p.tracker.pending() != 0 {
			t.Errorf("%d requests are left", p.tracker.pending())
		}
		r.close()
	})
}

// Transactions and headers come as a list no longer than what was asked for.
func TestRequestLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, testConfig())
		r := connect(t, s, 69, 1)
		p := r.greet(s)
		for _, tt := range []struct {
			answer any
			want   []rlp.Raw
			err    error
		}{
			{[]uint{5, 6}, []rlp.Raw{{5}, {6}}, nil},
			{[]uint{}, []rlp.Raw{}, nil},
			{[]uint{5, 6, 7}, nil, ErrAnswer},
			{"not a list", nil, ErrAnswer},
		} {
			for _, code := range []uint64{GetPooledTransactionsMsg, GetBlockHeadersMsg} {
				var wg sync.WaitGroup
				var items []rlp.Raw
				var err error
				wg.Go(func() {
					if code == GetBlockHeadersMsg {
						items, err = p.RequestHeaders(t.Context(), HeaderQuery{FromHash: Hash{1}, Limit: 2})
					} else {
						items, err = p.RequestTransactions(t.Context(), []Hash{{1}, {2}})
					}
				})
				r.send(code+1, []any{r.requestID(code), tt.answer})
				wg.Wait()
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) || !reflect.DeepEqual(items, tt.want) {
					t.Errorf("%#x answered %v: %x, %v; want %x, %v", code, tt.answer, items, err, tt.want, tt.err)
				}
			}
		}
		r.close()
	})
}

// Two services send each other transactions, announcements and requests; the
// requests are answered empty.
func TestServiceToService(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint) {
		a, b := newService(t, testConfig()), newService(t, testConfig())
		left, right := p2p.MsgPipe()
		sa, sb := serve(t, a, version, 2, left), serve(t, b, version, 1, right)
		synctest.Wait()
		p, ok := a.Peer(sa.conn.ID())
		if !ok {
			t.Fatal("no session")
		}
		if err := p.SendTransactions(rlp.Raw{0xc0}, rlp.Raw{0x82, 2, 2}); err != nil {
			t.Error(err)
		}
		if err := p.Announce(*testAnnouncement(5)); err != nil {
			t.Error(err)
		}
		if items, err := p.RequestTransactions(t.Context(), []Hash{{1}}); err != nil || len(items) != 0 {
			t.Errorf("transactions: %v, %v; want none", items, err)
		}
		if items, err := p.RequestHeaders(t.Context(), HeaderQuery{Limit: 1}); err != nil || len(items) != 0 {
			t.Errorf("headers: %v, %v; want none", items, err)
		}
		if st := b.Stats(); st.Transactions != 2 || st.Announced != 5 {
			t.Errorf("%d transactions, %d announced; want 2, 5", st.Transactions, st.Announced)
		}
		if err := p.SendTransactions(); err == nil {
			t.Error("an empty Transactions message was sent")
		}
		if err := p.SendTransactions(make(rlp.Raw, 0)); err == nil {
			t.Error("a transaction that is no RLP was sent")
		}
		big := rlp.Raw(encode(t, make([]byte, MaxMessageSize)))
		if err := p.SendTransactions(big); !errors.Is(err, ErrMessageSize) {
			t.Errorf("more than 10 MiB: %v, want ErrMessageSize", err)
		}
		if want := fmt.Sprintf("%.16s eth/%d", sa.conn.ID().String(), version); p.String() != want {
			t.Errorf("peer is %q, want %q", p, want)
		}
		left.Close()
		sa.wait()
		sb.wait()
	})
}
