package rlpx

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"parley/internal/secp"
	"parley/rlp"
)

// Sizes of the handshake packets: a prefix that tells the size of an ECIES
// envelope, then the envelope. The prefix is not part of the size it tells.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#initial-handshake
const (
	packetPrefix = 2
	minPacket    = envelopeOverhead
	maxPacket    = 2048

	handshakeVersion = 4

	// EIP-8 asks for padding of a random size in this range, so that the size of
	// a packet does not give the protocol away.
	minPadding = 100
	maxPadding = 300
)

// A draw holds everything random that one side puts into one handshake.
type draw struct {
	ephemeral *secp.PrivateKey // the session's secrets come from it
	envelope  *secp.PrivateKey // sender's key of the ECIES envelope
	iv        [envelopeIVSize]byte
	nonce     [32]byte
	padding   []byte // minPadding to maxPadding bytes
}

// An auth is what the initiator's packet says.
type auth struct {
	static    secp.PublicKey // the key the sender claims to hold
	ephemeral secp.PublicKey // recovered from the signature
	nonce     [32]byte
}

// An ack is what the recipient's packet says.
type ack struct {
	ephemeral secp.PublicKey
	nonce     [32]byte
}

// packetSize checks the prefix of a handshake packet and returns the size of
// what follows it.
func packetSize(prefix []byte) (int, error) {
	size := int(binary.BigEndian.Uint16(prefix))
	switch {
	case size > maxPacket:
		return 0, fmt.Errorf("packet of %d bytes: %w", size, ErrTooLarge)
	case size < minPacket:
		return 0, fmt.Errorf("packet of %d bytes: %w", size, ErrMalformed)
	}
	return size, nil
}

// preEIP8 reports whether b, the first bytes of a handshake packet, belongs to
// the old format, which has no size prefix and begins with the envelope's key.
// Of other packets one in 2²⁵⁶ looks like that: its bytes would have to be a
// point on the curve. b has at least 65 bytes.
func preEIP8(b []byte) bool {
	if b[0] != 4 {
		return false
	}
	_, err := secp.ParsePublicKey(b[:envelopeKeySize])
	return err == nil
}

// sealAuth returns the packet that opens a handshake with remote.
func sealAuth(key *secp.PrivateKey, remote secp.PublicKey, d *draw) ([]byte, error) {
	token, err := key.ECDH(remote)
	if err != nil {
		return nil, err
	}
	subtle.XORBytes(token[:], token[:], d.nonce[:])
	sig, err := d.ephemeral.Sign(token)
	if err != nil {
		return nil, err
	}
	static := key.Public()
	return sealPacket(remote, d, sig[:], static[:], d.nonce[:])
}

// sealAck returns the packet that answers an auth that named remote.
func sealAck(remote secp.PublicKey, d *draw) ([]byte, error) {
	ephemeral := d.ephemeral.Public()
	return sealPacket(remote, d, ephemeral[:], d.nonce[:])
}

// sealPacket encrypts the list of fields and the version to remote.
func sealPacket(remote secp.PublicKey, d *draw, fields ...[]byte) ([]byte, error) {
	content := rlp.UintSize(handshakeVersion)
	for _, f := range fields {
		content += rlp.BytesSize(f)
	}
	plain := make([]byte, 0, rlp.ListSize(content)+len(d.padding))
	plain = rlp.AppendList(plain, content)
	for _, f := range fields {
		plain = rlp.AppendBytes(plain, f)
	}
	plain = rlp.AppendUint(plain, handshakeVersion)
	plain = append(plain, d.padding...)

	size := len(plain) + envelopeOverhead
	packet := make([]byte, packetPrefix, packetPrefix+size)
	binary.BigEndian.PutUint16(packet, uint16(size))
	return appendEnvelope(packet, remote, d.envelope, d.iv, plain, packet[:packetPrefix])
}

// openAuth decrypts an initiator's packet, prefix included, and recovers the
// ephemeral key. It treats every claimed key alike, our own too.
func openAuth(key *secp.PrivateKey, packet []byte) (auth, error) {
	var (
		a      auth
		sig    secp.Signature
		static [64]byte
	)
	if err := openPacket(key, packet, sig[:], static[:], a.nonce[:]); err != nil {
		return auth{}, err
	}
	var err error
	if a.static, err = secp.ParsePublicKey(static[:]); err != nil {
		return auth{}, fmt.Errorf("static key: %w", err)
	}
	token, err := key.ECDH(a.static)
	if err != nil {
		return auth{}, fmt.Errorf("static key: %w", err)
	}
	subtle.XORBytes(token[:], token[:], a.nonce[:])
	if a.ephemeral, err = secp.Recover(token, sig); err != nil {
		return auth{}, fmt.Errorf("signature: %w", err)
	}
	return a, nil
}

// openAck decrypts a recipient's packet, prefix included.
func openAck(key *secp.PrivateKey, packet []byte) (ack, error) {
	var (
		a         ack
		ephemeral [64]byte
	)
	if err := openPacket(key, packet, ephemeral[:], a.nonce[:]); err != nil {
		return ack{}, err
	}
	var err error
	if a.ephemeral, err = secp.ParsePublicKey(ephemeral[:]); err != nil {
		return ack{}, fmt.Errorf("ephemeral key: %w", err)
	}
	return a, nil
}

// openPacket decrypts a packet and fills fields, which are of fixed size, from
// the beginning of its list. The version after them may be anything, as may be
// further elements and what follows the list (EIP-8).
func openPacket(key *secp.PrivateKey, packet []byte, fields ...[]byte) error {
	plain, err := openEnvelope(key, packet[packetPrefix:], packet[:packetPrefix])
	if err != nil {
		return err
	}
	body := rlp.NewCursor(plain)
	list, err := body.List()
	if err != nil {
		return fmt.Errorf("body: %w: %w", ErrMalformed, err)
	}
	for _, f := range fields {
		if err := list.Fixed(f); err != nil {
			return fmt.Errorf("body: %w: %w", ErrMalformed, err)
		}
	}
	if err := list.Skip(); err != nil {
		return fmt.Errorf("body: version: %w: %w", ErrMalformed, err)
	}
	return nil
}

// secrets are the keys of a session, known to its two ends only.
type secrets struct {
	aes, mac [32]byte
}

// A transcript is what both sides know of a finished handshake; the packets are
// as they were on the wire.
type transcript struct {
	initiatorNonce, recipientNonce [32]byte
	auth, ack                      []byte
}

// deriveSecrets computes the session's keys from one side's ephemeral private
// key and the other side's public one.
func deriveSecrets(ephemeral *secp.PrivateKey, remote secp.PublicKey, t *transcript) (secrets, error) {
	agreed, err := ephemeral.ECDH(remote)
	if err != nil {
		return secrets{}, fmt.Errorf("ephemeral key: %w", err)
	}
	nonces := secp.Keccak256(t.recipientNonce[:], t.initiatorNonce[:])
	shared := secp.Keccak256(agreed[:], nonces[:])
	var s secrets
	s.aes = secp.Keccak256(agreed[:], shared[:])
	s.mac = secp.Keccak256(agreed[:], s.aes[:])
	return s, nil
}
