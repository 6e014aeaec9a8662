package rlpx

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"sync"

	"parley/internal/secp"
)

// MaxMessage is the largest payload of a message before compression, in bytes,
// for both directions: what 24 bits can count, the size that the protocol had
// before compression and that EIP-706 keeps for what comes out of it.
//
// A frame is bounded by the same number, but holds the code as well: a payload
// that does not shrink must leave room for it, and for what Snappy adds.
const MaxMessage = 1<<24 - 1

// helloFrame is the largest frame accepted from a stranger: a code and a Hello
// of 2 KiB.
const helloFrame = 1 + 2<<10

// A Conn is an RLPx connection after the handshake.
//
// Reading and writing are independent: one goroutine may call ReadMsg while
// another one writes. The methods that write are not safe for concurrent use with
// each other: the order in which they seal is the order on the wire.
type Conn struct {
	remote secp.PublicKey
	src    source

	// Written by accept and SetSnappy, while nobody reads or writes.
	mirror bool // the remote key is our own
	snappy bool

	out *lane // owned by the writer

	reading sync.Mutex // held by ReadMsg; guards the fields below
	in      *lane
	limits  Limits
	err     error // ends all reading
	win     window
}

// Initiate runs the handshake on a connection that we opened to the node with
// the key remote. On success it has sent one packet and read one; bytes that
// came with the latter are kept for ReadMsg. bufs may be nil.
//
// Deadlines are the caller's: Initiate sets none, and a single absolute one on fd
// bounds it whole. Errors are of type *HandshakeError; fd is left open.
//
// The Conn starts with limits for Hello: frames of 2 KiB, and fd's deadline
// holds for whole messages.
func Initiate(fd net.Conn, key *secp.PrivateKey, remote secp.PublicKey, bufs *Buffers) (*Conn, error) {
	d, err := newDraw()
	if err != nil {
		return nil, &HandshakeError{StepSendAuth, err}
	}
	c := newConn(fd, bufs)
	if err := c.initiate(key, remote, d); err != nil {
		c.win.drop()
		return nil, err
	}
	return c, nil
}

// Accept runs the handshake on a connection that somebody opened to us. It reads
// one packet and answers with one, unless the first was bad: then it writes
// nothing. Otherwise it is as Initiate.
//
// No step depends on which key the packet claims. A packet that names our own
// key is answered as any other; if its sender then turns out to hold that key,
// the first ReadMsg fails with ErrSelf.
func Accept(fd net.Conn, key *secp.PrivateKey, bufs *Buffers) (*Conn, error) {
	return answer(fd, key, bufs, nil)
}

// AcceptWith is Accept with a first message of ours, which goes out in one write
// with our packet: nothing that the other side still has to say is needed to seal
// it. A message that is too large fails the handshake.
//
// On a connection without a buffer, such as a net.Pipe, the other side must not
// write to the end before it reads.
func AcceptWith(fd net.Conn, key *secp.PrivateKey, bufs *Buffers, code uint64, payload []byte) (*Conn, error) {
	return answer(fd, key, bufs, &Msg{Code: code, Payload: payload})
}

// answer is AcceptWith, or Accept if first is nil.
func answer(fd net.Conn, key *secp.PrivateKey, bufs *Buffers, first *Msg) (*Conn, error) {
	c := newConn(fd, bufs)
	if err := c.accept(key, newDraw, first); err != nil {
		c.win.drop()
		return nil, err
	}
	return c, nil
}

func newConn(fd net.Conn, bufs *Buffers) *Conn {
	c := &Conn{src: source{fd: fd}, win: window{bufs: bufs}}
	c.SetLimits(Limits{Frame: helloFrame, Absolute: true})
	return c
}

// newDraw takes what a handshake needs from the system's random source.
func newDraw() (*draw, error) {
	var (
		d   draw
		err error
	)
	if d.ephemeral, err = secp.GenerateKey(); err != nil {
		return nil, err
	}
	if d.envelope, err = secp.GenerateKey(); err != nil {
		return nil, err
	}
	random := make([]byte, 2+len(d.iv)+len(d.nonce)+maxPadding)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	pad := minPadding + int(binary.BigEndian.Uint16(random))%(maxPadding-minPadding+1)
	random = random[2:]
	random = random[copy(d.iv[:], random):]
	random = random[copy(d.nonce[:], random):]
	d.padding = random[:pad]
	return &d, nil
}

func (c *Conn) initiate(key *secp.PrivateKey, remote secp.PublicKey, d *draw) error {
	if remote == key.Public() {
		return &HandshakeError{StepSendAuth, ErrSelf}
	}
	authPacket, err := sealAuth(key, remote, d)
	if err != nil {
		return &HandshakeError{StepSendAuth, err}
	}
	if _, err := c.src.fd.Write(authPacket); err != nil {
		return &HandshakeError{StepSendAuth, err}
	}
	ackPacket, err := c.readPacket()
	if err != nil {
		return &HandshakeError{StepReadAck, err}
	}
	a, err := openAck(key, ackPacket)
	if err != nil {
		return &HandshakeError{StepOpenAck, err}
	}
	t := transcript{d.nonce, a.nonce, authPacket, ackPacket}
	s, err := deriveSecrets(d.ephemeral, a.ephemeral, &t)
	if err != nil {
		return &HandshakeError{StepOpenAck, err}
	}
	if c.out, c.in, err = newLanes(s, &t); err != nil {
		return &HandshakeError{StepOpenAck, err}
	}
	c.remote = remote
	c.win.settle()
	return nil
}

// accept takes its random values only when an auth was good, so that a stranger's
// noise does not cost two keys.
func (c *Conn) accept(key *secp.PrivateKey, newDraw func() (*draw, error), first *Msg) error {
	authPacket, err := c.readPacket()
	if err != nil {
		return &HandshakeError{StepReadAuth, err}
	}
	a, err := openAuth(key, authPacket)
	if err != nil {
		return &HandshakeError{StepOpenAuth, err}
	}
	d, err := newDraw()
	if err != nil {
		return &HandshakeError{StepSendAck, err}
	}
	ackPacket, err := sealAck(a.static, d)
	if err != nil {
		return &HandshakeError{StepSendAck, err}
	}
	t := transcript{a.nonce, d.nonce, authPacket, ackPacket}
	s, err := deriveSecrets(d.ephemeral, a.ephemeral, &t)
	if err != nil {
		return &HandshakeError{StepOpenAuth, err}
	}
	if c.in, c.out, err = newLanes(s, &t); err != nil {
		return &HandshakeError{StepSendAck, err}
	}
	out := ackPacket
	if first != nil {
		if out, err = c.AppendMsg(out, first.Code, first.Payload); err != nil {
			return &HandshakeError{StepSendAck, err}
		}
	}
	if _, err := c.src.fd.Write(out); err != nil {
		return &HandshakeError{StepSendAck, err}
	}
	c.remote = a.static
	c.mirror = a.static == key.Public()
	c.win.settle()
	return nil
}

// readPacket reads one handshake packet and returns it with its prefix; valid
// until the window is used again.
func (c *Conn) readPacket() ([]byte, error) {
	c.win.reserve(firstRead)
	if err := c.win.fill(&c.src, packetPrefix); err != nil {
		return nil, err
	}
	size, err := packetSize(c.win.unread())
	if err != nil {
		return nil, err
	}
	// A packet of the old format has less bytes than its first two seem to tell.
	// Without this look it would be waited for until the deadline.
	if c.win.unread()[0] == 4 {
		if err := c.win.fill(&c.src, envelopeKeySize); err != nil {
			return nil, err
		}
		if preEIP8(c.win.unread()) {
			return nil, ErrPreEIP8
		}
	}
	if err := c.win.fill(&c.src, packetPrefix+size); err != nil {
		return nil, err
	}
	return c.win.take(packetPrefix + size), nil
}

// Remote returns the key that the other side named, as recipient, or that we
// dialed, as initiator. It is proven only when ReadMsg has returned a message:
// the handshake's packets may be anybody's.
func (c *Conn) Remote() secp.PublicKey { return c.remote }

// SetSnappy switches compression on or off, for both directions. It is called
// after both Hellos, when both told version 5 or more, while no other method
// runs.
func (c *Conn) SetSnappy(on bool) { c.snappy = on }

// Snappy reports whether compression is on.
func (c *Conn) Snappy() bool { return c.snappy }

// NetConn returns the connection below, for its addresses and deadlines. Reading
// or writing it would break the session.
func (c *Conn) NetConn() net.Conn { return c.src.fd }

// Close closes the connection below, which ends a ReadMsg in progress, waits for
// that and gives all buffers back but those of messages not released. It may be
// called from any goroutine, more than once, but not by Limits.Message.
func (c *Conn) Close() error {
	err := c.src.fd.Close()
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.err == nil {
		c.err = net.ErrClosed
	}
	c.win.drop()
	return err
}
