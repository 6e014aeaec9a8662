package discv5

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/bits"

	"parley/enode"
	"parley/enr"
)

// Sizes of packets in bytes. No larger and no smaller packet is processed.
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-wire.md#udp-communication
const (
	MinPacket = 63
	MaxPacket = 1280
)

// DefaultProtocol is the protocol id of the public network.
const DefaultProtocol = "discv5"

// Parts of a packet, in bytes.
const (
	protocolSize = 6
	version      = 1
	ivSize       = 16
	staticSize   = protocolSize + 2 + 1 + nonceSize + 2
	headerStart  = ivSize + staticSize // where authdata begins
	nonceStart   = ivSize + protocolSize + 2 + 1
	nonceSize    = 12
	idSize       = 32
	idNonceSize  = 16
	tagSize      = 16 // of AES-GCM
	keySize      = 16

	whoareyouAuth = idNonceSize + 8
	signatureSize = 64
	ephemeralSize = 33
	handshakeAuth = idSize + 2 + signatureSize + ephemeralSize // without the record

	// maxPlaintext is the longest message that fits an ordinary packet.
	maxPlaintext = MaxPacket - headerStart - idSize - tagSize
	// maxHandshakePlaintext is the longest that fits a handshake with any record.
	maxHandshakePlaintext = MaxPacket - headerStart - handshakeAuth - enr.SizeLimit - tagSize
)

// Kinds of packets: the flag of the header.
const (
	flagMessage   = 0
	flagWhoareyou = 1
	flagHandshake = 2
)

// A nonce is what a packet was encrypted with, and how WHOAREYOU names it.
type nonce [nonceSize]byte

// A packet is one that was received, with its header unmasked. Its slices refer
// to the packet as received and to the memory of the codec that opened it.
type packet struct {
	flag    byte
	nonce   nonce
	src     enode.ID // of messages and handshakes
	head    []byte   // masking-iv ‖ header: what the message's tag covers
	message []byte   // encrypted; empty in WHOAREYOU

	seq       uint64 // WHOAREYOU: enr-seq
	signature []byte // handshake: id-signature
	ephemeral []byte // handshake: compressed key
	record    []byte // handshake: RLP, or empty
}

// A codec masks and unmasks headers. Its buffers are part of it because what
// goes through an interface would be allocated for each packet otherwise.
type codec struct {
	protocol [protocolSize]byte
	own      cipher.Block // the mask of packets sent to this node
	counter  [aes.BlockSize]byte
	stream   [aes.BlockSize]byte
	head     [MaxPacket]byte
}

func newCodec(self enode.ID, protocol string) *codec {
	c := &codec{own: maskOf(self)}
	copy(c.protocol[:], protocol)
	return c
}

// maskOf returns the cipher that masks headers of packets to a node.
func maskOf(dest enode.ID) cipher.Block {
	block, err := aes.NewCipher(dest[:keySize])
	if err != nil {
		panic("discv5: AES refuses a key of 16 bytes") // cannot happen
	}
	return block
}

// xor applies AES-CTR, starting at the block with the given number: it writes
// src ^ keystream to dst, which may be src.
func (c *codec) xor(mask cipher.Block, iv []byte, block int, dst, src []byte) {
	hi, lo := binary.BigEndian.Uint64(iv), binary.BigEndian.Uint64(iv[8:])
	lo, carry := bits.Add64(lo, uint64(block), 0)
	hi += carry
	for len(src) > 0 {
		binary.BigEndian.PutUint64(c.counter[:], hi)
		binary.BigEndian.PutUint64(c.counter[8:], lo)
		mask.Encrypt(c.stream[:], c.counter[:])
		n := min(len(src), aes.BlockSize)
		for i := range n {
			dst[i] = src[i] ^ c.stream[i]
		}
		dst, src = dst[n:], src[n:]
		lo, carry = bits.Add64(lo, 1, 0)
		hi += carry
	}
}

// open unmasks the header of a packet and finds its parts. It reads nothing
// behind the first block unless protocol and version are right.
func (c *codec) open(data []byte) (p packet, drop Drop) {
	if len(data) < MinPacket || len(data) > MaxPacket {
		return p, DropSize
	}
	iv := data[:ivSize]
	head := c.head[:copy(c.head[:], iv)+staticSize]
	first := head[ivSize : ivSize+aes.BlockSize]
	c.xor(c.own, iv, 0, first, data[ivSize:ivSize+aes.BlockSize])
	if !bytes.Equal(first[:protocolSize], c.protocol[:]) {
		return p, DropProtocol
	}
	if binary.BigEndian.Uint16(first[protocolSize:]) != version {
		return p, DropVersion
	}
	// The keystream of the second block serves the end of the static header and
	// the start of authdata, whose size is known only after the former.
	rest := ivSize + aes.BlockSize
	c.xor(c.own, iv, 1, head[rest:], data[rest:headerStart])
	size := int(binary.BigEndian.Uint16(head[headerStart-2:]))
	if size > len(data)-headerStart {
		return p, DropAuthSize
	}
	head = c.head[:headerStart+size]
	c.xor(c.own, iv, 1, head[rest:], data[rest:len(head)])

	p.flag = head[nonceStart-1]
	p.nonce = nonce(head[nonceStart:])
	p.head = head
	p.message = data[len(head):]
	return p, p.parseAuth(head[headerStart:])
}

// parseAuth reads authdata, whose layout the flag decides.
func (p *packet) parseAuth(auth []byte) Drop {
	switch p.flag {
	case flagMessage:
		if len(auth) != idSize || len(p.message) < tagSize {
			return DropAuthSize
		}
		p.src = enode.ID(auth)
	case flagWhoareyou:
		if len(auth) != whoareyouAuth || len(p.message) != 0 {
			return DropAuthSize
		}
		p.seq = binary.BigEndian.Uint64(auth[idNonceSize:])
	case flagHandshake:
		if len(auth) < handshakeAuth || len(p.message) < tagSize ||
			auth[idSize] != signatureSize || auth[idSize+1] != ephemeralSize {
			return DropAuthSize
		}
		p.src = enode.ID(auth[:idSize])
		auth = auth[idSize+2:]
		p.signature, auth = auth[:signatureSize], auth[signatureSize:]
		p.ephemeral, p.record = auth[:ephemeralSize], auth[ephemeralSize:]
	default:
		return DropFlag
	}
	return 0
}

// appendHead appends masking-iv and header, not yet masked, up to authdata,
// which the caller appends; size is its length.
func (c *codec) appendHead(b []byte, iv [ivSize]byte, flag byte, n nonce, size int) []byte {
	b = append(b, iv[:]...)
	b = append(b, c.protocol[:]...)
	b = binary.BigEndian.AppendUint16(b, version)
	b = append(b, flag)
	b = append(b, n[:]...)
	return binary.BigEndian.AppendUint16(b, uint16(size))
}

// appendWhoareyou appends a WHOAREYOU packet, not yet masked. These bytes are
// the challenge-data of the handshake.
func (c *codec) appendWhoareyou(b []byte, iv [ivSize]byte, n nonce, idNonce [idNonceSize]byte, seq uint64) []byte {
	b = c.appendHead(b, iv, flagWhoareyou, n, whoareyouAuth)
	b = append(b, idNonce[:]...)
	return binary.BigEndian.AppendUint64(b, seq)
}

// appendMessageHead appends the header of an ordinary message, not yet masked.
func (c *codec) appendMessageHead(b []byte, iv [ivSize]byte, n nonce, src enode.ID) []byte {
	return append(c.appendHead(b, iv, flagMessage, n, idSize), src[:]...)
}

// appendHandshakeHead appends the header of a handshake, not yet masked. The
// record is left out if it is empty.
func (c *codec) appendHandshakeHead(b []byte, iv [ivSize]byte, n nonce, src enode.ID, sig [signatureSize]byte, ephemeral [ephemeralSize]byte, record []byte) []byte {
	b = c.appendHead(b, iv, flagHandshake, n, handshakeAuth+len(record))
	b = append(b, src[:]...)
	b = append(b, signatureSize, ephemeralSize)
	b = append(b, sig[:]...)
	b = append(b, ephemeral[:]...)
	return append(b, record...)
}

// mask masks the header of a packet in place; head is masking-iv ‖ header.
func (c *codec) mask(mask cipher.Block, head []byte) {
	c.xor(mask, head[:ivSize], 0, head[ivSize:], head[ivSize:])
}

// A Demux tells packets of discovery v5 from others by their first block. It is
// not safe for concurrent use; each reader of a socket has its own.
type Demux struct {
	codec codec
}

// NewDemux returns a Demux for packets to the node self. An empty protocol is
// DefaultProtocol.
func NewDemux(self enode.ID, protocol string) *Demux {
	if protocol == "" {
		protocol = DefaultProtocol
	}
	return &Demux{*newCodec(self, protocol)}
}

// Match reports whether the packet claims to be of discovery v5 and for this
// node.
func (d *Demux) Match(data []byte) bool {
	if len(data) < MinPacket {
		return false
	}
	c := &d.codec
	first := c.head[:aes.BlockSize]
	c.xor(c.own, data[:ivSize], 0, first, data[ivSize:ivSize+aes.BlockSize])
	return bytes.Equal(first[:protocolSize], c.protocol[:])
}
