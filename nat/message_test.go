package nat

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func unhex(t testing.TB, text string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The sample responses of RFC 5769 sections 2.2 and 2.3, with attributes that are
// passed over and a fingerprint that has to be right.
const (
	stunSample4 = `0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
		8022000b 74657374 20766563 746f7220
		00200008 0001a147 e112a643
		00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
		80280004 c07d4c96`
	stunSample6 = `01010048 2112a442 b7e7a701 bc34d686 fa87dfae
		8022000b 74657374 20766563 746f7220
		00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
		00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
		80280004 c8fb0b4c`
)

func TestSTUNVectors(t *testing.T) {
	id := stunID(unhex(t, "b7e7a701 bc34d686 fa87dfae"))
	for _, c := range []struct {
		text, want string
		v6         bool
	}{
		{stunSample4, "192.0.2.1:32853", false},
		{stunSample6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853", true},
	} {
		b := unhex(t, c.text)
		if got, err := parseSTUN(b, id, c.v6); err != nil || got.String() != c.want {
			t.Errorf("parseSTUN = %v, %v; want %s", got, err, c.want)
		}
		if _, err := parseSTUN(b, id, !c.v6); !errors.Is(err, errSTUNFamily) {
			t.Errorf("the other family: %v, want errSTUNFamily", err)
		}
		for i := range b {
			if i == len(b)-7 {
				continue // no fingerprint any more, which is permitted
			}
			broken := append([]byte(nil), b...)
			broken[i] ^= 0x80
			if got, err := parseSTUN(broken, id, c.v6); err == nil {
				t.Errorf("with byte %d changed it tells %v", i, got)
			}
		}
	}
	if got := hex.EncodeToString(appendSTUNRequest(nil, id)); got != "000100002112a442b7e7a701bc34d686fa87dfae" {
		t.Errorf("request %s", got)
	}
}

// What must be understood and is not makes an answer useless; what need not be is
// passed over.
func TestSTUNAttributes(t *testing.T) {
	id := stunID{11: 7}
	request := appendSTUNRequest(nil, id)
	for attr, want := range map[uint16]error{
		0x0004: nil, 0x0005: nil, 0x0001: nil, 0x8022: nil, 0xc001: nil,
		0x0002: errSTUNAttribute, 0x7fff: errSTUNAttribute,
	} {
		b := stunReply(request, "25.1.2.3")
		b = binary.BigEndian.AppendUint16(b, attr)
		b = append(b, 0, 3, 1, 2, 3, 0)
		b[3] += 8
		if got, err := parseSTUN(b, id, false); !errors.Is(err, want) || err == nil && got.Addr().String() != "25.1.2.3" {
			t.Errorf("with attribute %#04x: %v, %v; want error %v", attr, got, err, want)
		}
	}
	// The first address counts.
	b := stunReply(request, "25.1.2.3")
	b = append(b, stunReply(request, "25.6.6.6")[20:]...)
	b[3] += 12
	if got, err := parseSTUN(b, id, false); err != nil || got.Addr().String() != "25.1.2.3" {
		t.Errorf("with two addresses: %v, %v; want the first", got, err)
	}
	if _, err := parseSTUN(refuses(request)[0], id, false); err == nil || !strings.Contains(err.Error(), "420") {
		t.Errorf("a refusal: %v, want code 420", err)
	}
	none := append([]byte{1, 1, 0, 0}, request[4:]...)
	if _, err := parseSTUN(none, id, false); !errors.Is(err, errSTUNAddress) {
		t.Errorf("without an address: %v", err)
	}
}

// The layouts of RFC 6886 sections 3.2 and 3.3, written out.
func TestPMPMessages(t *testing.T) {
	if got := hex.EncodeToString(appendPMPAddress(nil)); got != "0000" {
		t.Errorf("address request %s", got)
	}
	addr, seconds, err := parsePMPAddress(unhex(t, "0080 0000 00000e10 19010203"))
	if err != nil || addr.String() != "25.1.2.3" || seconds != 3600 {
		t.Errorf("address response: %v, %d, %v", addr, seconds, err)
	}
	want := pmpMapping{protocol: TCP, internal: 30303, external: 443, lifetime: 7200}
	if got := hex.EncodeToString(appendPMPMap(nil, want)); got != "00020000765f01bb00001c20" {
		t.Errorf("map request %s", got)
	}
	got, seconds, err := parsePMPMap(unhex(t, "0082 0000 0000000a 765f 01bc 00000e10"), want)
	if err != nil || got != (pmpMapping{TCP, 30303, 444, 3600}) || seconds != 10 {
		t.Errorf("map response: %+v, %d, %v", got, seconds, err)
	}
	for text, want := range map[string]error{
		"0080 0003":                              pmpNetworkFailure, // short, as some send it
		"0080 0002 00000001 00000000":            pmpNotAuthorized,
		"0080 0000 00000001 190102":              errNotOurs,
		"0080 0000 00000001 1901020304":          errNotOurs,
		"0180 0000 00000001 19010203":            errNotOurs,
		"0000 0000 00000001 19010203":            errNotOurs,
		"0081 0000 00000001 19010203":            errNotOurs,
		"":                                       errNotOurs,
		"0081 0000 0000000a 765f 01bc 00000e10 ": errNotOurs,
	} {
		if _, _, err := parsePMPAddress(unhex(t, text)); !errors.Is(err, want) {
			t.Errorf("address response %q: %v, want %v", text, err, want)
		}
	}
}

// The layouts of RFC 6887 sections 7.1, 7.2 and 11.1, written out.
func TestPCPMessages(t *testing.T) {
	want := pcpMapping{
		nonce: pcpNonce(unhex(t, "000102030405060708090a0b")), protocol: UDP, internal: 30303,
		external: netip.MustParseAddrPort("0.0.0.0:30304"), lifetime: 3600,
	}
	const request = `02010000 00000e10 00000000000000000000ffffc0a80102
		000102030405060708090a0b 11000000 765f7660 00000000000000000000ffff00000000`
	if got := appendPCPMap(nil, netip.MustParseAddr("192.168.1.2"), want); hex.EncodeToString(got) != hex.EncodeToString(unhex(t, request)) {
		t.Errorf("request %x", got)
	}
	v6 := want
	v6.external = netip.AddrPort{}
	const request6 = `02010000 00000e10 2a000000000000000000000000000007
		000102030405060708090a0b 11000000 765f0000 00000000000000000000000000000000`
	if got := appendPCPMap(nil, netip.MustParseAddr("2a00::7"), v6); hex.EncodeToString(got) != hex.EncodeToString(unhex(t, request6)) {
		t.Errorf("request for IPv6 %x", got)
	}

	const response = `02810000 00000708 0000000a 000000000000000000000000
		000102030405060708090a0b 11000000 765f7661 00000000000000000000ffff19010203`
	got, seconds, err := parsePCPMap(unhex(t, response), want)
	if err != nil || got.external.String() != "25.1.2.3:30305" || got.lifetime != 1800 || seconds != 10 {
		t.Errorf("response: %+v, %d, %v", got, seconds, err)
	}
	// With an option behind the mapping.
	if _, _, err := parsePCPMap(append(unhex(t, response), 128, 0, 0, 0), want); err != nil {
		t.Errorf("response with an option: %v", err)
	}
	for what, c := range map[string]struct {
		at   int
		to   byte
		want error
	}{
		"nonce":         {24, 9, errNotOurs},
		"protocol":      {36, 6, errNotOurs},
		"internal port": {41, 9, errNotOurs},
		"opcode":        {1, 0x82, errNotOurs},
		"request":       {1, 0x01, errNotOurs},
		"version":       {0, 3, errNotOurs},
		"refusal":       {3, 2, pcpNotAuthorized},
		"old version":   {3, 1, pcpUnsupportedVersion},
	} {
		b := unhex(t, response)
		b[c.at] = c.to
		if _, _, err := parsePCPMap(b, want); !errors.Is(err, c.want) {
			t.Errorf("another %s: %v, want %v", what, err, c.want)
		}
	}
	for n := range len(unhex(t, response)) {
		if _, _, err := parsePCPMap(unhex(t, response)[:n], want); !errors.Is(err, errNotOurs) {
			t.Errorf("%d bytes of a response: %v", n, err)
		}
	}
}

// Every code has its own words, since they are what an operator sees.
func TestResults(t *testing.T) {
	seen := make(map[string]bool)
	for _, err := range []error{
		pmpUnsupportedVersion, pmpNotAuthorized, pmpOutOfResources, pmpUnsupportedOpcode, pmpResult(77),
		pcpUnsupportedVersion, pcpUnsupportedOpcode, pcpUnsupportedProtocol, pcpCannotProvideExternal, pcpAddressMismatch, pcpResult(77),
	} {
		if seen[err.Error()] {
			t.Errorf("two codes say %q", err)
		}
		seen[err.Error()] = true
	}
}

func FuzzPMP(f *testing.F) {
	f.Add(unhex(f, "0080 0000 00000e10 19010203"), uint16(0), false)
	f.Add(unhex(f, "0082 0000 0000000a 765f 01bc 00000e10"), uint16(30303), false)
	f.Add(unhex(f, "0081 0004"), uint16(1), true)
	f.Fuzz(func(t *testing.T, b []byte, internal uint16, udp bool) {
		if addr, _, err := parsePMPAddress(b); err == nil && !addr.Is4() {
			t.Errorf("address %v is not IPv4", addr)
		}
		want := pmpMapping{protocol: TCP, internal: internal}
		if udp {
			want.protocol = UDP
		}
		if got, _, err := parsePMPMap(b, want); err == nil && (got.internal != internal || got.protocol != want.protocol) {
			t.Errorf("mapping %+v was not asked for", got)
		}
	})
}

func FuzzPCP(f *testing.F) {
	f.Add(unhex(f, `02810000 00000708 0000000a 000000000000000000000000
		000102030405060708090a0b 11000000 765f7661 00000000000000000000ffff19010203`), uint16(30303))
	f.Add(unhex(f, "0081 0001 00000001"), uint16(30303))
	f.Fuzz(func(t *testing.T, b []byte, internal uint16) {
		want := pcpMapping{nonce: pcpNonce{1, 2, 3}, protocol: UDP, internal: internal}
		if got, _, err := parsePCPMap(b, want); err == nil && (got.nonce != want.nonce || got.internal != internal) {
			t.Errorf("mapping %+v was not asked for", got)
		}
	})
}

func FuzzSTUN(f *testing.F) {
	f.Add(unhex(f, stunSample4), false)
	f.Add(unhex(f, stunSample6), true)
	f.Add(refuses(appendSTUNRequest(nil, stunID{}))[0], false)
	id := stunID(unhex(f, "b7e7a701 bc34d686 fa87dfae"))
	f.Fuzz(func(t *testing.T, b []byte, v6 bool) {
		if got, err := parseSTUN(b, id, v6); err == nil && (got.Addr().Is6() != v6 || stunID(b[8:]) != id) {
			t.Errorf("told %v, want the family asked for and our ID", got)
		}
	})
}

func FuzzSSDP(f *testing.F) {
	f.Add([]byte(ssdpAnswer("http://192.168.1.1:5000/desc.xml")))
	f.Add([]byte(ssdpAnswer("http://[fe80::1%25eth0]:5000/")))
	f.Fuzz(func(t *testing.T, b []byte) {
		location, err := parseSSDP(b)
		if err == nil && checkURL(location, routerAddr) == nil && location.Hostname() != "192.168.1.1" && location.Hostname() != "::ffff:192.168.1.1" {
			t.Errorf("%q passes as the gateway's", location)
		}
	})
}
