package nat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
)

// The messages of a STUN binding, RFC 8489.

const (
	stunRequest  = 0x0001 // Binding
	stunResponse = 0x0101
	stunRefusal  = 0x0111

	stunHeaderSize = 20
	stunCookie     = 0x2112a442
	stunMaxSize    = 1500

	// Attributes, section 18.3.
	stunMappedAddress    = 0x0001
	stunErrorCode        = 0x0009
	stunXORMappedAddress = 0x0020
	stunFingerprint      = 0x8028

	// What is xored to the checksum of a fingerprint, section 14.7.
	stunFingerprintMask = 0x5354554e
)

// A stunID is a transaction ID. It has to be random: it is all that keeps others
// than the server from answering.
type stunID [12]byte

var (
	errSTUNAddress   = errors.New("the server tells no address")
	errSTUNFamily    = errors.New("the server tells an address of the other family")
	errSTUNAttribute = errors.New("the answer has an attribute that is not known and must be understood")
)

// appendSTUNRequest appends a binding request without attributes, section 5.
func appendSTUNRequest(b []byte, id stunID) []byte {
	b = binary.BigEndian.AppendUint16(b, stunRequest)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, stunCookie)
	return append(b, id[:]...)
}

// parseSTUN returns the endpoint that the response to a request tells: the source
// of the request as the server sees it. The error is errNotOurs if the message
// does not answer the request with that ID, and otherwise the reason why the
// answer is of no use.
func parseSTUN(b []byte, id stunID, v6 bool) (netip.AddrPort, error) {
	if len(b) < stunHeaderSize || len(b) > stunMaxSize || len(b)%4 != 0 ||
		int(binary.BigEndian.Uint16(b[2:])) != len(b)-stunHeaderSize ||
		binary.BigEndian.Uint32(b[4:]) != stunCookie || stunID(b[8:]) != id {
		return netip.AddrPort{}, errNotOurs
	}
	typ := binary.BigEndian.Uint16(b)
	if typ != stunResponse && typ != stunRefusal {
		return netip.AddrPort{}, errNotOurs
	}
	var mapped, code []byte // the first of each counts, section 14
	for rest := b[stunHeaderSize:]; len(rest) > 0; {
		if len(rest) < 4 {
			return netip.AddrPort{}, errNotOurs
		}
		attr, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		padded := 4 + (size+3)&^3
		if padded > len(rest) {
			return netip.AddrPort{}, errNotOurs
		}
		value := rest[4 : 4+size]
		switch {
		case attr == stunXORMappedAddress && mapped == nil:
			mapped = value
		case attr == stunErrorCode && code == nil:
			code = value
		case attr == stunFingerprint:
			// It covers all before it and is the last, section 14.7.
			sum := crc32.ChecksumIEEE(b[:len(b)-len(rest)]) ^ stunFingerprintMask
			if size != 4 || padded != len(rest) || binary.BigEndian.Uint32(value) != sum {
				return netip.AddrPort{}, errNotOurs
			}
		case attr < 0x8000 && !stunKnown(attr):
			return netip.AddrPort{}, fmt.Errorf("%w: %#04x", errSTUNAttribute, attr)
		}
		rest = rest[padded:]
	}
	if typ == stunRefusal {
		if len(code) < 4 {
			return netip.AddrPort{}, errors.New("the server refuses")
		}
		return netip.AddrPort{}, fmt.Errorf("the server refuses with code %d", int(code[2]&7)*100+int(code[3]))
	}
	return unxor(mapped, id, v6)
}

// stunKnown reports whether an attribute that must be understood is: those of RFC
// 8489, and two that servers send for clients of RFC 3489.
func stunKnown(attr uint16) bool {
	switch attr {
	case stunMappedAddress, stunXORMappedAddress, stunErrorCode,
		0x0004, 0x0005, // SOURCE-ADDRESS, CHANGED-ADDRESS
		0x0006, 0x0008, 0x000a, 0x0014, 0x0015, // USERNAME, MESSAGE-INTEGRITY, UNKNOWN-ATTRIBUTES, REALM, NONCE
		0x001c, 0x001d, 0x001e: // MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM, USERHASH
		return true
	}
	return false
}

// unxor returns the endpoint in the value of XOR-MAPPED-ADDRESS, section 14.2.
func unxor(value []byte, id stunID, v6 bool) (netip.AddrPort, error) {
	if len(value) < 4 {
		return netip.AddrPort{}, errSTUNAddress
	}
	var mask [16]byte
	binary.BigEndian.PutUint32(mask[:], stunCookie)
	copy(mask[4:], id[:])
	port := binary.BigEndian.Uint16(value[2:]) ^ stunCookie>>16
	raw := value[4:]
	switch {
	case value[1] == 1 && len(raw) == 4 && !v6:
		var a [4]byte
		for i := range a {
			a[i] = raw[i] ^ mask[i]
		}
		return netip.AddrPortFrom(netip.AddrFrom4(a), port), nil
	case value[1] == 2 && len(raw) == 16 && v6:
		var a [16]byte
		for i := range a {
			a[i] = raw[i] ^ mask[i]
		}
		addr := netip.AddrFrom16(a)
		if addr.Is4In6() {
			return netip.AddrPort{}, errSTUNFamily
		}
		return netip.AddrPortFrom(addr, port), nil
	case value[1] == 1 && len(raw) == 4, value[1] == 2 && len(raw) == 16:
		return netip.AddrPort{}, errSTUNFamily
	}
	return netip.AddrPort{}, errSTUNAddress
}
