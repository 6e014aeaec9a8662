package p2p

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/keccak"
	"parley/internal/secp"
	"parley/internal/simnet"
	"parley/rlp"
)

// sealTo encrypts a handshake packet for the holder of a key, from the
// specification, with a fixed one-time key and a zero vector.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#ecies-encryption
func sealTo(to enode.PublicKey, plain []byte) []byte {
	p := make([]byte, 2+65+16+len(plain)+32)
	copy(p[83:], plain)
	binary.BigEndian.PutUint16(p, uint16(len(p)-2))
	encKey, _ := onceKeys(to)
	block, _ := aes.NewCipher(encKey)
	cipher.NewCTR(block, p[67:83]).XORKeyStream(p[83:len(p)-32], p[83:len(p)-32])
	return retag(to, p)
}

// retag gives a packet the head that belongs to the one-time key, and its tag.
func retag(to enode.PublicKey, p []byte) []byte {
	once := testKey(7777).Public()
	p[2] = 4
	copy(p[3:67], once[:])
	_, macKey := onceKeys(to)
	mac := hmac.New(sha256.New, macKey)
	mac.Write(p[67 : len(p)-32])
	mac.Write(p[:2])
	mac.Sum(p[:len(p)-32])
	return p
}

func onceKeys(to enode.PublicKey) (enc, mac []byte) {
	secret, err := testKey(7777).ECDH(to)
	if err != nil {
		panic(err)
	}
	return deriveKeys(secret)
}

func deriveKeys(secret [32]byte) (enc, mac []byte) {
	k := sha256.Sum256(append([]byte{0, 0, 0, 1}, secret[:]...))
	m := sha256.Sum256(k[16:])
	return k[:16], m[:]
}

// authFields are the fields of a sound auth from the n-th key, whose ephemeral
// key is the n+1-st: signature, static key, nonce.
func authFields(n int, to enode.PublicKey) [][]byte {
	nonce := sha256.Sum256([]byte{byte(n)})
	token, err := testKey(n).ECDH(to)
	if err != nil {
		panic(err)
	}
	subtle.XORBytes(token[:], token[:], nonce[:])
	sig, err := testKey(n + 1).Sign(token)
	if err != nil {
		panic(err)
	}
	static := testKey(n).Public()
	return [][]byte{sig[:], static[:], nonce[:]}
}

// packetBody is the list of fields and a version, and what follows.
func packetBody(fields [][]byte, version uint64, more ...[]byte) []byte {
	var content []byte
	for _, f := range fields {
		content = rlp.AppendBytes(content, f)
	}
	content = rlp.AppendUint(content, version)
	for _, m := range more {
		content = append(content, m...)
	}
	return append(rlp.AppendList(nil, len(content)), content...)
}

// The curve's parameters (SEC 2, 2.4.1).
var (
	curveP, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
	curveN, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
)

// numbers reads b as 32-byte numbers, lets f change them, and returns the bytes.
func numbers(b []byte, f func(x, y *big.Int)) []byte {
	b = slices.Clone(b)
	x, y := new(big.Int).SetBytes(b[:32]), new(big.Int).SetBytes(b[32:64])
	f(x, y)
	x.FillBytes(b[:32])
	y.FillBytes(b[32:64])
	return b
}

// badPoints are 64-byte strings that are no points of the curve (B5, B6).
func badPoints() map[string][]byte {
	good := testKey(5).Public()
	one := big.NewInt(1)
	return map[string][]byte{
		"B5 off the curve": numbers(good[:], func(_, y *big.Int) { y.Xor(y, one) }),
		"B5 zero":          make([]byte, 64),
		"B6 x = P":         numbers(good[:], func(x, _ *big.Int) { x.Set(curveP) }),
		"B6 y = P":         numbers(good[:], func(_, y *big.Int) { y.Set(curveP) }),
		"B6 x = P-1":       numbers(good[:], func(x, _ *big.Int) { x.Sub(curveP, one) }),
		"B6 all ones":      numbers(good[:], func(x, y *big.Int) { x.Sub(x.Lsh(one, 256), one); y.Set(x) }),
	}
}

// badPackets are the rows B2 to B9 as bytes for the holder of a key. fields are
// those of a sound packet, of which point is the place of one that is a point.
func badPackets(to enode.PublicKey, fields [][]byte, point int) map[string][]byte {
	sound := sealTo(to, packetBody(fields, 4))
	with := func(field int, b []byte) []byte {
		changed := slices.Clone(fields)
		changed[field] = b
		return sealTo(to, packetBody(changed, 4))
	}
	edit := func(f func(p []byte)) []byte { p := slices.Clone(sound); f(p); return p }
	m := make(map[string][]byte)
	for _, size := range []int{0, 1, 96, 97, 112, 2049, 65535} {
		m[fmt.Sprintf("B2 size %d", size)] = binary.BigEndian.AppendUint16(nil, uint16(size))
	}
	for _, size := range []int{113, 2048} {
		m[fmt.Sprintf("B2 size %d, zeros", size)] = append(binary.BigEndian.AppendUint16(nil, uint16(size)), make([]byte, size)...)
	}
	for n := 1; n <= 15; n++ {
		short := make([]byte, 2+65+n+32)
		binary.BigEndian.PutUint16(short, uint16(len(short)-2))
		m[fmt.Sprintf("B3 %d bytes between key and tag", n)] = retag(to, short)
		m[fmt.Sprintf("B3 body of %d bytes", n)] = sealTo(to, make([]byte, n))
	}
	m["B3 body of 0 bytes"] = sealTo(to, nil)
	for i := range 32 {
		m[fmt.Sprintf("B4 byte %d of the tag", i)] = edit(func(p []byte) { p[len(p)-32+i] ^= 0x80 })
	}
	for name, b := range badPoints() {
		m[name+" as R"] = edit(func(p []byte) { copy(p[3:], b) })
		m[name+" as key in the body"] = with(point, b)
	}
	for _, form := range []byte{0, 2, 3, 5, 6, 7} {
		m[fmt.Sprintf("B7 form %#x of R", form)] = edit(func(p []byte) { p[2] = form })
	}
	for i, f := range fields {
		m[fmt.Sprintf("field %d one byte short", i)] = with(i, f[1:])
		m[fmt.Sprintf("field %d one byte long", i)] = with(i, append(slices.Clone(f), 0))
	}
	m["no version"] = sealTo(to, append(rlp.AppendList(nil, len(rlp.AppendBytes(nil, fields[0]))), rlp.AppendBytes(nil, fields[0])...))
	m["no list"] = sealTo(to, rlp.AppendBytes(nil, make([]byte, 200)))
	return m
}

// badSignatures are the packets of row B8.
func badSignatures(to enode.PublicKey, fields [][]byte) map[string][]byte {
	m := make(map[string][]byte)
	add := func(name string, f func(r, s *big.Int), v func(byte) byte) {
		sig := numbers(fields[0], f)
		sig[64] = v(sig[64])
		m["B8 "+name] = sealTo(to, packetBody([][]byte{sig, fields[1], fields[2]}, 4))
	}
	same := func(v byte) byte { return v }
	add("r = 0", func(r, _ *big.Int) { r.SetInt64(0) }, same)
	add("s = 0", func(_, s *big.Int) { s.SetInt64(0) }, same)
	add("r = N", func(r, _ *big.Int) { r.Set(curveN) }, same)
	add("s = N", func(_, s *big.Int) { s.Set(curveN) }, same)
	add("s = 2^256-1", func(_, s *big.Int) { s.Sub(s.Lsh(big.NewInt(1), 256), big.NewInt(1)) }, same)
	for v := 4; v < 256; v++ {
		add(fmt.Sprintf("v = %d", v), func(_, _ *big.Int) {}, func(byte) byte { return byte(v) })
	}
	return m
}

// A forgery is a connection to the server whose every byte the test makes: from
// the handshake it keeps the key stream and the running hash of what it sends.
type forgery struct {
	s      *testServer
	fd     *simnet.Conn
	stream cipher.Stream
	block  cipher.Block
	mac    keccak.Sponge
}

// forge ends the handshake with the n-th key and the given packet, or a sound one.
func (s *testServer) forge(n int, auth []byte) *forgery {
	s.w.Helper()
	to := s.PrivateKey.Public()
	fields := authFields(n, to)
	if auth == nil {
		auth = sealTo(to, packetBody(fields, 4))
	}
	fd := s.dialFrom(s.w.net.Host(privateAddr(3000 + n))).(*simnet.Conn)
	fd.Write(auth)
	buf := make([]byte, 4096)
	got, err := fd.Read(buf)
	if err != nil {
		s.w.Fatalf("no ack: %v", err)
	}
	size := 2 + int(binary.BigEndian.Uint16(buf))
	if got < size {
		s.w.Fatalf("%d bytes at once, want an ack of %d", got, size)
	}
	ack := buf[:size]
	secret, err := testKey(n).ECDH(enode.PublicKey(ack[3:67]))
	if err != nil {
		s.w.Fatal(err)
	}
	encKey, _ := deriveKeys(secret)
	block, _ := aes.NewCipher(encKey)
	plain := slices.Clone(ack[83 : size-32])
	cipher.NewCTR(block, ack[67:83]).XORKeyStream(plain, plain)
	c := rlp.NewCursor(plain)
	list, err := c.List()
	if err != nil {
		s.w.Fatal(err)
	}
	var ephemeral [64]byte
	var nonce [32]byte
	if err := errors.Join(list.Fixed(ephemeral[:]), list.Fixed(nonce[:])); err != nil {
		s.w.Fatal(err)
	}
	agreed, err := testKey(n + 1).ECDH(ephemeral)
	if err != nil {
		s.w.Fatal(err)
	}
	nonces := secp.Keccak256(nonce[:], fields[2])
	shared := secp.Keccak256(agreed[:], nonces[:])
	aesKey := secp.Keccak256(agreed[:], shared[:])
	macKey := secp.Keccak256(agreed[:], aesKey[:])

	f := &forgery{s: s, fd: fd}
	stream, _ := aes.NewCipher(aesKey[:])
	f.stream = cipher.NewCTR(stream, make([]byte, 16))
	f.block, _ = aes.NewCipher(macKey[:])
	subtle.XORBytes(nonce[:], nonce[:], macKey[:])
	f.mac.Absorb(nonce[:])
	f.mac.Absorb(auth)
	return f
}

// frame seals a frame with the given header and body, both as they are.
func (f *forgery) frame(header [16]byte, body []byte) []byte {
	step := func(in []byte) []byte {
		var seed [16]byte
		digest := f.mac.Sum()
		f.block.Encrypt(seed[:], digest[:16])
		subtle.XORBytes(seed[:], seed[:], in)
		f.mac.Absorb(seed[:])
		digest = f.mac.Sum()
		return digest[:16]
	}
	f.stream.XORKeyStream(header[:], header[:])
	out := append(header[:], step(header[:])...)
	body = slices.Clone(body)
	f.stream.XORKeyStream(body, body)
	f.mac.Absorb(body)
	out = append(out, body...)
	digest := f.mac.Sum()
	return append(out, step(digest[:16])...)
}

// header is that of a frame of the given size.
func header(size int) [16]byte {
	return [16]byte{byte(size >> 16), byte(size >> 8), byte(size), 0xc2, 0x80, 0x80}
}

// sound is a frame as it should be, with a body padded with zeros.
func (f *forgery) sound(body []byte) []byte {
	return f.frame(header(len(body)), append(slices.Clone(body), make([]byte, -len(body)&15)...))
}

// helloBody is code and payload of the Hello of the n-th key.
func helloBody(n int, version uint64) []byte {
	h := &Hello{Version: version, Name: "forger", Caps: []Cap{{"idle", 1}}, PublicKey: testKey(n).Public()}
	b, err := h.append([]byte{0x80})
	if err != nil {
		panic(err)
	}
	return b
}

// forgePeer makes the forger a peer: forge, then Hello.
func (s *testServer) forgePeer(n int, version uint64) *forgery {
	s.w.Helper()
	f := s.forge(n, nil)
	f.fd.Write(f.sound(helloBody(n, version)))
	s.w.eventually(time.Second, "the forger is a peer", func() bool { return s.Explain(newID(n)).Connected })
	return f
}
