package p2p

import (
	"errors"
	"net"
	"time"

	"parley/internal/reach"
)

const (
	// acceptPause is how long the listener rests after an error that may pass,
	// such as too many open files. It doubles up to maxAcceptPause.
	acceptPause    = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// listenLoop accepts connections until the listener is closed.
func (s *Server) listenLoop() {
	pause := acceptPause
	var logged time.Time
	var sp spare
	defer sp.release()
	for {
		sp.hold()
		fd, err := s.listener.Accept()
		switch {
		case err == nil:
			pause = acceptPause
			s.count.accepted.Add(1)
			s.receive(fd)
		case errors.Is(err, net.ErrClosed) || s.ctx.Err() != nil:
			return
		default:
			// Whatever it was, giving up would leave a node that looks alive and
			// cannot be reached.
			if time.Since(logged) >= time.Second {
				s.log.Warn("Cannot accept connections", "err", err)
				logged = time.Now()
			}
			if outOfFiles(err) {
				s.turnAway(&sp)
			}
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
				return
			}
			pause = min(2*pause, maxAcceptPause)
		}
	}
}

// receive lets an inbound connection in, or closes it. Nothing is computed for
// it before its address was looked at.
func (s *Server) receive(fd net.Conn) {
	l := &link{fd: &stream{Conn: fd, meter: &s.traffic}}
	wait, gate, err := s.letIn(l)
	if err != nil {
		fd.Close()
		s.log.Debug("Connection refused", "remote", addrPort(fd.RemoteAddr()), "gate", string(gate), "err", err)
		return
	}
	s.tasks.Go(func() { s.connect(l, wait, nil) })
}

// letIn asks for a place for the handshake of l, and returns how long it has to
// wait for its turn.
func (s *Server) letIn(l *link) (time.Duration, Gate, error) {
	remote := addrPort(l.fd.RemoteAddr())
	policy := s.opinion(Question{Ask: AskAccept, Addr: remote, Inbound: true})
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return 0, GateQuota, ErrStopped
	}
	s.came(time.Now(), reach.TCP, remote.Addr(), addrPort(l.fd.LocalAddr()).Addr()) // refused or not
	entry, gate, err := s.set.Accept(time.Now(), remote, policy)
	if err != nil {
		return 0, gate, err
	}
	if entry.Evict != 0 {
		for other, ticket := range s.pending {
			if ticket == entry.Evict {
				other.Close()
				delete(s.pending, other)
				break
			}
		}
	}
	l.ticket = entry.Ticket
	l.fd.heard = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.set.Heard(l.ticket)
	}
	s.pending[l.fd] = l.ticket
	return entry.Wait, "", nil
}
