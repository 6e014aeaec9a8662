package nat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// The messages of NAT-PMP, RFC 6886. A response has the operation of its request
// with the top bit set, and every one tells the gateway's epoch.

// gatewayPort is where gateways listen for NAT-PMP and PCP.
const gatewayPort = 5351

const (
	pmpVersion = 0
	opResponse = 0x80 // also of PCP

	pmpOpAddress = 0
	pmpOpUDP     = 1
	pmpOpTCP     = 2
)

// errNotOurs is a datagram that does not answer the request, whoever sent it: it
// is passed over.
var errNotOurs = errors.New("nat: not an answer to the request")

// A pmpResult is a result code of RFC 6886 section 3.5, but not success.
type pmpResult uint16

const (
	pmpUnsupportedVersion pmpResult = 1
	pmpNotAuthorized      pmpResult = 2
	pmpNetworkFailure     pmpResult = 3
	pmpOutOfResources     pmpResult = 4
	pmpUnsupportedOpcode  pmpResult = 5
)

func (r pmpResult) Error() string {
	switch r {
	case pmpUnsupportedVersion:
		return "the gateway does not speak this version of NAT-PMP"
	case pmpNotAuthorized:
		return "the gateway refuses: port mapping is switched off"
	case pmpNetworkFailure:
		return "the gateway has no external address at the moment"
	case pmpOutOfResources:
		return "the gateway has no room for more mappings"
	case pmpUnsupportedOpcode:
		return "the gateway does not know this request"
	}
	return fmt.Sprintf("the gateway answers with result %d", uint16(r))
}

// A pmpMapping is a mapping in a request or a response.
type pmpMapping struct {
	protocol           Protocol
	internal, external uint16
	lifetime           uint32 // seconds; 0 removes the mapping
}

func pmpOp(p Protocol) byte {
	if p == UDP {
		return pmpOpUDP
	}
	return pmpOpTCP
}

// appendPMPAddress appends the request for the external address, section 3.2.
func appendPMPAddress(b []byte) []byte { return append(b, pmpVersion, pmpOpAddress) }

// appendPMPMap appends the request for a mapping, section 3.3.
func appendPMPMap(b []byte, m pmpMapping) []byte {
	b = append(b, pmpVersion, pmpOp(m.protocol), 0, 0)
	b = binary.BigEndian.AppendUint16(b, m.internal)
	b = binary.BigEndian.AppendUint16(b, m.external)
	return binary.BigEndian.AppendUint32(b, m.lifetime)
}

// parsePMP returns the epoch and the rest of a response to op. The error is
// errNotOurs or a pmpResult.
func parsePMP(b []byte, op byte) (epoch uint32, rest []byte, err error) {
	if len(b) < 4 || b[0] != pmpVersion || b[1] != op|opResponse {
		return 0, nil, errNotOurs
	}
	// A response that tells of an error may end early.
	if code := binary.BigEndian.Uint16(b[2:]); code != 0 {
		return 0, nil, pmpResult(code)
	}
	if len(b) < 8 {
		return 0, nil, errNotOurs
	}
	return binary.BigEndian.Uint32(b[4:]), b[8:], nil
}

// parsePMPAddress returns what a response to appendPMPAddress tells.
func parsePMPAddress(b []byte) (addr netip.Addr, epoch uint32, err error) {
	epoch, rest, err := parsePMP(b, pmpOpAddress)
	if err != nil {
		return netip.Addr{}, 0, err
	}
	if len(rest) != 4 {
		return netip.Addr{}, 0, errNotOurs
	}
	return netip.AddrFrom4([4]byte(rest)), epoch, nil
}

// parsePMPMap returns the mapping in a response to the request for want: the
// external port and the lifetime may differ from what was wanted.
func parsePMPMap(b []byte, want pmpMapping) (got pmpMapping, epoch uint32, err error) {
	epoch, rest, err := parsePMP(b, pmpOp(want.protocol))
	if err != nil {
		return pmpMapping{}, 0, err
	}
	if len(rest) != 8 {
		return pmpMapping{}, 0, errNotOurs
	}
	got = pmpMapping{
		protocol: want.protocol,
		internal: binary.BigEndian.Uint16(rest),
		external: binary.BigEndian.Uint16(rest[2:]),
		lifetime: binary.BigEndian.Uint32(rest[4:]),
	}
	if got.internal != want.internal {
		return pmpMapping{}, 0, errNotOurs
	}
	return got, epoch, nil
}
