package discv5

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/secp"
)

// iv returns a random masking-iv.
func (e *Engine) iv() (iv [ivSize]byte) {
	fill(iv[:], e.rng)
	return iv
}

// countedNonce returns the nonce of the next message in a session: the count of
// messages and random bits, as the specification advises.
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-theory.md#session-cache
func (e *Engine) countedNonce(s *session) (n nonce) {
	binary.BigEndian.PutUint32(n[:], s.now.sent)
	fill(n[4:], e.rng)
	s.now.sent++
	return n
}

// sendRandom sends a packet that nobody can read, so that it is answered with
// a challenge. It is not smaller than the challenge.
func (e *Engine) sendRandom(at place) nonce {
	var n nonce
	fill(n[:], e.rng)
	e.sendUnreadable(at, n)
	return n
}

// sendUnreadable is sendRandom with a given nonce.
func (e *Engine) sendUnreadable(at place, n nonce) {
	var content [tagSize + 8]byte
	fill(content[:], e.rng)
	b := e.codec.appendMessageHead(e.room(), e.iv(), n, e.id)
	e.codec.mask(maskOf(at.id), b)
	e.emit(at.addr, append(b, content[:]...))
}

// challenge answers a packet that cannot be read with WHOAREYOU, which is never
// larger. It costs no memory that grows with the number of senders.
func (e *Engine) challenge(now time.Time, at place, n nonce) {
	var seq uint64
	if known := e.known(at); known != nil && known.Record() != nil {
		seq = known.Seq()
	}
	w := e.challenges.add(now, at, n, seq)
	b := e.challenges.append(e.room(), w, e.codec)
	e.codec.mask(maskOf(at.id), b)
	e.emit(at.addr, b)
	e.stats.ChallengesOut++
}

// known returns what is known of a node, or nil.
func (e *Engine) known(at place) *enode.Node {
	best, _ := e.table.Get(at.id)
	if s := e.sessions.all[at]; s != nil && (best == nil || s.node.Seq() > best.Seq()) {
		best = s.node
	}
	return best
}

// handshake verifies the answer to a challenge. If anything is wrong with it,
// the challenge stays, because the answer may be a forgery and the true one yet
// to come.
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-theory.md#step-4-node-b-receives-handshake-message
func (e *Engine) handshake(now time.Time, at place, p *packet) Drop {
	asked := e.challenges.find(e.found[:0], now, at)
	if len(asked) == 0 {
		return DropNoChallenge
	}
	known := e.known(at)
	if !e.budget.allow(now, at.addr.Addr(), known != nil, e.challenges.prefix) {
		return DropBusy
	}
	node := e.introduced(p, known)
	if node == nil {
		return DropRecord
	}
	ephemeral, err := secp.ParsePublicKey(p.ephemeral)
	if err != nil {
		return DropIdentity
	}
	challenge, ok := e.answeredChallenge(asked, node, p)
	if !ok {
		return DropIdentity
	}
	read, write, err := deriveKeys(e.key, ephemeral, at.id, e.id, challenge)
	if err != nil {
		return DropIdentity
	}
	fresh := newKeys(read, write, e.generation+1)
	plain, err := fresh.read.Open(e.clear[:0], p.head[nonceStart:nonceStart+nonceSize], p.message, p.head)
	if err != nil {
		return DropUndecryptable
	}
	e.generation++
	e.challenges.forget(at)
	s := e.sessions.install(at, node, fresh)
	e.stats.HandshakesIn++
	e.heard(now, node, at.addr.Addr())
	return e.message(now, s, plain)
}

// introduced returns the node that sent a handshake, from the record in it or
// what is known, or nil.
func (e *Engine) introduced(p *packet, known *enode.Node) *enode.Node {
	if len(p.record) == 0 {
		if known == nil || known.Record() == nil {
			return nil
		}
		return known
	}
	n, err := e.verified.parse(p.record)
	if err != nil || n.ID() != p.src || (known != nil && n.Seq() < known.Seq()) {
		return nil
	}
	return n
}

// answeredChallenge returns challenge-data of the challenge that the handshake
// answers.
func (e *Engine) answeredChallenge(asked []challenge, n *enode.Node, p *packet) ([]byte, bool) {
	for _, w := range asked {
		data := e.challenges.append(e.plain[:0], w, e.codec)
		if verifyIdentity(n.PublicKey(), p.signature, data, p.ephemeral, e.id) {
			return data, true
		}
	}
	return nil, false
}

// challenged acts on a WHOAREYOU: the call whose packet it names is sent again,
// as a handshake.
func (e *Engine) challenged(now time.Time, from netip.AddrPort, p *packet) Drop {
	c := e.calls.byNonce[p.nonce]
	if c == nil || c.at.addr != from || c.shook {
		return DropUnasked
	}
	e.stats.ChallengesIn++
	e.measure(now, c)
	r := e.calls.remotes[c.at]
	e.calls.unsend(r, c)
	s := e.sessions.all[c.at]
	switch {
	case r.lead != nil && r.lead != c:
		// Another call makes the session. This one follows in it.
		r.waiting = append(r.waiting, c)
	case c.sends >= maxSends:
		e.calls.finish(r, c, ErrTimeout)
		e.pump(now, c.at, r)
	case s != nil && s.now.generation > c.generation:
		// A session was made since the packet was sent.
		e.launch(now, r, c)
	default:
		if err := e.shake(now, r, c, p); err != nil {
			e.calls.finish(r, c, err)
			e.pump(now, c.at, r)
		}
	}
	return 0
}

// shake sends a call as a handshake that answers a challenge.
func (e *Engine) shake(now time.Time, r *remote, c *call, p *packet) error {
	if len(c.message) > maxHandshakePlaintext {
		// It would not fit beside the record. A PING makes the session.
		r.waiting = append(r.waiting, c)
		ping := e.newCall(c.at, c.node, KindPing, nil)
		ping.message = appendPing(nil, ownID(ping.id), e.self.Seq())
		c = ping
	}
	// The node cannot read what else was sent to it. That follows in the session.
	for len(r.flying) > 0 {
		other := r.flying[0]
		e.calls.unsend(r, other)
		r.waiting = append(r.waiting, other)
	}
	var seed [32]byte
	fill(seed[:], e.rng)
	ephemeral, err := enode.ParsePrivateKey(seed[:])
	if err != nil {
		return err // one in 2^128
	}
	pub := ephemeral.Public().Compress()
	sig, err := e.key.Sign(identityDigest(p.head, pub[:], c.at.id))
	if err != nil {
		return err
	}
	write, read, err := deriveKeys(ephemeral, c.node.PublicKey(), e.id, c.at.id, p.head)
	if err != nil {
		return err
	}
	e.generation++
	s := e.sessions.install(c.at, c.node, newKeys(read, write, e.generation))

	var record []byte
	if p.seq < e.self.Seq() {
		record = e.self.Record().Bytes()
	}
	e.nonce = e.countedNonce(s)
	b := e.codec.appendHandshakeHead(e.room(), e.iv(), e.nonce, e.id, [signatureSize]byte(sig[:]), pub, record)
	head := len(b)
	b = s.now.write.Seal(b, e.nonce[:], c.message, b)
	e.codec.mask(s.mask, b[:head])
	e.emit(c.at.addr, b)
	e.stats.HandshakesOut++
	c.shook, c.handshake, r.lead = true, slices.Clone(b), c
	c.generation = e.generation
	e.calls.sent(now, r, c, e.nonce)
	return nil
}
