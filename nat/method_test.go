package nat

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]struct {
		method Method
		text   string
	}{
		"":                                 {None(), "none"},
		"none":                             {None(), "none"},
		"off":                              {None(), "none"},
		"any":                              {Any(), "any"},
		"auto":                             {Any(), "any"},
		"on":                               {Any(), "any"},
		"ANY":                              {Any(), "any"},
		"upnp":                             {UPnP(), "upnp"},
		"UPnP":                             {UPnP(), "upnp"},
		"pmp":                              {PMP(netip.Addr{}), "pmp"},
		"natpmp":                           {PMP(netip.Addr{}), "pmp"},
		"nat-pmp":                          {PMP(netip.Addr{}), "pmp"},
		"pmp:192.168.0.1":                  {PMP(netip.MustParseAddr("192.168.0.1")), "pmp:192.168.0.1"},
		"nat-pmp:192.168.0.1":              {PMP(netip.MustParseAddr("192.168.0.1")), "pmp:192.168.0.1"},
		"pcp":                              {PCP(netip.Addr{}), "pcp"},
		"pcp:192.168.0.1":                  {PCP(netip.MustParseAddr("192.168.0.1")), "pcp:192.168.0.1"},
		"pcp:fe80::1%eth0":                 {PCP(netip.MustParseAddr("fe80::1%eth0")), "pcp:fe80::1%eth0"},
		"pcp:::ffff:192.168.0.1":           {PCP(netip.MustParseAddr("192.168.0.1")), "pcp:192.168.0.1"},
		"extip:77.12.33.4":                 {External("77.12.33.4"), "extip:77.12.33.4"},
		"extip:127.0.0.1":                  {External("127.0.0.1"), "extip:127.0.0.1"},
		"EXTIP:77.12.33.4":                 {External("77.12.33.4"), "extip:77.12.33.4"},
		"ip:77.12.33.4":                    {External("77.12.33.4"), "extip:77.12.33.4"},
		"extip:2a00::7":                    {External("2a00::7"), "extip:2a00::7"},
		"extip:node.example.org":           {External("node.example.org"), "extip:node.example.org"},
		"stun":                             {STUN(), "stun"},
		"stun:1.2.3.4:3478":                {STUN("1.2.3.4:3478"), "stun:1.2.3.4:3478"},
		"stun:s.example:3478,[2a00::7]:99": {STUN("s.example:3478", "[2a00::7]:99"), "stun:s.example:3478,[2a00::7]:99"},
	} {
		got, err := Parse(text)
		if err != nil || got != want.method || got.String() != want.text {
			t.Errorf("Parse(%q) = %v, %v; want %s", text, got, err, want.text)
			continue
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("Parse(%q) = %v, %v; want it to be the same again", got.String(), again, err)
		}
	}
	// Each error says what is wrong.
	for text, want := range map[string]string{
		"foo":                                "unknown method; use any, none",
		"any:1":                              `nothing can follow "any"`,
		"upnp:192.168.0.1":                   `nothing can follow "upnp"`,
		"none:":                              `nothing can follow "none"`,
		"pmp:":                               "gateway's IP address",
		"pmp:router":                         "gateway's IP address",
		"pmp:fe80::1":                        "use pcp",
		"pcp:0.0.0.0":                        "cannot be the address of a gateway",
		"pcp:224.0.0.1":                      "cannot be the address of a gateway",
		"extip":                              `"" is no IP address and no host name`,
		"extip:":                             `"" is no IP address and no host name`,
		"extip:0.0.0.0":                      "cannot be the address of a host",
		"extip:255.255.255.255":              "cannot be the address of a host",
		"extip:ff02::1":                      "cannot be the address of a host",
		"extip:fe80::1%eth0":                 "cannot be the address of a host",
		"extip:a b":                          "no host name",
		"extip:1.2.3.4:30303":                "no host name",
		"stun:":                              "servers as HOST:PORT",
		"stun:1.2.3.4":                       "write HOST:PORT",
		"stun:1.2.3.4:0":                     "from 1 to 65535",
		"stun:1.2.3.4:65536":                 "from 1 to 65535",
		"stun:2a00::7:3478":                  "IPv6 needs brackets",
		"stun:[1.2.3.4]:3478":                "no IPv6 address",
		"stun:[2a00::7:3478":                 "no IPv6 address",
		"stun:a:1,":                          "write HOST:PORT",
		"stun:a:1,a:1":                       "named twice",
		"stun:" + strings.Repeat("a:1,", 40): "at most 32",
	} {
		if m, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v; want an error with %q", text, m, err, want)
		}
	}
}

// A Method is its text in files.
func TestMethodText(t *testing.T) {
	var c struct{ NAT Method }
	if err := json.Unmarshal([]byte(`{"NAT":"extip:1.2.3.4"}`), &c); err != nil || c.NAT != External("1.2.3.4") {
		t.Errorf("read %v, %v", c.NAT, err)
	}
	if b, err := json.Marshal(c); err != nil || string(b) != `{"NAT":"extip:1.2.3.4"}` {
		t.Errorf("written %s, %v", b, err)
	}
	if err := json.Unmarshal([]byte(`{"NAT":"foo"}`), &c); err == nil {
		t.Error("an unknown method was read")
	}
}

// NewMapper names all that is wrong at once.
func TestNewMapperErrors(t *testing.T) {
	_, err := NewMapper(Config{Method: STUN("nowhere"), Ports: []Port{
		{}, {Protocol: TCP}, {Protocol: UDP, Internal: 1}, {Protocol: UDP, Internal: 1, External: 2},
		{Protocol: TCP, Internal: 2, Description: strings.Repeat("x", 65)}, {Protocol: TCP, Internal: 3, Description: "a\nb"},
	}})
	for _, want := range []string{
		"write HOST:PORT", "neither TCP nor UDP", "tcp port 0 cannot be mapped", "udp port 1 is to be mapped twice",
		"65 characters", "not printable ASCII",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want one with %q", err, want)
		}
	}
	if _, err := NewMapper(Config{Ports: make([]Port, 17)}); err == nil || !strings.Contains(err.Error(), "at most 16") {
		t.Errorf("17 ports: %v", err)
	}
	if _, err := NewMapper(Config{}); err != nil {
		t.Errorf("zero Config: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"any", "pmp:1.2.3.4", "pcp:fe80::1%eth0", "extip:a.b", "stun:a:1,[::1]:2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(m.String()); err != nil || again != m {
			t.Errorf("Parse(%q) = %v, and that is read as %v, %v", text, m, again, err)
		}
	})
}
