package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"parley/enode"
	"parley/internal/peerset"
	"parley/rlpx"
)

// setupTimeout bounds the time from accepting a connection, or from having
// dialed it, to the end of Hello. It is absolute: a silent connection must not
// hold its slot, nor one that sends a byte now and then.
const setupTimeout = 5 * time.Second

// A Step is a part of the way from nothing to a peer.
type Step string

// The steps, in their order.
const (
	StepDial      Step = "dial"
	StepHandshake Step = "handshake" // RLPx auth and ack
	StepHello     Step = "hello"     // first frame, Hello
	StepAdmit     Step = "admit"     // a place among the peers
)

// A SetupError says at which step a connection failed to become a peer.
type SetupError struct {
	Step   Step
	Remote netip.AddrPort
	Err    error // wraps a DiscReason if one side refused

	byRemote bool // the other side refused
}

// Error names the step, the other side and the cause.
func (e *SetupError) Error() string {
	return fmt.Sprintf("p2p: %s with %v: %v", e.Step, e.Remote, e.Err)
}

// Unwrap returns the cause.
func (e *SetupError) Unwrap() error { return e.Err }

// A link is a connection on the way to becoming a peer, and what is known of the
// other side so far.
type link struct {
	fd      *stream
	dest    *enode.Node // whom we dialed; nil if the connection came in
	ticket  peerset.Ticket
	conn    *rlpx.Conn
	proven  bool // the first frame passed its MAC: conn.Remote() is who it says
	hello   *Hello
	replace *Peer // the connection that gave way to this one
	evict   *Peer // the other peer that did, because all slots were taken
	policy  peerset.Opinion
}

func (l *link) inbound() bool { return l.dest == nil }

// fail wraps the reason for which a step failed.
func (l *link) fail(step Step, err error) *SetupError {
	return &SetupError{Step: step, Remote: addrPort(l.fd.RemoteAddr()), Err: err}
}

// errStopping ends connections that are set up while the Server stops.
var errStopping = &replyError{DiscQuitting, ErrStopped}

// connect makes a peer of a connection and starts it, or closes it. Whoever
// accepted or dialed calls it. ready, if not nil, is told when the connection
// became a peer or failed.
func (s *Server) connect(l *link, wait time.Duration, ready func(error)) {
	began := time.Now()
	l.fd.SetDeadline(began.Add(setupTimeout))
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
		}
	}
	p, err := s.setup(l)
	if err != nil {
		s.setupFailed(l, err)
		l.fd.Close()
	} else {
		s.log.Debug("Peer added", "peer", p.id, "client", p.name, "remote", p.RemoteAddr(), "inbound", p.inbound, "after", time.Since(began))
	}
	if ready != nil {
		if err != nil {
			ready(err)
		} else {
			ready(nil)
		}
	}
	if err == nil {
		s.startPeer(p, l.replace)
	}
}

// setup takes a connection through the handshake and Hello and enters it among
// the peers. Until its first frame has passed the MAC nothing is decided by whom
// the other side claims to be.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md
func (s *Server) setup(l *link) (*Peer, *SetupError) {
	protocols, hello, err := s.greeting() // what Hello says is what counts for this connection
	if err != nil {
		return nil, l.fail(StepHello, err)
	}
	var failed *SetupError
	if l.inbound() {
		failed = l.accept(s.cfg.PrivateKey, s.bufs, hello)
	} else {
		failed = l.initiate(s.cfg.PrivateKey, s.bufs, hello)
	}
	if l.proven {
		s.noteAnswer(l)
	}
	if failed != nil {
		if l.proven { // before that, who asked is told nothing
			s.refuse(l, failed)
		}
		return nil, failed
	}
	if err := s.admit(l); err != nil {
		s.refuse(l, err)
		return nil, err
	}
	run := match(protocols, l.hello.Caps)
	node := s.nodeOf(l)
	if len(run) == 0 {
		err := l.fail(StepHello, &replyError{DiscUselessPeer, fmt.Errorf("no shared capability: they have %v", l.hello.Caps)})
		s.refuse(l, err)
		return nil, err
	}
	l.conn.SetLimits(rlpx.Limits{Message: limit(run)})
	l.fd.SetDeadline(time.Time{})
	p := newPeer(s, l.conn, l.fd, node, l.hello, l.inbound(), run)
	if err := s.enter(l, p); err != nil {
		err := l.fail(StepAdmit, err)
		s.refuse(l, err)
		return nil, err
	}
	if l.evict != nil {
		l.evict.DisconnectError(DiscTooManyPeers, errGaveWay)
	}
	return p, nil
}

// accept answers the handshake of whoever opened the connection, and reads the
// first frame. Our Hello goes out at once, with the handshake, whoever the other side
// claims to be. l.proven tells afterwards whether it is.
func (l *link) accept(key *enode.PrivateKey, bufs *rlpx.Buffers, hello []byte) *SetupError {
	var err error
	if l.conn, err = rlpx.AcceptWith(l.fd, key, bufs, codeHello, hello); err != nil {
		return l.fail(StepHandshake, err)
	}
	return l.readHello(nil)
}

// initiate is accept for a connection that we opened to l.dest. Hello goes out when
// the other side has answered.
func (l *link) initiate(key *enode.PrivateKey, bufs *rlpx.Buffers, hello []byte) *SetupError {
	var err error
	if l.conn, err = rlpx.Initiate(l.fd, key, l.dest.PublicKey(), bufs); err != nil {
		return l.fail(StepHandshake, err)
	}
	sent := make(chan error, 1)
	send := func() { sent <- l.conn.WriteMsg(codeHello, hello) }
	if _, buffered := l.fd.Conn.(*net.TCPConn); buffered {
		send()
	} else {
		// Beside the read: on a connection without a buffer, such as a net.Pipe, two
		// sides that first write and then read would wait for each other.
		go send()
	}
	return l.readHello(sent)
}

// readHello reads the first frame, and takes from sent, if not nil, whether ours
// went out.
func (l *link) readHello(sent <-chan error) *SetupError {
	l.conn.SetLimits(rlpx.Limits{Frame: maxHello + 1, Message: func(uint64) int { return maxHello }, Absolute: true})
	msg, err := l.conn.ReadMsg()
	if err != nil {
		_ = l.fd.SetWriteDeadline(aLongTimeAgo) // it is over, whether ours went out or not
	}
	var unsent error
	if sent != nil {
		unsent = <-sent
	}
	if err != nil {
		return l.fail(StepHello, err)
	}
	defer msg.Release()
	l.proven = true
	switch {
	case msg.Code == codeDisconnect: // tells more than that ours did not go out
		e := l.fail(StepHello, parseDisconnect(msg.Payload))
		e.byRemote = true
		return e
	case msg.Code != codeHello:
		return l.fail(StepHello, &replyError{DiscProtocolError, fmt.Errorf("message %#x before Hello", msg.Code)})
	case unsent != nil:
		return l.fail(StepHello, unsent)
	}
	l.hello, err = parseHello(msg.Payload, l.conn.Remote())
	if l.hello != nil {
		l.conn.SetSnappy(l.hello.Version >= snappyVersion)
	}
	if err != nil {
		return l.fail(StepHello, err)
	}
	return nil
}

// admit asks whether the other side, which is proven now, could become a peer.
// Add asks again: until then others may have taken the place.
func (s *Server) admit(l *link) *SetupError {
	l.policy = s.mayJoin(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := l.asks()
	s.set.Reached(c.ID, c.Inbound, peerset.StageHello)
	if err := s.set.Admit(time.Now(), c); err != nil {
		return l.fail(StepAdmit, admitError(err))
	}
	l.policy = peerset.Opinion{} // a dry run is counted once
	return nil
}

// asks returns what the peer set is asked about the connection, whose other side
// is proven.
func (l *link) asks() peerset.Conn {
	return peerset.Conn{ID: enode.PubkeyID(l.conn.Remote()), Addr: addrPort(l.fd.RemoteAddr()), Inbound: l.inbound(), Policy: l.policy}
}

// nodeOf returns the node at the other end: the one that was dialed, or one made
// of the proven key and the address it came from. The port of an inbound
// connection is nobody's to dial.
func (s *Server) nodeOf(l *link) *enode.Node {
	if l.dest != nil {
		return l.dest
	}
	return enode.NewV4(l.conn.Remote(), addrPort(l.fd.RemoteAddr()).Addr(), 0, 0)
}

// enter makes p a peer, under one lock with the decision.
func (s *Server) enter(l *link, p *Peer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return errStopping
	}
	old := s.peers[p.id]
	added, err := s.set.Add(time.Now(), l.asks())
	if err != nil {
		return admitError(err)
	}
	if added.Replaced {
		l.replace = old
	}
	if added.Evicted {
		l.evict = s.peers[added.Victim]
		delete(s.peers, added.Victim)
	}
	s.peers[p.id] = p
	s.leave(l)
	if !p.inbound {
		l.dest = p.node
		s.count.dialsOK.Add(1)
	} else {
		s.count.served.Add(1)
	}
	s.changed.Broadcast()
	return nil
}

var errGaveWay = errors.New("all slots are taken, and it gave way to another peer")

// leave takes a connection out of those without a peer. Caller holds mu.
func (s *Server) leave(l *link) {
	delete(s.pending, l.fd)
	s.set.Leave(l.ticket)
}

// refuse tells a proven other side why it does not become a peer.
func (s *Server) refuse(l *link, e *SetupError) {
	if e.byRemote {
		return
	}
	reason, ok := errors.AsType[DiscReason](e.Err)
	if !ok {
		return
	}
	l.fd.SetDeadline(time.Now().Add(goodbyeTimeout))
	if l.conn.WriteMsg(codeDisconnect, appendDisconnect(nil, reason)) == nil {
		l.fd.linger(lingerTimeout)
	}
}

// setupFailed notes why a connection did not become a peer.
func (s *Server) setupFailed(l *link, e *SetupError) {
	if errors.Is(e, rlpx.ErrPreEIP8) {
		s.count.preEIP8.Add(1)
	}
	if l.conn != nil {
		l.conn.Close()
	}
	if s.noteFailed(l, e) {
		if l.dest != nil {
			s.noteUseless(l.dest.ID(), e)
		}
		s.log.Debug("Connection failed", "remote", e.Remote, "inbound", l.inbound(), "step", string(e.Step), "err", e.Err)
	}
}

// noteFailed gives the connection's place back and keeps the verdict. It reports
// false if it failed because of Stop.
func (s *Server) noteFailed(l *link, e *SetupError) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(l)
	if l.dest != nil {
		s.set.DialDone(time.Now(), l.dest.ID(), causeOf(e))
	}
	s.changed.Broadcast()
	if !s.running() {
		return false
	}
	v := Verdict{Time: time.Now(), Gate: gateOf(e), Inbound: l.inbound(), Remote: e.Remote, Err: e.verdict()}
	if l.hello != nil {
		v.Detail = l.hello.Name
	}
	switch {
	case l.dest != nil:
		s.set.Note(l.dest.ID(), v)
	case l.proven:
		s.set.Note(enode.PubkeyID(l.conn.Remote()), v)
	default: // whoever it was, it has not shown to be who it says
		s.set.Count(v.Gate)
	}
	return true
}

// verdict returns the cause in the form that Explain shows.
func (e *SetupError) verdict() error {
	if e.byRemote {
		return fmt.Errorf("they said: %w", e.Err)
	}
	return e.Err
}

// startPeer lets the protocols begin, when the connection that p replaces is gone:
// no protocol sees two connections with one node at once.
func (s *Server) startPeer(p *Peer, replaced *Peer) {
	if replaced != nil {
		replaced.Disconnect(DiscAlreadyConnected)
		replaced.gone.Wait()
	}
	s.events.emit(p.event(EventAdd))
	p.begin()
}

// dropPeer takes a peer out whose goroutines have ended.
func (s *Server) dropPeer(p *Peer, why *endError) {
	cause := causeOf(why)
	s.removePeer(p, why, cause)
	if cause == peerset.CauseUseless {
		s.noteUseless(p.id, why)
	}
	e := p.event(EventDrop)
	e.Error, e.Err, e.Reason, e.ByRemote = why.Error(), why, why.reason, why.byRemote
	s.events.emit(e)
	s.log.Debug("Peer dropped", "peer", p.id, "client", p.name, "remote", p.RemoteAddr(), "err", why)
	p.gone.Done()
}

// removePeer takes p out, unless another connection with the same node has taken
// its place.
func (s *Server) removePeer(p *Peer, why *endError, cause peerset.Cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[p.id] == p {
		delete(s.peers, p.id)
		s.set.Remove(time.Now(), p.id, cause)
	}
	s.changed.Broadcast()
	if s.running() {
		s.set.Note(p.id, Verdict{
			Time: time.Now(), Gate: GateProtocol, Inbound: p.inbound, Remote: p.RemoteAddr(), Detail: p.about(), Err: why,
		})
	}
}

// about tells what ran with the peer.
func (p *Peer) about() string {
	text := p.name
	for _, r := range p.run {
		text += " " + r.Cap().String()
	}
	return text
}

// SetupConn makes a peer of a connection that was opened elsewhere: to dest, or
// from somebody if dest is nil. It returns when the connection has become a peer
// or failed; from then on the connection is the Server's. The limits by address
// do not apply to it, all others do.
func (s *Server) SetupConn(ctx context.Context, fd net.Conn, dest *enode.Node) error {
	l := &link{fd: &stream{Conn: fd, meter: &s.traffic}, dest: dest}
	s.mu.Lock()
	if !s.running() {
		s.mu.Unlock()
		fd.Close()
		return ErrNotRunning
	}
	if dest != nil {
		if err := s.set.Begin(time.Now(), dest); err != nil {
			s.mu.Unlock()
			fd.Close()
			return l.fail(StepAdmit, admitError(err))
		}
	}
	s.pending[l.fd] = 0
	result := make(chan error, 1)
	s.tasks.Go(func() { s.connect(l, 0, func(err error) { result <- err }) })
	s.mu.Unlock()

	stop := context.AfterFunc(ctx, func() { fd.Close() })
	err := <-result
	if !stop() && err == nil {
		return context.Cause(ctx)
	}
	return err
}

// Probe dials a node, exchanges Hello and leaves: it tells what the other side
// is without becoming a peer. The key is who we are to it; d may be nil.
func Probe(ctx context.Context, key *enode.PrivateKey, d NodeDialer, n *enode.Node) (*Hello, error) {
	if d == nil {
		d = &tcpDialer{}
	}
	ours := &Hello{Version: baseVersion, Name: "parley/probe", Caps: []Cap{{"probe", 1}}, PublicKey: key.Public()}
	hello, err := ours.append(nil)
	if err != nil {
		return nil, &SetupError{Step: StepHello, Err: err}
	}
	n, addrs, err := locate(ctx, nil, n)
	if err != nil {
		return nil, &SetupError{Step: StepDial, Err: err}
	}
	eps := endpointsAt(n, addrs)
	if len(eps) == 0 {
		return nil, &SetupError{Step: StepDial, Err: errNoTCP}
	}
	fd, err := new(families).reach(ctx, d, n, eps)
	if err != nil {
		return nil, &SetupError{Step: StepDial, Remote: eps[0], Err: err}
	}
	defer fd.Close()
	stop := context.AfterFunc(ctx, func() { fd.SetDeadline(aLongTimeAgo) })
	defer stop()

	var meter traffic
	l := &link{fd: &stream{Conn: fd, meter: &meter}, dest: n}
	l.fd.SetDeadline(time.Now().Add(setupTimeout))
	defer func() {
		if l.conn != nil {
			l.conn.Close()
		}
	}()
	if err := l.initiate(key, nil, hello); err != nil {
		return nil, err
	}
	if l.conn.WriteMsg(codeDisconnect, appendDisconnect(nil, DiscRequested)) == nil {
		l.fd.linger(lingerTimeout)
	}
	return l.hello, nil
}
