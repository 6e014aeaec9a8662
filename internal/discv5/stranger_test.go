package discv5

import (
	"crypto/cipher"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/secp"
)

// A stranger makes packets by hand, good and bad, for an engine to receive.
type stranger struct {
	t     testing.TB
	key   *enode.PrivateKey
	id    enode.ID
	addr  netip.AddrPort
	node  *enode.Node
	codec *codec
	rng   *rand.Rand

	read, write cipher.AEAD
	sent        uint64
}

func newStranger(t testing.TB, seed uint64, addr string) *stranger {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 77))
	s := &stranger{t: t, key: testKey(t, rng), addr: netip.MustParseAddrPort(addr), rng: rng}
	s.node = signed(t, s.key, 1, s.addr)
	s.id = s.node.ID()
	s.codec = newCodec(s.id, DefaultProtocol)
	return s
}

func (s *stranger) iv() (iv [ivSize]byte) { fill(iv[:], s.rng); return iv }

func (s *stranger) nonce() (n nonce) {
	s.sent++
	binary.BigEndian.PutUint64(n[4:], s.sent)
	n[0] = 0xcc
	return n
}

// random returns a packet that cannot be read.
func (s *stranger) random(to enode.ID, n nonce) []byte {
	b := s.codec.appendMessageHead(nil, s.iv(), n, s.id)
	s.codec.mask(maskOf(to), b)
	return append(b, make([]byte, 20)...)
}

// message returns a packet in the session.
func (s *stranger) message(to enode.ID, n nonce, plain []byte) []byte {
	b := s.codec.appendMessageHead(nil, s.iv(), n, s.id)
	head := len(b)
	b = s.write.Seal(b, n[:], plain, b)
	s.codec.mask(maskOf(to), b[:head])
	return b
}

// open unmasks a packet and copies what open leaves in the codec's memory.
func (s *stranger) open(data []byte) packet {
	s.t.Helper()
	p, drop := newCodec(s.id, DefaultProtocol).open(data)
	if drop != 0 {
		s.t.Fatalf("the stranger gets a packet that is dropped: %v", drop)
	}
	return p
}

// plain opens a packet in the session and returns its message.
func (s *stranger) plain(data []byte) message {
	s.t.Helper()
	p := s.open(data)
	b, err := s.read.Open(nil, p.nonce[:], p.message, p.head)
	if err != nil {
		s.t.Fatalf("packet of kind %d: %v", p.flag, err)
	}
	m, ok := parseMessage(b)
	if !ok {
		s.t.Fatalf("malformed message %x", b)
	}
	return m
}

// An answer is how to answer a challenge; changes make it a bad one.
type answer struct {
	record    []byte
	ephemeral [ephemeralSize]byte
	sig       [signatureSize]byte
	src       enode.ID
	plain     []byte
}

// handshake answers the challenge in a WHOAREYOU packet of the node to.
func (s *stranger) handshake(to *host, whoareyou []byte, plain []byte, change func(*answer)) []byte {
	s.t.Helper()
	w := s.open(whoareyou)
	if w.flag != flagWhoareyou {
		s.t.Fatalf("got a packet of kind %d for WHOAREYOU", w.flag)
	}
	ephemeral := testKey(s.t, s.rng)
	a := answer{record: s.node.Record().Bytes(), ephemeral: ephemeral.Public().Compress(), src: s.id, plain: plain}
	sig, err := s.key.Sign(identityDigest(w.head, a.ephemeral[:], to.id))
	if err != nil {
		s.t.Fatal(err)
	}
	a.sig = [signatureSize]byte(sig[:])
	if change != nil {
		change(&a)
	}
	write, read, err := deriveKeys(ephemeral, to.key.Public(), s.id, to.id, w.head)
	if err != nil {
		s.t.Fatal(err)
	}
	s.read, s.write = newAEAD(read), newAEAD(write)
	n := s.nonce()
	b := s.codec.appendHandshakeHead(nil, s.iv(), n, a.src, a.sig, a.ephemeral, a.record)
	head := len(b)
	b = s.write.Seal(b, n[:], a.plain, b)
	s.codec.mask(maskOf(to.id), b[:head])
	return b
}

// packets hands a packet to an engine and returns what it sends back, copied.
func (s *stranger) packets(now time.Time, to *host, data []byte) [][]byte {
	to.Receive(now, s.addr, data)
	var all [][]byte
	out := to.Take()
	for _, p := range out.Packets {
		if p.To == s.addr {
			all = append(all, append([]byte{}, p.Data...))
		}
	}
	to.talks = append(to.talks, out.Talks...)
	for _, r := range out.Done {
		to.done[r.Call] = r
	}
	return all
}

// challenge provokes a WHOAREYOU.
func (s *stranger) challenge(now time.Time, to *host) []byte {
	s.t.Helper()
	got := s.packets(now, to, s.random(to.id, s.nonce()))
	if len(got) != 1 {
		s.t.Fatalf("%d packets in answer to one that cannot be read, want 1", len(got))
	}
	return got[0]
}

// join makes a session with an engine by a PING, and reads the PONG.
func (s *stranger) join(now time.Time, to *host) {
	s.t.Helper()
	got := s.packets(now, to, s.handshake(to, s.challenge(now, to), appendPing(nil, ownID(1), 1), nil))
	for _, data := range got {
		if p := s.open(data); p.flag == flagMessage {
			if b, err := s.read.Open(nil, p.nonce[:], p.message, p.head); err == nil && b[0] == byte(KindPong) {
				return
			}
		}
	}
	s.t.Fatalf("no PONG among %d packets after the handshake; drops %v", len(got), to.stats.Dropped)
}

// accept challenges the packet with which an engine begins a call, reads the
// handshake and returns the request in it.
func (s *stranger) accept(now time.Time, from *host, first []byte) message {
	s.t.Helper()
	p := s.open(first)
	var idNonce [idNonceSize]byte
	fill(idNonce[:], s.rng)
	w := s.codec.appendWhoareyou(nil, s.iv(), p.nonce, idNonce, 0)
	challenge := append([]byte{}, w...)
	s.codec.mask(maskOf(from.id), w)
	got := s.packets(now, from, w)
	if len(got) != 1 {
		s.t.Fatalf("%d packets in answer to WHOAREYOU, want 1; drops %v", len(got), from.stats.Dropped)
	}
	h := s.open(got[0])
	if h.flag != flagHandshake || !verifyIdentity(from.key.Public(), h.signature, challenge, h.ephemeral, s.id) {
		s.t.Fatalf("a packet of kind %d, or a bad signature, answers WHOAREYOU", h.flag)
	}
	pub, err := secp.ParsePublicKey(h.ephemeral)
	if err != nil {
		s.t.Fatal(err)
	}
	read, write, err := deriveKeys(s.key, pub, from.id, s.id, challenge)
	if err != nil {
		s.t.Fatal(err)
	}
	s.read, s.write = newAEAD(read), newAEAD(write)
	return s.plain(got[0])
}

// take returns the packets to the stranger that an engine has queued.
func (s *stranger) take(from *host) [][]byte {
	var all [][]byte
	for _, p := range from.Take().Packets {
		if p.To == s.addr {
			all = append(all, append([]byte{}, p.Data...))
		}
	}
	return all
}
