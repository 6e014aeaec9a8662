package eth

import (
	"errors"
	"slices"

	"parley/p2p"
	"parley/rlp"
)

// maxBatch bounds the transactions that the handler gets at once, so that a
// message full of the smallest items costs no more memory than one of the
// largest.
const maxBatch = 1024

// errPanicked is what Removed gets when a handler panicked; the p2p.Server has the
// details.
var errPanicked = errors.New("eth: handler panicked")

// run is the session with one peer, from Status to the end of the connection.
func (s *Service) run(conn *p2p.Peer, rw p2p.MsgReadWriter, version uint) (err error) {
	p := &Peer{conn: conn, rw: rw, version: version, tracker: newTracker(s.cfg.MaxRequests)}
	if p.status, err = s.handshake(p); err != nil {
		return err
	}
	p.known = p.status.Range
	s.begin(p)
	err = errPanicked // unless listen returns
	defer func() { s.finish(p, err) }()
	return s.listen(p)
}

// begin makes the peer known.
func (s *Service) begin(p *Peer) {
	s.mu.Lock()
	s.peers[p.ID()] = p
	s.count.Sessions++
	s.mu.Unlock()
	s.cfg.Logger.Debug("Eth session", "peer", p.ID(), "version", p.version,
		"network", p.status.Network, "forkid", p.status.ForkID, "latest", p.status.Range.Latest)
}

// finish forgets the peer, unless a later session with the same node has taken its
// place, and ends the requests to it.
func (s *Service) finish(p *Peer, err error) {
	s.mu.Lock()
	if s.peers[p.ID()] == p {
		delete(s.peers, p.ID())
	}
	s.mu.Unlock()
	p.tracker.close()
	if f := s.cfg.Handler.Removed; f != nil {
		f(p, err)
	}
}

// listen reads and handles messages until the connection ends.
func (s *Service) listen(p *Peer) error {
	if f := s.cfg.Handler.Added; f != nil {
		f(p)
	}
	for {
		msg, err := p.rw.ReadMsg()
		if err != nil {
			return err
		}
		err = s.handle(p, &msg)
		msg.Release()
		if err != nil {
			return err
		}
	}
}

// handle deals with one message after Status. An error ends the session.
func (s *Service) handle(p *Peer, msg *p2p.Msg) error {
	m, ok := Describe(p.version, msg.Code)
	switch {
	case !ok:
		return refuse(p2p.DiscProtocolError, "%w: code %#x in eth/%d", ErrMessageCode, msg.Code, p.version)
	case msg.Size() > MaxMessageSize:
		return refuse(p2p.DiscProtocolError, "%w: %s of %d bytes, at most %d",
			ErrMessageSize, m.Name, msg.Size(), MaxMessageSize)
	}
	var err error
	switch m.Role {
	case Handshake:
		return refuse(p2p.DiscProtocolError, "%w", ErrExtraStatus)
	case Obsolete:
		s.tally(func(c *counters) { c.Obsolete++ })
	case Request:
		return s.answer(p, m, msg.Payload)
	case Response:
		err = s.deliver(p, m, msg.Payload)
	case Gossip:
		switch m.Code {
		case TransactionsMsg:
			err = s.transactions(p, msg.Payload)
		case NewPooledTransactionHashesMsg:
			err = s.announcement(p, msg.Payload)
		case BlockRangeUpdateMsg:
			err = s.rangeUpdate(p, msg.Payload)
		}
	}
	if err != nil {
		return &refusal{p2p.DiscProtocolError, &about{m.Name, err}}
	}
	return nil
}

// answer sends the empty answer to a request.
func (s *Service) answer(p *Peer, m Message, payload []byte) error {
	e, err := parseEnvelope(m, payload)
	var b []byte
	if err == nil {
		b, err = appendEmptyAnswer(nil, p.version, m, &e)
	}
	if err != nil {
		return &refusal{p2p.DiscProtocolError, &about{m.Name, err}}
	}
	s.tally(func(c *counters) { c.answered[m.Code]++ })
	return p.write(m.Answer, b)
}

// deliver hands an answer to the call of Request that waits for it. One that
// nobody waits for is counted and dropped: it may be late.
func (s *Service) deliver(p *Peer, m Message, payload []byte) error {
	e, err := parseEnvelope(m, payload)
	if err != nil {
		return err
	}
	w, ok := p.tracker.take(e.id, m.Code)
	if !ok {
		s.tally(func(c *counters) { c.Unsolicited++ })
		return nil
	}
	s.tally(func(c *counters) { c.Answers++ })
	items := make([]rlp.Raw, m.Items-1)
	for i := range items {
		items[i] = slices.Clone(e.items[i])
	}
	w.done <- items // has room for the one that take gives out
	return nil
}

func (s *Service) transactions(p *Peer, payload []byte) error {
	if err := rlp.Valid(payload); err != nil {
		return err
	}
	c := rlp.NewCursor(payload)
	list, err := c.List()
	if err != nil {
		return err
	}
	n, err := list.Count()
	if err != nil {
		return err
	}
	s.tally(func(c *counters) {
		c.TransactionMessages++
		c.Transactions += uint64(n)
	})
	f := s.cfg.Handler.Transactions
	if f == nil {
		return nil
	}
	batch := make([]rlp.Raw, 0, min(n, maxBatch))
	for list.More() {
		tx, err := list.Raw()
		if err != nil {
			return err
		}
		batch = append(batch, tx)
		if len(batch) == maxBatch || !list.More() {
			f(p, batch)
			batch = batch[:0]
		}
	}
	return nil
}

func (s *Service) announcement(p *Peer, payload []byte) error {
	a, err := parseAnnouncement(p.version, payload)
	if err != nil {
		return err
	}
	n := len(a.types)
	s.tally(func(c *counters) {
		c.Announcements++
		c.Announced += uint64(n)
		if n > MaxAnnouncement {
			c.LargeAnnouncements++
		}
	})
	if f := s.cfg.Handler.Announcement; f != nil {
		f(p, a.copy())
	}
	return nil
}

func (s *Service) rangeUpdate(p *Peer, payload []byte) error {
	var r BlockRange
	if err := rlp.Decode(payload, &r); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	p.setBlockRange(r)
	s.tally(func(c *counters) { c.RangeUpdates++ })
	if f := s.cfg.Handler.BlockRange; f != nil {
		f(p, r)
	}
	return nil
}
