package p2p

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
	"parley/internal/peerset"
)

// dialTimeout bounds looking up the host name and opening the connection.
const dialTimeout = 10 * time.Second

var (
	errNoTCP = errors.New("the node has no TCP endpoint")
	errNoKey = errors.New("the node has no secp256k1 key")
)

// dialLoop starts the dials that the peer set asks for, until Stop.
func (s *Server) dialLoop() {
	var timer *time.Timer
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.running() {
		n, wake := s.set.NextDial(time.Now())
		if n != nil {
			s.count.dials.Add(1)
			s.tasks.Go(func() { s.dial(n) })
			continue
		}
		if !wake.IsZero() {
			timer = time.AfterFunc(time.Until(wake), s.wake)
		}
		s.changed.Wait()
		if timer != nil {
			timer.Stop()
		}
	}
}

// wake makes those who wait for a change look again.
func (s *Server) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// dial opens a connection to n and runs it.
func (s *Server) dial(n *enode.Node) {
	fd, n, err := s.open(n)
	if err != nil {
		s.dialFailed(n, err)
		return
	}
	s.mu.Lock()
	if !s.running() {
		s.mu.Unlock()
		fd.Close()
		return
	}
	s.pending[fd] = 0
	s.set.Reached(n.ID(), false, peerset.StageConnected)
	s.mu.Unlock()
	s.connect(&link{fd: fd, dest: n}, 0, nil)
}

// open resolves the node's host name and connects to it. The node it returns has
// the address.
func (s *Server) open(n *enode.Node) (*stream, *enode.Node, *SetupError) {
	ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
	defer cancel()
	fail := func(err error) (*stream, *enode.Node, *SetupError) {
		ep, _ := n.TCPEndpoint()
		return nil, n, &SetupError{Step: StepDial, Remote: ep, Err: err}
	}
	if n.PublicKey().IsZero() {
		return fail(errNoKey)
	}
	resolved, err := s.resolve(ctx, n)
	if err != nil {
		return fail(err)
	}
	n = resolved
	ep, ok := n.TCPEndpoint()
	if !ok {
		return fail(errNoTCP)
	}
	if err := s.permit(n, ep.Addr()); err != nil {
		return fail(err)
	}
	fd, err := s.cfg.Dialer.DialNode(ctx, n)
	if err != nil {
		return fail(err)
	}
	return &stream{Conn: fd, meter: &s.traffic}, n, nil
}

// resolve finds out where a node is: by its host name or, if only its key is
// known, by discovery.
func (s *Server) resolve(ctx context.Context, n *enode.Node) (*enode.Node, error) {
	if _, ok := n.TCPEndpoint(); ok || n.Hostname() != "" || s.disc == nil {
		return resolve(ctx, n)
	}
	found, err := s.disc.Resolve(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoTCP, err)
	}
	return found, nil
}

// permit checks the address that a host name has led to, and remembers it as the
// node's.
func (s *Server) permit(n *enode.Node, addr netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set.Restricted(netaddr.Normalize(addr)) {
		return peerset.ErrRestricted
	}
	if n.Hostname() != "" {
		s.set.Learn(n)
	}
	return nil
}

func (s *Server) dialFailed(n *enode.Node, e *SetupError) {
	if s.noteUndialed(n, e) {
		s.log.Debug("Dial failed", "node", n.ID(), "remote", e.Remote, "err", e.Err)
	}
}

// noteUndialed ends a dial and keeps the verdict. It reports false if it failed
// because of Stop.
func (s *Server) noteUndialed(n *enode.Node, e *SetupError) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set.DialDone(time.Now(), n.ID(), causeOf(e))
	s.changed.Broadcast()
	if !s.running() {
		return false
	}
	gate := GateDial
	if errors.Is(e, peerset.ErrRestricted) {
		gate = GateNetRestrict
	}
	s.set.Note(n.ID(), Verdict{Time: time.Now(), Gate: gate, Remote: e.Remote, Err: e.Err})
	return true
}
