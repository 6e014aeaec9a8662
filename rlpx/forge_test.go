package rlpx

import (
	"crypto/hmac"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"

	"parley/internal/secp"
	"parley/rlp"
)

// testDraw returns the random values of a handshake, fixed by a number.
func testDraw(n byte) *draw {
	rng := rand.New(rand.NewPCG(uint64(n), 8))
	d := &draw{ephemeral: key(n + 1), envelope: key(n + 2)}
	for i := range d.iv {
		d.iv[i] = byte(rng.Uint32())
	}
	for i := range d.nonce {
		d.nonce[i] = byte(rng.Uint32())
	}
	d.padding = make([]byte, minPadding+rng.IntN(maxPadding-minPadding+1))
	for i := range d.padding {
		d.padding[i] = byte(rng.Uint32())
	}
	return d
}

// A role is one side of the handshake as seen by an attacker: what it reads, how
// to make that, and how to hand it over.
type role struct {
	name   string
	victim *secp.PrivateKey
	fields func() [][]byte // of a sound body, in order
	run    func(fd *end, bufs *Buffers) (*Conn, error)
	sends  int // the most bytes the victim may have sent when it fails
}

// roles are Accept, given an auth of keyA, and Initiate, given an ack of keyB.
var roles = []role{{
	name: "auth", victim: keyB,
	fields: func() [][]byte {
		d := testDraw(10)
		token, _ := keyA.ECDH(keyB.Public())
		for i := range token {
			token[i] ^= d.nonce[i]
		}
		sig, _ := d.ephemeral.Sign(token)
		static := keyA.Public()
		return [][]byte{sig[:], static[:], d.nonce[:]}
	},
	run: func(fd *end, bufs *Buffers) (*Conn, error) { return Accept(fd, keyB, bufs) },
}, {
	name: "ack", victim: keyA,
	fields: func() [][]byte {
		d := testDraw(20)
		ephemeral := d.ephemeral.Public()
		return [][]byte{ephemeral[:], d.nonce[:]}
	},
	run:   func(fd *end, bufs *Buffers) (*Conn, error) { return Initiate(fd, keyA, keyB.Public(), bufs) },
	sends: packetPrefix + maxPacket, // its own auth, which goes out first
}}

// body returns the RLP list of fields and a version.
func body(fields [][]byte, version uint64, extra ...[]byte) []byte {
	var content []byte
	for _, f := range fields {
		content = rlp.AppendBytes(content, f)
	}
	content = rlp.AppendUint(content, version)
	for _, e := range extra {
		content = append(content, e...)
	}
	return append(rlp.AppendList(nil, len(content)), content...)
}

// packet seals a plaintext for the victim, as an attacker with any sender key
// can.
func (r *role) packet(plain []byte) []byte {
	d := testDraw(30)
	p := make([]byte, packetPrefix)
	binary.BigEndian.PutUint16(p, uint16(len(plain)+envelopeOverhead))
	p, err := appendEnvelope(p, r.victim.Public(), d.envelope, d.iv, plain, p[:packetPrefix])
	if err != nil {
		panic(err)
	}
	return p
}

// offer gives raw to the victim, then the end of the stream. A victim that
// refuses must have written nothing (but its own auth) and given all buffers
// back; offer returns its error.
func (r *role) offer(t testing.TB, raw []byte) error {
	t.Helper()
	attacker, victim := pipe()
	attacker.Write(raw)
	attacker.hangUp()
	bufs := NewPoisonedBuffers()
	c, err := r.run(victim, bufs)
	if err == nil {
		c.Close()
	}
	if err != nil && victim.written > r.sends {
		t.Errorf("%s: refused with %v, but %d bytes were written", r.name, err, victim.written)
	}
	if err != nil && r.sends == 0 && victim.writes != 0 {
		t.Errorf("%s: refused with %v after %d writes", r.name, err, victim.writes)
	}
	wantInUse(t, bufs, 0)
	return err
}

// sealShort returns an envelope with a valid tag whose part between key and tag
// is rest, of any length.
func sealShort(to secp.PublicKey, rest, shared []byte) []byte {
	d := testDraw(31)
	secret, _ := d.envelope.ECDH(to)
	_, macKey := envelopeKeys(secret)
	from := d.envelope.Public()
	e := append([]byte{4}, from[:]...)
	e = append(e, rest...)
	tag := envelopeTag(macKey, rest, shared)
	return append(e, tag[:]...)
}

// fieldPrime and order are the curve's parameters (SEC 2, 2.4.1).
var (
	fieldPrime, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
	order, _      = new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
)

// badPoints returns 64-byte strings that are no point of the curve, made from one
// that is.
func badPoints(good secp.PublicKey) map[string][]byte {
	change := func(f func(x, y *big.Int)) []byte {
		x, y := new(big.Int).SetBytes(good[:32]), new(big.Int).SetBytes(good[32:])
		f(x, y)
		b := make([]byte, 64)
		x.FillBytes(b[:32])
		y.FillBytes(b[32:])
		return b
	}
	one := big.NewInt(1)
	return map[string][]byte{
		"B5 off curve":     change(func(x, y *big.Int) { y.Xor(y, one) }),
		"B5 zero":          make([]byte, 64),
		"B5 x zero":        change(func(x, y *big.Int) { x.SetInt64(0) }),
		"B6 x = P":         change(func(x, y *big.Int) { x.Set(fieldPrime) }),
		"B6 y = P":         change(func(x, y *big.Int) { y.Set(fieldPrime) }),
		"B6 x = P-1":       change(func(x, y *big.Int) { x.Sub(fieldPrime, one) }),
		"B6 all ones":      change(func(x, y *big.Int) { x.Sub(x.Lsh(one, 256), one); y.Set(x) }),
		"B6 coordinates +": change(func(x, y *big.Int) { x.Set(y) }),
	}
}

// negate returns the point with the other Y, which is on the curve too.
func negate(p secp.PublicKey) []byte {
	b := p
	y := new(big.Int).SetBytes(p[32:])
	y.Sub(fieldPrime, y).FillBytes(b[32:])
	return b[:]
}

// tagOf checks that the tag of a packet is right, for tests that change it.
func tagOf(r *role, packet []byte) bool {
	from, err := secp.ParsePublicKey(packet[packetPrefix : packetPrefix+envelopeKeySize])
	if err != nil {
		return false
	}
	secret, _ := r.victim.ECDH(from)
	_, macKey := envelopeKeys(secret)
	tag := envelopeTag(macKey, packet[packetPrefix+envelopeKeySize:len(packet)-envelopeTagSize], packet[:packetPrefix])
	return hmac.Equal(tag[:], packet[len(packet)-envelopeTagSize:])
}
