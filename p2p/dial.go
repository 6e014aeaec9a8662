package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"parley/enode"
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

// open finds out where a node is and connects to it. The node that it returns has
// the address.
func (s *Server) open(n *enode.Node) (*stream, *enode.Node, *SetupError) {
	ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
	defer cancel()
	if n.PublicKey().IsZero() {
		return nil, n, &SetupError{Step: StepDial, Err: errNoKey}
	}
	var fd net.Conn
	var err error
	if s.cfg.Proxy != nil && n.Hostname() != "" {
		fd, err = s.openByName(ctx, n)
	} else {
		fd, n, err = s.openByAddr(ctx, n)
	}
	if err != nil {
		ep, _ := n.TCPEndpoint()
		return nil, n, &SetupError{Step: StepDial, Remote: ep, Err: err}
	}
	return &stream{Conn: fd, meter: &s.traffic}, n, nil
}

// openByAddr connects to a node at one of its addresses.
func (s *Server) openByAddr(ctx context.Context, n *enode.Node) (net.Conn, *enode.Node, error) {
	n, addrs, err := s.locate(ctx, n)
	if err == nil {
		addrs, err = s.permit(n, addrs)
	}
	if err != nil {
		return nil, n, err
	}
	n = n.WithAddr(addrs...)
	if err := s.mayDial(n); err != nil {
		return nil, n, err
	}
	fd, err := s.families.reach(ctx, s.cfg.Dialer, n, endpointsAt(n, addrs))
	if err != nil {
		return nil, n, err
	}
	if at := addrPort(fd.RemoteAddr()).Addr(); slices.Contains(addrs, at) {
		n = n.WithAddr(append([]netip.Addr{at}, addrs...)...)
	}
	return fd, n, nil
}

// locate finds out the addresses of a node: those that its host name stands for now
// or, if only its key is known, what discovery says.
func (s *Server) locate(ctx context.Context, n *enode.Node) (*enode.Node, []netip.Addr, error) {
	if _, ok := n.TCPEndpoint(); !ok && n.Hostname() == "" && s.disc != nil {
		found, err := s.disc.Resolve(ctx, n)
		if err != nil {
			return n, nil, fmt.Errorf("%w: %w", errNoTCP, err)
		}
		n = found
	}
	n, addrs, err := locate(ctx, s.cfg.Resolver, n)
	if err == nil && len(endpointsAt(n, addrs)) == 0 {
		err = errNoTCP
	}
	return n, addrs, err
}

// permit returns the addresses at which n may be dialed. What its host name has led
// to is remembered as the node's.
func (s *Server) permit(n *enode.Node, addrs []netip.Addr) ([]netip.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	permitted, err := s.set.Permit(time.Now(), n.ID(), addrs)
	if n.Hostname() != "" {
		if err == nil {
			n = n.WithAddr(permitted...)
		}
		s.set.Learn(n)
	}
	return permitted, err
}

func (s *Server) dialFailed(n *enode.Node, e *SetupError) {
	if s.noteUndialed(n, e) {
		s.noteUseless(n.ID(), e)
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
	s.set.Note(n.ID(), Verdict{Time: time.Now(), Gate: gateOf(e), Remote: e.Remote, Err: e.Err})
	return true
}

// noteUseless lowers the score that a node has in the database, if err says that it did
// not answer or was of no use. One that is full, or that was refused here, is as good as
// before, and one to which this host has no way may be.
func (s *Server) noteUseless(id enode.ID, err error) {
	switch causeOf(err) {
	case peerset.CauseUnreachable, peerset.CauseDropped, peerset.CauseUseless:
		if !noWay(err) {
			s.db.Failed(time.Now(), id)
		}
	}
}

// noWay reports whether a dial failed because this host has no way to the networks of
// the node, all of them if there were several.
func noWay(err error) bool {
	if several, ok := errors.AsType[unreached](err); ok {
		return !slices.ContainsFunc(several, func(e endpointError) bool { return !noWay(e.err) })
	}
	const wsaeNetUnreach = syscall.Errno(10051) // Windows
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.ENETDOWN) || errors.Is(err, wsaeNetUnreach)
}
