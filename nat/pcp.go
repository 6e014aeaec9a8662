package nat

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// The messages of the Port Control Protocol, RFC 6887, with the opcodes ANNOUNCE
// and MAP. No options are sent; those of a response are passed over.

const (
	pcpVersion    = 2
	pcpOpAnnounce = 0
	pcpOpMap      = 1

	pcpHeaderSize = 24 // of requests and responses
	pcpMapSize    = 36
	pcpMaxSize    = 1100 // section 7
)

// A pcpNonce tells responses and mappings of one client from those of others.
type pcpNonce [12]byte

// A pcpResult is a result code of RFC 6887 section 7.4, but not success.
type pcpResult uint8

const (
	pcpUnsupportedVersion    pcpResult = 1
	pcpNotAuthorized         pcpResult = 2
	pcpUnsupportedOpcode     pcpResult = 4
	pcpNetworkFailure        pcpResult = 7
	pcpNoResources           pcpResult = 8
	pcpUnsupportedProtocol   pcpResult = 9
	pcpUserExceededQuota     pcpResult = 10
	pcpCannotProvideExternal pcpResult = 11
	pcpAddressMismatch       pcpResult = 12
)

func (r pcpResult) Error() string {
	switch r {
	case pcpUnsupportedVersion:
		return "the gateway does not speak PCP"
	case pcpNotAuthorized:
		return "the gateway refuses: port mapping is switched off, or the port is another program's"
	case pcpUnsupportedOpcode:
		return "the gateway's PCP maps no ports"
	case pcpNetworkFailure:
		return "the gateway has no external address at the moment"
	case pcpNoResources, pcpUserExceededQuota:
		return "the gateway has no room for more mappings"
	case pcpUnsupportedProtocol:
		return "the gateway does not map this protocol"
	case pcpCannotProvideExternal:
		return "the gateway cannot give that port"
	case pcpAddressMismatch:
		return "another NAT is between this host and the gateway"
	}
	return fmt.Sprintf("the gateway answers with PCP result %d", uint8(r))
}

// A pcpMapping is a mapping in a request or a response.
type pcpMapping struct {
	nonce    pcpNonce
	protocol Protocol
	internal uint16
	external netip.AddrPort // suggested or assigned
	lifetime uint32         // seconds; 0 removes the mapping
}

// appendPCPHeader appends the header of a request, section 7.1. The client is the
// address that the request is sent from.
func appendPCPHeader(b []byte, op byte, client netip.Addr, lifetime uint32) []byte {
	b = append(b, pcpVersion, op, 0, 0)
	b = binary.BigEndian.AppendUint32(b, lifetime)
	addr := client.As16()
	return append(b, addr[:]...)
}

// appendPCPAnnounce appends a request that asks only whether the gateway is there,
// section 14.1.
func appendPCPAnnounce(b []byte, client netip.Addr) []byte {
	return appendPCPHeader(b, pcpOpAnnounce, client, 0)
}

// appendPCPMap appends the request for a mapping, section 11.1. An external address
// that is not valid leaves the choice to the gateway.
func appendPCPMap(b []byte, client netip.Addr, m pcpMapping) []byte {
	b = appendPCPHeader(b, pcpOpMap, client, m.lifetime)
	b = append(b, m.nonce[:]...)
	b = append(b, m.protocol.number(), 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, m.internal)
	b = binary.BigEndian.AppendUint16(b, m.external.Port())
	suggested := m.external.Addr()
	switch {
	case suggested.IsValid():
	case client.Unmap().Is4():
		suggested = netip.IPv4Unspecified()
	default:
		suggested = netip.IPv6Unspecified()
	}
	addr := suggested.As16()
	return append(b, addr[:]...)
}

// A pcpHeader is the header of a response, section 7.2.
type pcpHeader struct {
	result   pcpResult // 0 is success
	lifetime uint32
	epoch    uint32
}

// parsePCPHeader returns the header of a response to op, and what follows it. The
// error is errNotOurs or pcpUnsupportedVersion.
func parsePCPHeader(b []byte, op byte) (h pcpHeader, body []byte, err error) {
	// A gateway that speaks only NAT-PMP answers in that, appendix A.
	if len(b) >= 4 && b[0] == pmpVersion && b[1]&opResponse != 0 && binary.BigEndian.Uint16(b[2:]) == uint16(pmpUnsupportedVersion) {
		return pcpHeader{}, nil, pcpUnsupportedVersion
	}
	if len(b) < pcpHeaderSize || len(b) > pcpMaxSize || len(b)%4 != 0 || b[1]&opResponse == 0 {
		return pcpHeader{}, nil, errNotOurs
	}
	// A gateway with other versions answers in one of those, section 9.
	h = pcpHeader{result: pcpResult(b[3]), lifetime: binary.BigEndian.Uint32(b[4:]), epoch: binary.BigEndian.Uint32(b[8:])}
	if h.result == pcpUnsupportedVersion {
		return pcpHeader{}, nil, pcpUnsupportedVersion
	}
	if b[0] != pcpVersion || b[1] != op|opResponse {
		return pcpHeader{}, nil, errNotOurs
	}
	return h, b[pcpHeaderSize:], nil
}

// parsePCPAnnounce returns the epoch in a response to appendPCPAnnounce. A gateway
// that does not know the opcode tells it too.
func parsePCPAnnounce(b []byte) (epoch uint32, err error) {
	h, _, err := parsePCPHeader(b, pcpOpAnnounce)
	if err == nil && h.result != 0 && h.result != pcpUnsupportedOpcode {
		err = h.result
	}
	return h.epoch, err
}

// parsePCPMap returns the mapping in a response to the request for want, section
// 11.1, and the gateway's epoch. The error is errNotOurs or a pcpResult.
func parsePCPMap(b []byte, want pcpMapping) (got pcpMapping, epoch uint32, err error) {
	h, body, err := parsePCPHeader(b, pcpOpMap)
	if err != nil {
		return pcpMapping{}, 0, err
	}
	if len(body) < pcpMapSize {
		return pcpMapping{}, 0, errNotOurs
	}
	got = pcpMapping{
		nonce:    pcpNonce(body),
		protocol: want.protocol,
		internal: binary.BigEndian.Uint16(body[16:]),
		external: netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[20:])).Unmap(), binary.BigEndian.Uint16(body[18:])),
		lifetime: h.lifetime,
	}
	// Section 11.4: a response belongs to the request with the same protocol,
	// port and nonce, also if it refuses.
	if got.nonce != want.nonce || body[12] != want.protocol.number() || got.internal != want.internal {
		return pcpMapping{}, 0, errNotOurs
	}
	if h.result != 0 {
		return pcpMapping{}, 0, h.result
	}
	return got, h.epoch, nil
}
