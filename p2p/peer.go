package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"parley/enode"
	"parley/rlpx"
)

const (
	// goodbyeTimeout bounds the writing of what is queued and of Disconnect.
	// lingerTimeout bounds the wait for the other side to read it. Together they
	// stay below the two seconds that Stop may take.
	goodbyeTimeout = time.Second
	lingerTimeout  = 500 * time.Millisecond
)

// A Peer is a connection after Hello with at least one common capability. Its
// methods are safe for concurrent use, also after the connection ended.
type Peer struct {
	srv     *Server // nil for a Peer made by NewPeer
	id      enode.ID
	node    *enode.Node
	name    string
	caps    []Cap
	inbound bool

	conn *rlpx.Conn
	fd   *stream
	run  []*running // immutable; the inboxes in it are guarded by in.mu
	in   intake
	out  outbox
	live liveness
	work sync.WaitGroup // the protocols and the relief reader
	gone sync.WaitGroup // ends when nothing of the connection is left

	mu       sync.Mutex      // guards the fields below
	ctx      context.Context // nil until it is asked for
	cancel   context.CancelFunc
	begun    bool      // finish is called by whoever ends the connection
	finished bool      // the context has ended, or will be made so
	ended    *endError // how the connection ended; the first one to say so decides
	told     error     // what a protocol found wrong after the other side had ended it
}

// NewPeer returns a Peer without a connection, for tests of protocols that run
// over MsgPipe. Disconnect ends its context.
func NewPeer(node *enode.Node, name string, caps []Cap) *Peer {
	p := &Peer{id: node.ID(), node: node, name: cleanName(name), caps: slices.Clone(caps)}
	return p
}

// newPeer returns the Peer for a connection that was set up.
func newPeer(s *Server, c *rlpx.Conn, fd *stream, node *enode.Node, h *Hello, inbound bool, run []*running) *Peer {
	p := &Peer{
		srv: s, conn: c, fd: fd, run: run,
		id: node.ID(), node: node, name: h.Name, caps: h.Caps, inbound: inbound,
	}
	p.gone.Add(1)
	p.in.init(run)
	p.out.init(c, fd, s.bufs, func(err error) { p.end(DiscNetworkError, err, false) })
	p.live.start(time.Now())
	return p
}

// ID returns the peer's node ID.
func (p *Peer) ID() enode.ID { return p.id }

// Node returns the node: as it was dialed, or made of the proven key and the
// remote address, without ports, if the peer came to us.
func (p *Peer) Node() *enode.Node { return p.node }

// Name returns the client name that the peer gave, made printable.
func (p *Peer) Name() string { return p.name }

// Caps returns the capabilities that the peer announced.
func (p *Peer) Caps() []Cap { return slices.Clone(p.caps) }

// Inbound reports whether the peer came to us.
func (p *Peer) Inbound() bool { return p.inbound }

// Static reports whether the peer is to be kept connected.
func (p *Peer) Static() bool { return p.srv != nil && p.srv.static(p.id) }

// Trusted reports whether the peer may connect above MaxPeers.
func (p *Peer) Trusted() bool { return p.srv != nil && p.srv.trusted(p.id) }

// LocalAddr returns our address of the connection.
func (p *Peer) LocalAddr() netip.AddrPort {
	if p.fd == nil {
		return netip.AddrPort{}
	}
	return addrPort(p.fd.LocalAddr())
}

// RemoteAddr returns the peer's address of the connection. Of a peer that came to
// us, the port is of no use for dialing.
func (p *Peer) RemoteAddr() netip.AddrPort {
	if p.fd == nil {
		return netip.AddrPort{}
	}
	return addrPort(p.fd.RemoteAddr())
}

// Context ends with the connection.
func (p *Peer) Context() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		parent := context.Background()
		if p.srv != nil {
			parent = p.srv.ctx
		}
		p.ctx, p.cancel = context.WithCancel(parent)
		if p.finished {
			p.cancel()
		}
	}
	return p.ctx
}

// endContext ends the context, also one that is asked for later.
func (p *Peer) endContext() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = true
	if p.cancel != nil {
		p.cancel()
	}
}

// Log returns a logger that names the peer.
func (p *Peer) Log() *slog.Logger {
	log := slog.Default()
	if p.srv != nil {
		log = p.srv.log
	}
	return log.With("peer", p.id, "client", p.name)
}

// String returns the ID's first digits, the client name and the address.
func (p *Peer) String() string {
	return fmt.Sprintf("%.16v %s %v", p.id.String(), p.name, p.RemoteAddr())
}

// Running returns the version of the named protocol that runs with the peer.
func (p *Peer) Running(name string) (version uint, ok bool) {
	if r := p.protocol(name); r != nil {
		return r.Version, true
	}
	return 0, false
}

func (p *Peer) protocol(name string) *running {
	for _, r := range p.run {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Flush waits until every message queued so far was handed to the system. Its
// error wraps ErrUnsent if some were lost with the connection.
func (p *Peer) Flush(ctx context.Context) error {
	if p.conn == nil {
		return nil
	}
	return p.out.drain(ctx)
}

// Disconnect ends the connection with the given reason. It does not wait.
func (p *Peer) Disconnect(reason DiscReason) { p.end(reason, nil, false) }

// DisconnectError is Disconnect with a cause, which appears in the drop event,
// the log and Explain.
func (p *Peer) DisconnectError(reason DiscReason, err error) { p.end(reason, err, false) }

// end says how the connection ended, unless that was said before, and has
// everything taken down.
func (p *Peer) end(reason DiscReason, err error, byRemote bool) {
	p.mu.Lock()
	first := p.ended == nil
	switch {
	case first:
		p.ended = &endError{reason: reason, byRemote: byRemote, err: err}
	case p.ended.byRemote && p.told == nil && !errors.Is(err, p.ended):
		p.told = err
	}
	begun := p.begun
	p.mu.Unlock()
	if !first {
		return
	}
	if p.conn == nil { // made by NewPeer
		p.endContext()
		return
	}
	p.in.end(p.ended, false, p.run)
	p.fd.endRead()
	if begun {
		go p.finish()
	}
}

// begin starts the protocols. From now on the connection is one of the Server's
// tasks, which finish ends: nothing else waits for a peer at rest but its
// protocols, one of which reads.
func (p *Peer) begin() {
	p.srv.tasks.Add(1)
	for _, r := range p.run {
		p.work.Go(func() { p.runProtocol(r) })
	}
	p.mu.Lock()
	p.begun = true
	over := p.ended != nil
	p.mu.Unlock()
	if over { // before there was anybody to call finish
		p.finish()
	}
}

// hasBegun reports whether the protocols were started.
func (p *Peer) hasBegun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun
}

// finish takes the connection down: it says goodbye and returns when every
// goroutine of the connection has ended. It is called once, after end.
func (p *Peer) finish() {
	defer p.srv.tasks.Done()
	p.in.settle()

	// If we ended it, what still waits for the protocols is not wanted, and what
	// they have queued goes out with the reason behind it. If the other side did,
	// the protocols get what had arrived before.
	why := p.ended
	quiet := why.byRemote || why.reason == DiscNetworkError
	p.in.end(why, !quiet, p.run)
	p.endContext()
	if !quiet {
		p.out.goodbye(why.reason, goodbyeTimeout)
		p.fd.linger(lingerTimeout)
	}
	p.conn.Close()
	p.out.close(why)
	p.work.Wait()
	p.srv.dropPeer(p, p.verdict())
}

// verdict returns how the connection ended, with what the protocols made of the
// last messages: a Disconnect says little, the message before it often why.
func (p *Peer) verdict() *endError {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told == nil {
		return p.ended
	}
	full := *p.ended
	full.err = p.told
	return &full
}

// runProtocol runs one protocol and ends the connection when it returns.
func (p *Peer) runProtocol(r *running) {
	defer func() {
		if p.srv.cfg.CrashOnPanic {
			return
		}
		if v := recover(); v != nil {
			p.srv.count.panics.Add(1)
			p.srv.log.Error("Protocol panicked", "protocol", r.Cap(), "peer", p.id, "panic", v, "stack", string(debug.Stack()))
			p.end(DiscSubprotocolError, fmt.Errorf("%v: panic: %v", r.Cap(), v), false)
		}
	}()
	err := r.Run(p, &protoRW{p: p, r: r})
	reason, known := errors.AsType[DiscReason](err)
	switch {
	case err == nil && p.over():
		p.end(DiscRequested, nil, false)
	case err == nil:
		p.end(DiscRequested, fmt.Errorf("%v has ended", r.Cap()), false)
	case known:
		p.end(reason, err, false)
	default:
		p.end(DiscSubprotocolError, err, false)
	}
}

// readFailed ends the connection by what the end of reading means.
func (p *Peer) readFailed(err error) {
	reason := DiscNetworkError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed):
		err = fmt.Errorf("connection closed: %w", io.EOF)
	case isTimeout(err):
		reason = DiscReadTimeout
	case isBreach(err):
		reason = DiscProtocolError
	}
	p.end(reason, err, false)
}

// isBreach reports whether the other side broke the rules of the transport.
func isBreach(err error) bool {
	return errors.Is(err, rlpx.ErrMAC) || errors.Is(err, rlpx.ErrTooLarge) || errors.Is(err, rlpx.ErrMalformed)
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// limit bounds the payload of each message code on the wire.
func limit(run []*running) func(code uint64) int {
	return func(code uint64) int {
		if code < baseLength {
			return maxHello
		}
		if r := owner(run, code); r != nil {
			return r.maxSize()
		}
		return 0
	}
}

// A protoRW is what a protocol reads from and writes to.
type protoRW struct {
	p *Peer
	r *running
}

// ReadMsg returns the next message of the protocol.
func (rw *protoRW) ReadMsg() (m Msg, err error) {
	err = rw.p.take(rw.r, &m)
	return m, err
}

// WriteMsg queues a message or writes it.
func (rw *protoRW) WriteMsg(m Msg) error {
	p := rw.p
	if m.Code >= rw.r.Length {
		return fmt.Errorf("p2p: message code %#x is not below the length %#x of %v", m.Code, rw.r.Length, rw.r.Cap())
	}
	if err := p.out.write(rw.r.offset+m.Code, m.Payload); err != nil {
		return err
	}
	p.noteMsg(EventMsgSend, rw.r, m.Code, len(m.Payload))
	return nil
}

// event returns an event about the connection.
func (p *Peer) event(t EventType) Event {
	return Event{
		Type: t, Time: time.Now(), Peer: p.id,
		Local: p.LocalAddr().String(), Remote: p.RemoteAddr().String(), Inbound: p.inbound, Name: p.name,
	}
}

// noteMsg emits the event of a message, if such events are wanted.
func (p *Peer) noteMsg(t EventType, r *running, code uint64, size int) {
	if p.srv.cfg.EnableMsgEvents {
		p.emitMsg(t, r, code, size)
	}
}

func (p *Peer) emitMsg(t EventType, r *running, code uint64, size int) {
	e, size32 := p.event(t), uint32(size)
	e.Protocol, e.MsgCode, e.MsgSize = r.Name, &code, &size32
	p.srv.events.emit(e)
}

// Info describes the peer as admin_peers does.
func (p *Peer) Info() *PeerInfo {
	info := &PeerInfo{ID: p.id.String(), Name: p.name, Enode: p.node.URL(), Protocols: make(map[string]any)}
	if p.node.Record() != nil {
		info.ENR = p.node.Record().String()
	}
	info.Caps = make([]string, len(p.caps))
	for i, c := range p.caps {
		info.Caps[i] = c.String()
	}
	info.Network.LocalAddress = p.LocalAddr().String()
	info.Network.RemoteAddress = p.RemoteAddr().String()
	info.Network.Inbound = p.inbound
	info.Network.Trusted = p.Trusted()
	info.Network.Static = p.Static()
	for _, r := range p.run {
		var about any = "unknown"
		if r.PeerInfo != nil {
			if v := r.PeerInfo(p.id); v != nil {
				about = v
			} else {
				about = "handshake"
			}
		}
		info.Protocols[r.Name] = about
	}
	return info
}
