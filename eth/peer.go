package eth

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"parley/enode"
	"parley/p2p"
	"parley/rlp"
)

// A Peer is a session with one node after Status was exchanged. Its methods are
// safe for concurrent use, also after the session ended.
type Peer struct {
	conn    *p2p.Peer
	rw      p2p.MsgReadWriter
	version uint
	tracker *tracker
	status  *Status // theirs; set before the Peer is given to anybody

	mu    sync.Mutex // guards the field below
	known BlockRange // theirs, from Status and each BlockRangeUpdate
}

// ID returns the peer's node ID.
func (p *Peer) ID() enode.ID { return p.conn.ID() }

// Conn returns the connection.
func (p *Peer) Conn() *p2p.Peer { return p.conn }

// Version returns the version that runs, 68 to 72.
func (p *Peer) Version() uint { return p.version }

// Status returns the Status that the peer sent.
func (p *Peer) Status() Status {
	s := *p.status
	if s.TotalDifficulty != nil {
		s.TotalDifficulty = new(big.Int).Set(s.TotalDifficulty)
	}
	return s
}

// BlockRange returns the range that the peer last told. In eth/68 only its
// LatestHash is known, and stays what it was in Status.
func (p *Peer) BlockRange() BlockRange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known
}

func (p *Peer) setBlockRange(r BlockRange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = r
}

// String returns the node ID's first digits and the version.
func (p *Peer) String() string { return fmt.Sprintf("%.16s eth/%d", p.ID().String(), p.version) }

// end ends the connection because of err.
func (p *Peer) end(err error) {
	reason, ok := errors.AsType[p2p.DiscReason](err)
	if !ok {
		reason = p2p.DiscSubprotocolError
	}
	p.conn.DisconnectError(reason, err)
}

// SendTransactions sends transactions, each in the form that Handler.Transactions
// gets. Sending one twice to a peer, or back to where it came from, is the
// caller's to avoid.
func (p *Peer) SendTransactions(txs ...rlp.Raw) error {
	if len(txs) == 0 {
		return errors.New("eth: send transactions: there are none, and an empty message may end the connection")
	}
	return p.send(TransactionsMsg, txs)
}

// Announce tells the peer of transactions that can be fetched. Requests for them
// are answered empty all the same.
func (p *Peer) Announce(a Announcement) error {
	payload, err := a.appendFor(p.version, nil)
	if err != nil {
		return err
	}
	return p.write(NewPooledTransactionHashesMsg, payload)
}

func (p *Peer) send(code uint64, v any) error {
	payload, err := rlp.Encode(v)
	if err != nil {
		return fmt.Errorf("eth: %s: %w", messageName(p.version, code), err)
	}
	return p.write(code, payload)
}

func (p *Peer) write(code uint64, payload []byte) error {
	if len(payload) > MaxMessageSize {
		return fmt.Errorf("%w: %s of %d bytes, at most %d",
			ErrMessageSize, messageName(p.version, code), len(payload), MaxMessageSize)
	}
	return p.rw.WriteMsg(p2p.Msg{Code: code, Payload: payload})
}

// Request sends a request and waits for its answer, until ctx ends. The code is
// that of a Request of the session's version, query its elements after the
// request id; the result holds the elements of the answer after the request id,
// canonical RLP and otherwise unchecked.
//
// The error is or wraps ErrNotRequest, ErrTooManyRequests, ErrPeerGone, the
// cause of ctx's end, or what failed in sending. An answer that comes after ctx
// ended is dropped. A peer is free never to answer, so ctx should have a deadline.
func (p *Peer) Request(ctx context.Context, code uint64, query ...any) ([]rlp.Raw, error) {
	m, ok := Describe(p.version, code)
	switch {
	case !ok || m.Role != Request:
		return nil, fmt.Errorf("%w: eth/%d has no request %#x", ErrNotRequest, p.version, code)
	case len(query) != m.Items-1:
		return nil, fmt.Errorf("%w: eth/%d %s has %d elements after the id, not %d",
			ErrNotRequest, p.version, m.Name, m.Items-1, len(query))
	}
	id, w, err := p.tracker.open(m.Answer)
	if err != nil {
		return nil, err
	}
	if err := p.send(code, append([]any{id}, query...)); err != nil {
		p.tracker.drop(id)
		return nil, err
	}
	select {
	case items, ok := <-w.done:
		if !ok {
			return nil, ErrPeerGone
		}
		return items, nil
	case <-ctx.Done():
		p.tracker.drop(id)
		return nil, context.Cause(ctx)
	}
}

// RequestTransactions asks for transactions of the peer's pool by hash. It returns
// those that the peer gave, in the order of the request, possibly none. From
// eth/72 on, blob transactions come without their blobs.
func (p *Peer) RequestTransactions(ctx context.Context, hashes []Hash) ([]rlp.Raw, error) {
	items, err := p.Request(ctx, GetPooledTransactionsMsg, hashes)
	if err != nil {
		return nil, err
	}
	return listItems(items[0], len(hashes))
}

// A HeaderQuery names headers: up to Limit, beginning with the block FromHash or,
// if that is zero, number From, with Skip blocks left out between two of them,
// downwards if Reverse.
type HeaderQuery struct {
	From     uint64
	FromHash Hash
	Limit    uint64
	Skip     uint64
	Reverse  bool
}

// AppendRLP appends [start, limit, skip, reverse].
func (q HeaderQuery) AppendRLP(b []byte) ([]byte, error) {
	start := rlp.UintSize(q.From)
	if !q.FromHash.IsZero() {
		start = rlp.BytesSize(q.FromHash[:])
	}
	b = rlp.AppendList(b, start+rlp.UintSize(q.Limit)+rlp.UintSize(q.Skip)+1)
	if q.FromHash.IsZero() {
		b = rlp.AppendUint(b, q.From)
	} else {
		b = rlp.AppendBytes(b, q.FromHash[:])
	}
	b = rlp.AppendUint(b, q.Limit)
	b = rlp.AppendUint(b, q.Skip)
	return rlp.AppendBool(b, q.Reverse), nil
}

// RequestHeaders asks for block headers. It returns those that the peer gave,
// possibly none, unchecked.
func (p *Peer) RequestHeaders(ctx context.Context, q HeaderQuery) ([]rlp.Raw, error) {
	items, err := p.Request(ctx, GetBlockHeadersMsg, q)
	if err != nil {
		return nil, err
	}
	return listItems(items[0], int(min(q.Limit, MaxMessageSize)))
}
