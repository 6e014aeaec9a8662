package discover

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"parley/enode"
	"parley/internal/discv5"
	"parley/rlp"
)

// A v5Stranger speaks discovery v5 by hand: after the specification and without
// the code of the engine, so that it can say what no engine would.
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-wire.md
type v5Stranger struct {
	*stranger
	id          enode.ID
	record      []byte      // in handshakes
	read, write cipher.AEAD // of the session, once there is one
	sent        uint64
}

// Flags of a packet.
const (
	v5Message   = 0
	v5Whoareyou = 1
	v5Handshake = 2
)

// v5Stranger adds a stranger whose record says nowhere that it is. Nobody contacts
// it of their own accord.
func (w *world) v5Stranger(i int) *v5Stranger { return w.stranger(i).v5() }

func (s *stranger) v5() *v5Stranger {
	n := s.bareNode()
	return &v5Stranger{stranger: s, id: n.ID(), record: n.Record().Bytes()}
}

// reachable returns the stranger as a node to call, without a record.
func (s *stranger) reachable() *enode.Node {
	return enode.NewV4(s.key.Public(), s.at.Addr(), 0, s.at.Port())
}

// A v5Packet is one with its header unmasked.
type v5Packet struct {
	head    []byte // masking-iv ‖ static-header ‖ authdata
	content []byte
}

func (p v5Packet) flag() byte    { return p.head[24] }
func (p v5Packet) nonce() []byte { return p.head[25:37] }
func (p v5Packet) auth() []byte  { return p.head[39:] }

// size is of the packet.
func (p v5Packet) size() int { return len(p.head) + len(p.content) }

// masked returns the bytes of a packet to a node.
func (p v5Packet) masked(to enode.ID) []byte {
	return append(mask(to, slices.Clone(p.head)), p.content...)
}

// mask masks, or unmasks, what follows the masking-iv in a header.
func mask(to enode.ID, head []byte) []byte {
	block, err := aes.NewCipher(to[:16])
	if err != nil {
		panic(err)
	}
	cipher.NewCTR(block, head[:16]).XORKeyStream(head[16:], head[16:])
	return head
}

// v5Head returns masking-iv ‖ static-header ‖ authdata.
func v5Head(flag byte, iv, nonce, auth []byte) []byte {
	b := append(slices.Clone(iv), "discv5\x00\x01"...)
	b = append(append(b, flag), nonce...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(auth))), auth...)
}

// nonce returns one that was not there before.
func (s *v5Stranger) nonce() []byte {
	s.sent++
	return binary.BigEndian.AppendUint64([]byte{0xcc, 0, 0, byte(s.at.Port())}, s.sent)
}

// iv returns a masking-iv.
func (s *v5Stranger) iv() []byte { return append(s.nonce(), 1, 2, 3, 4) }

// unreadable returns a packet that cannot be decrypted.
func (s *v5Stranger) unreadable() v5Packet {
	return v5Packet{v5Head(v5Message, s.iv(), s.nonce(), s.id[:]), make([]byte, 24)}
}

// message returns a packet of the session.
func (s *v5Stranger) message(nonce, plain []byte) v5Packet {
	head := v5Head(v5Message, s.iv(), nonce, s.id[:])
	return v5Packet{head, s.write.Seal(nil, nonce, plain, head)}
}

// whoareyou returns a challenge to the packet with the given nonce.
func (s *v5Stranger) whoareyou(nonce []byte, content ...byte) v5Packet {
	return v5Packet{v5Head(v5Whoareyou, s.iv(), nonce, append(s.iv(), make([]byte, 8)...)), content}
}

// packets sends one and returns those that come back.
func (s *v5Stranger) packets(to *host, p v5Packet) (got []v5Packet) {
	s.w.t.Helper()
	s.send(to, p.masked(to.node.ID()))
	return s.take()
}

// take returns the packets that have come.
func (s *v5Stranger) take() (got []v5Packet) {
	s.w.t.Helper()
	for _, data := range s.receive() {
		head := mask(s.id, slices.Clone(data))
		size := 39
		if len(head) >= 63 {
			size += int(binary.BigEndian.Uint16(head[37:]))
		}
		if len(data) < 63 || len(data) > 1280 || size > len(data) || !bytes.HasPrefix(head[16:], []byte("discv5\x00\x01")) {
			s.w.t.Fatalf("the service sends what is no packet to us: %x", data)
		}
		got = append(got, v5Packet{head[:size], data[size:]})
	}
	return got
}

// A v5Answer is how to answer a challenge; changes make it a bad one.
type v5Answer struct {
	src       enode.ID
	record    []byte
	signature [64]byte
	ephemeral [33]byte
	plain     []byte
}

// handshake answers a challenge of the service.
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-theory.md#handshake-steps
func (s *v5Stranger) handshake(to *host, challenge v5Packet, plain []byte, change func(*v5Answer)) v5Packet {
	t := s.w.t
	t.Helper()
	if challenge.flag() != v5Whoareyou {
		t.Fatalf("a packet with flag %d for WHOAREYOU", challenge.flag())
	}
	s.sent++
	ephemeral := testKey(t, 1<<20+int(s.sent))
	a := v5Answer{src: s.id, record: slices.Clone(s.record), ephemeral: ephemeral.Public().Compress(), plain: plain}
	dest := to.node.ID()
	sig, err := s.key.Sign(sha256.Sum256(slices.Concat([]byte("discovery v5 identity proof"), challenge.head, a.ephemeral[:], dest[:])))
	if err != nil {
		t.Fatal(err)
	}
	a.signature = [64]byte(sig[:])
	if change != nil {
		change(&a)
	}
	s.write, s.read = sessionKeys(t, ephemeral, to.node.PublicKey(), s.id, dest, challenge.head)
	nonce := s.nonce()
	head := v5Head(v5Handshake, s.iv(), nonce, slices.Concat(a.src[:], []byte{64, 33}, a.signature[:], a.ephemeral[:], a.record))
	return v5Packet{head, s.write.Seal(nil, nonce, a.plain, head)}
}

// sessionKeys returns the ciphers of the initiator and of the recipient.
func sessionKeys(t testing.TB, key *enode.PrivateKey, pub enode.PublicKey, initiator, recipient enode.ID, challenge []byte) (i, r cipher.AEAD) {
	t.Helper()
	secret, err := key.SharedPoint(pub)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := hkdf.Key(sha256.New, secret[:], challenge, "discovery v5 key agreement"+string(initiator[:])+string(recipient[:]), 32)
	if err != nil {
		t.Fatal(err)
	}
	aead := func(key []byte) cipher.AEAD {
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		return gcm
	}
	return aead(keys[:16]), aead(keys[16:])
}

// challenge provokes a WHOAREYOU.
func (s *v5Stranger) challenge(to *host) v5Packet {
	s.w.t.Helper()
	got := s.packets(to, s.unreadable())
	if len(got) != 1 || got[0].flag() != v5Whoareyou {
		s.w.t.Fatalf("%d packets in answer to one that cannot be read, want WHOAREYOU", len(got))
	}
	return got[0]
}

// join makes a session with a PING, which is answered.
func (s *v5Stranger) join(to *host) {
	s.w.t.Helper()
	got := s.packets(to, s.handshake(to, s.challenge(to), v5Ping([]byte{1}), nil))
	if len(got) == 0 || s.plain(got[0]).kind != discv5.KindPong {
		s.w.t.Fatalf("%d packets in answer to a handshake with PING, want PONG; dropped %v", len(got), to.Stats().V5.Dropped)
	}
}

// accept challenges the packet with which the service begins a call, and returns
// the request in the handshake that follows.
func (s *v5Stranger) accept(by *host, first v5Packet) v5Plain {
	t := s.w.t
	t.Helper()
	w := s.whoareyou(first.nonce())
	got := s.packets(by, w)
	if len(got) != 1 || got[0].flag() != v5Handshake || len(got[0].auth()) < 131 {
		t.Fatalf("%d packets in answer to WHOAREYOU, want a handshake; dropped %v", len(got), by.Stats().V5.Dropped)
	}
	auth := got[0].auth()
	ephemeral, err := enode.ParsePublicKey(auth[98:131])
	if err != nil {
		t.Fatal(err)
	}
	s.read, s.write = sessionKeys(t, s.key, ephemeral, by.node.ID(), s.id, w.head)
	return s.plain(got[0])
}

// A v5Plain is a message.
type v5Plain struct {
	kind discv5.Kind
	id   []byte
	rest rlp.Cursor // of the list, after the request-id
}

// plain decrypts a message of the session.
func (s *v5Stranger) plain(p v5Packet) v5Plain {
	s.w.t.Helper()
	b, err := s.read.Open(nil, p.nonce(), p.content, p.head)
	if err != nil {
		s.w.t.Fatalf("a packet with flag %d cannot be read: %v", p.flag(), err)
	}
	all := rlp.NewCursor(b[1:])
	list, err := all.List()
	if err != nil {
		s.w.t.Fatal(err)
	}
	id, err := list.Bytes()
	if err != nil {
		s.w.t.Fatal(err)
	}
	return v5Plain{discv5.Kind(b[0]), id, list}
}

// v5Say returns a message: its kind, and a list of the request-id and what is given
// as RLP.
func v5Say(kind discv5.Kind, id []byte, fields ...[]byte) []byte {
	content := append(rlp.AppendBytes(nil, id), slices.Concat(fields...)...)
	return append(rlp.AppendList([]byte{byte(kind)}, len(content)), content...)
}

func v5Ping(id []byte) []byte { return v5Say(discv5.KindPing, id, rlp.AppendUint(nil, 1)) }

func v5FindNode(id []byte, distances ...uint64) []byte {
	var list []byte
	for _, d := range distances {
		list = rlp.AppendUint(list, d)
	}
	return v5Say(discv5.KindFindNode, id, rlp.AppendList(nil, len(list)), list)
}

func v5Talk(id []byte, protocol string) []byte {
	return v5Say(discv5.KindTalkReq, id, rlp.AppendString(nil, protocol), rlp.AppendBytes(nil, nil))
}

// v5Nodes returns a part of the answer to FINDNODE.
func v5Nodes(id []byte, total uint64, records ...[]byte) []byte {
	list := slices.Concat(records...)
	return v5Say(discv5.KindNodes, id, rlp.AppendUint(nil, total), rlp.AppendList(nil, len(list)), list)
}

// v5Pong returns the answer to a PING of to.
func v5Pong(id []byte, to *host) []byte {
	addr := to.machine.Addr().As4()
	return v5Say(discv5.KindPong, id, rlp.AppendUint(nil, 1), rlp.AppendBytes(nil, addr[:]), rlp.AppendUint(nil, 30303))
}
