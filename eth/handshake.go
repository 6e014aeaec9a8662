package eth

import (
	"errors"
	"sync"
	"time"

	"parley/p2p"
)

const (
	// statusTimeout bounds the wait for the other side's Status.
	statusTimeout = 5 * time.Second

	// mirrorTimeout bounds it when there is nothing to say before theirs came. Of
	// two mirrors that wait for each other, the first to give up tells the other;
	// the wait is short so that neither holds the other's slot.
	mirrorTimeout = time.Second

	// statusGrace is how long our Status may take to go out to somebody who is
	// refused.
	statusGrace = time.Second
)

// handshake exchanges Status. An error has ended the connection.
func (s *Service) handshake(p *Peer) (theirs *Status, err error) {
	if s.cfg.Mirror {
		theirs, err = s.mirror(p)
	} else {
		theirs, err = s.introduce(p)
	}
	if err != nil {
		s.tally(func(c *counters) { c.refused[cause(err)]++ })
	}
	return theirs, err
}

// introduce sends our Status at once and checks theirs.
func (s *Service) introduce(p *Peer) (*Status, error) {
	ours := s.status(p.version)

	// Both sides write first. On a connection that only fills a queue, but over a
	// pipe without one each would wait for the other to read.
	var writer sync.WaitGroup
	var writeErr error
	writer.Go(func() { writeErr = p2p.Send(p.rw, StatusMsg, ours) })

	theirs, err := p.awaitStatus(statusTimeout, p2p.DiscReadTimeout)
	if err == nil {
		err = s.verify(p.version, theirs)
	}
	if err != nil {
		// Ours goes out before the Disconnect: it tells the other side more than a
		// reason does. If nobody reads it, the end of the connection frees the
		// writer.
		stuck := time.AfterFunc(statusGrace, func() { p.end(err) })
		writer.Wait()
		stuck.Stop()
		p.end(err)
		return nil, err
	}
	writer.Wait()
	return theirs, writeErr
}

// mirror waits for their Status and answers in kind. The range is our own: we
// have no block but, in a manner of speaking, the one that all have.
func (s *Service) mirror(p *Peer) (*Status, error) {
	theirs, err := p.awaitStatus(mirrorTimeout, p2p.DiscUselessPeer)
	if err != nil {
		return nil, err
	}
	if err := s.verify(p.version, theirs); err != nil {
		return nil, err
	}
	return theirs, p2p.Send(p.rw, StatusMsg, &Status{
		Version: p.version,
		Network: theirs.Network,
		Genesis: theirs.Genesis,
		ForkID:  theirs.ForkID,
		Range:   BlockRange{LatestHash: theirs.Genesis},
	})
}

// status is what we tell a peer in the configured mode.
func (s *Service) status(version uint) *Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Status{
		Version:         version,
		Network:         s.cfg.Network,
		Genesis:         s.cfg.Genesis,
		ForkID:          s.forkID(),
		Range:           s.blockRange(),
		TotalDifficulty: s.cfg.TotalDifficulty,
	}
}

// awaitStatus reads the first message. If it does not come in time, the
// connection ends with the given reason: only that wakes ReadMsg.
func (p *Peer) awaitStatus(timeout time.Duration, reason p2p.DiscReason) (*Status, error) {
	late := refuse(reason, "%w (%v)", ErrStatusTimeout, timeout)
	timer := time.AfterFunc(timeout, func() { p.end(late) })
	msg, err := p.rw.ReadMsg()
	if !timer.Stop() {
		return nil, late
	}
	if err != nil {
		return nil, err
	}
	defer msg.Release()
	if msg.Code != StatusMsg {
		return nil, refuse(p2p.DiscProtocolError, "%w but %s", ErrNoStatus, messageName(p.version, msg.Code))
	}
	theirs, err := ParseStatus(p.version, msg.Payload)
	if err != nil {
		return nil, refuse(p2p.DiscProtocolError, "%w", err)
	}
	return theirs, nil
}

// verify checks a Status. What cannot be is a breach of protocol; another chain
// is the sub-protocol's own reason to part.
func (s *Service) verify(version uint, theirs *Status) error {
	if theirs.Version != version {
		return refuse(p2p.DiscProtocolError, "%w: the session is eth/%d, status says %d",
			ErrVersionMismatch, version, theirs.Version)
	}
	if !s.cfg.Mirror {
		if theirs.Network != s.cfg.Network {
			return refuse(p2p.DiscSubprotocolError, "%w: ours %d, theirs %d",
				ErrNetworkMismatch, s.cfg.Network, theirs.Network)
		}
		if theirs.Genesis != s.cfg.Genesis {
			return refuse(p2p.DiscSubprotocolError, "%w: ours %s, theirs %s",
				ErrGenesisMismatch, s.cfg.Genesis.short(), theirs.Genesis.short())
		}
		if err := s.checkFork(theirs.ForkID); err != nil {
			return refuse(p2p.DiscSubprotocolError, "%w", err)
		}
	} else if theirs.Genesis.IsZero() {
		return refuse(p2p.DiscProtocolError, "%w: theirs is zero", ErrGenesisMismatch)
	}
	if err := theirs.Range.Validate(); err != nil {
		return refuse(p2p.DiscProtocolError, "%w", err)
	}
	return nil
}

// cause names why a handshake failed, for the counters.
func cause(err error) string {
	for _, c := range [...]struct {
		err  error
		name string
	}{
		{ErrStatusTimeout, "timeout"},
		{ErrVersionMismatch, "version"},
		{ErrNetworkMismatch, "network"},
		{ErrGenesisMismatch, "genesis"},
		{ErrForkID, "forkid"},
		{ErrBlockRange, "range"},
	} {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	if _, ours := errors.AsType[*refusal](err); ours {
		return "malformed"
	}
	return "peer" // the connection ended, or the other side refused us
}
