package discv5

import (
	"container/list"
	"crypto/cipher"
	"encoding/binary"
	"net/netip"

	"parley/enode"
)

// A place is a node at an endpoint. Sessions and challenges are tied to both,
// because an ID proven at one address says nothing about another.
type place struct {
	id   enode.ID
	addr netip.AddrPort
}

// keys are those of one handshake, as ciphers. They are made once, since making
// them costs more than sealing a packet.
type keys struct {
	read, write cipher.AEAD
	sent        uint32 // packets sealed with write, the first part of their nonces
	generation  uint64 // which handshake, counted by the engine
}

func newKeys(read, write [keySize]byte, generation uint64) keys {
	return keys{read: newAEAD(read), write: newAEAD(write), generation: generation}
}

// replayWindow is how many of the last nonces of a session are remembered.
const replayWindow = 32

// A session is what is shared with a node at an endpoint after a handshake.
//
// It has two sets of keys. If both sides begin a handshake at the same time,
// each may end up with the keys that the other has replaced; whoever reads with
// the older set makes it current again, so that no message is lost.
type session struct {
	place place
	node  *enode.Node  // as proven in the handshake
	mask  cipher.Block // of headers to the node

	now, before keys // before.read is nil after the first handshake

	seen [replayWindow]uint64 // nonces read, digested
	next int                  // where the next goes in seen

	used   *list.Element // in the list it belongs to
	proven bool          // in the list of those that answered us
}

// open decrypts a message, appending to b. It tells whether the packet was read
// before.
func (s *session) open(b []byte, p *packet) (plain []byte, replay, ok bool) {
	n := p.head[nonceStart : nonceStart+nonceSize] // p.nonce would have to be allocated
	plain, err := s.now.read.Open(b, n, p.message, p.head)
	if err != nil {
		if s.before.read == nil {
			return b, false, false
		}
		if plain, err = s.before.read.Open(b, n, p.message, p.head); err != nil {
			return b, false, false
		}
		s.now, s.before = s.before, s.now
	}
	digest := p.nonce.digest()
	for _, d := range s.seen {
		if d == digest {
			return b, true, true
		}
	}
	s.seen[s.next] = digest
	s.next = (s.next + 1) % replayWindow
	return plain, false, true
}

// digest is a number by which nonces are told apart. Only who has the session's
// keys can have chosen them, to nobody's harm but their own.
func (n *nonce) digest() uint64 {
	d := binary.BigEndian.Uint64(n[4:]) ^ uint64(binary.BigEndian.Uint32(n[:]))*0x9e3779b97f4a7c15
	return max(d, 1) // 0 is an empty place in the window
}

// sessions is a cache of bounded size. It is two lists by time of last use:
// nodes that only contacted us, and nodes that answered us, which make room only
// when nobody else is left to. Whoever makes up IDs fills the first list only.
type sessions struct {
	limit     int
	all       map[place]*session
	strangers list.List // of *session, the one used last in front
	proven    list.List
}

func newSessions(limit int) sessions {
	return sessions{limit: limit, all: make(map[place]*session)}
}

// touch notes that a session was used.
func (c *sessions) touch(s *session) { c.list(s).MoveToFront(s.used) }

// install puts new keys into the session at a place, which is made if there is
// none. It may drop another session.
func (c *sessions) install(at place, n *enode.Node, k keys) *session {
	if s := c.all[at]; s != nil {
		c.touch(s)
		s.node, s.before, s.now = n, s.now, k
		return s
	}
	if len(c.all) >= c.limit {
		victim := c.strangers.Back()
		if victim == nil {
			victim = c.proven.Back()
		}
		c.drop(victim.Value.(*session))
	}
	s := &session{place: at, node: n, mask: maskOf(at.id), now: k}
	c.all[at] = s
	s.used = c.strangers.PushFront(s)
	return s
}

// prove notes that the node of a session answered us. At most three quarters of
// the sessions are held that way, but one may be.
func (c *sessions) prove(s *session) {
	if s.proven || c.all[s.place] != s {
		return
	}
	if c.proven.Len() >= max(c.limit*3/4, 1) {
		c.move(c.proven.Back().Value.(*session), false)
	}
	c.move(s, true)
}

// move puts a session in front of the other list.
func (c *sessions) move(s *session, proven bool) {
	c.list(s).Remove(s.used)
	s.proven = proven
	s.used = c.list(s).PushFront(s)
}

func (c *sessions) drop(s *session) {
	c.list(s).Remove(s.used)
	delete(c.all, s.place)
}

func (c *sessions) list(s *session) *list.List {
	if s.proven {
		return &c.proven
	}
	return &c.strangers
}
