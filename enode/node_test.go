package enode

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"parley/enr"
)

// The example of the record specification: its key, record and ID.
// https://github.com/ethereum/devp2p/blob/master/enr.md#test-vectors
const (
	specKey    = "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291"
	specID     = "a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7"
	specRecord = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8"
)

func key(t testing.TB) *PrivateKey {
	t.Helper()
	k, err := ParseKeyText([]byte(specKey))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func signed(t testing.TB, entries ...enr.Entry) *Node {
	t.Helper()
	r, err := enr.Sign(key(t), 7, entries...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func texts(n *Node) (tcp, udp []string) {
	for e := range n.TCPEndpoints() {
		tcp = append(tcp, e.String())
	}
	for e := range n.UDPEndpoints() {
		udp = append(udp, e.String())
	}
	return tcp, udp
}

func TestSpecNode(t *testing.T) {
	n, err := Parse(specRecord)
	if err != nil {
		t.Fatal(err)
	}
	udp, ok := n.UDPEndpoint()
	if n.ID().String() != specID || n.Seq() != 1 || !ok || udp.String() != "127.0.0.1:30303" {
		t.Errorf("node %v, seq %d, UDP endpoint %v %v", n.ID(), n.Seq(), udp, ok)
	}
	if tcp, ok := n.TCPEndpoint(); ok {
		t.Errorf("TCPEndpoint = %v without a tcp entry", tcp)
	}
	if n.PublicKey() != key(t).Public() || n.Record().String() != specRecord || n.String() != specRecord {
		t.Errorf("key %x, record %v", n.PublicKey(), n.Record())
	}
}

// Which endpoints a record gives: the ports for IPv6 fall back to those for IPv4
// if omitted, and whatever cannot be used is absent.
func TestRecordEndpoints(t *testing.T) {
	ip4, ip6 := enr.IP(ip("198.51.100.7")), enr.IP(ip("2001:db8::7"))
	for name, c := range map[string]struct {
		entries  []enr.Entry
		tcp, udp []string
	}{
		"nothing":               {},
		"ports alone":           {entries: []enr.Entry{enr.TCP(1), enr.UDP(2)}},
		"addresses alone":       {entries: []enr.Entry{ip4, ip6}},
		"IPv4":                  {[]enr.Entry{ip4, enr.TCP(1), enr.UDP(2)}, []string{"198.51.100.7:1"}, []string{"198.51.100.7:2"}},
		"IPv6, IPv4's ports":    {[]enr.Entry{ip6, enr.TCP(1), enr.UDP(2)}, []string{"[2001:db8::7]:1"}, []string{"[2001:db8::7]:2"}},
		"IPv6, own ports":       {[]enr.Entry{ip6, enr.TCP6(1), enr.UDP6(2)}, []string{"[2001:db8::7]:1"}, []string{"[2001:db8::7]:2"}},
		"IPv4, IPv6's ports":    {entries: []enr.Entry{ip4, enr.TCP6(1), enr.UDP6(2)}},
		"both, shared ports":    {[]enr.Entry{ip4, ip6, enr.TCP(1), enr.UDP(2)}, []string{"198.51.100.7:1", "[2001:db8::7]:1"}, []string{"198.51.100.7:2", "[2001:db8::7]:2"}},
		"both, tcp6 apart":      {[]enr.Entry{ip4, ip6, enr.TCP(1), enr.UDP(2), enr.TCP6(3)}, []string{"198.51.100.7:1", "[2001:db8::7]:3"}, []string{"198.51.100.7:2", "[2001:db8::7]:2"}},
		"both, udp6 apart":      {[]enr.Entry{ip4, ip6, enr.TCP(1), enr.UDP(2), enr.UDP6(4)}, []string{"198.51.100.7:1", "[2001:db8::7]:1"}, []string{"198.51.100.7:2", "[2001:db8::7]:4"}},
		"both, no TCP on IPv6":  {[]enr.Entry{ip4, ip6, enr.TCP(1), enr.TCP6(0)}, []string{"198.51.100.7:1"}, nil},
		"port 0":                {entries: []enr.Entry{ip4, enr.TCP(0), enr.UDP(0)}},
		"unspecified addresses": {entries: []enr.Entry{enr.IP(ip("0.0.0.0")), enr.IP(ip("::")), enr.TCP(1), enr.UDP(2)}},
		"multicast addresses":   {entries: []enr.Entry{enr.IP(ip("224.0.0.1")), enr.IP(ip("ff02::1")), enr.TCP(1), enr.UDP(2)}},
		"broadcast address":     {entries: []enr.Entry{enr.IP(ip("255.255.255.255")), enr.TCP(1), enr.UDP(2)}},
		"one address unusable":  {[]enr.Entry{enr.IP(ip("0.0.0.0")), ip6, enr.TCP(1), enr.UDP(2)}, []string{"[2001:db8::7]:1"}, []string{"[2001:db8::7]:2"}},
		"address of 5 bytes":    {entries: []enr.Entry{enr.With("ip", []byte{1, 2, 3, 4, 5}), enr.TCP(1)}},
		"mapped ip6":            {entries: []enr.Entry{enr.With("ip6", []byte{10: 0xff, 11: 0xff, 15: 1}), enr.TCP(1)}},
		"port of 17 bits":       {[]enr.Entry{ip4, enr.With("tcp", uint32(1<<16)), enr.UDP(2)}, nil, []string{"198.51.100.7:2"}},
		"tcp6 of 17 bits":       {[]enr.Entry{ip4, ip6, enr.TCP(1), enr.With("tcp6", uint32(1<<16))}, []string{"198.51.100.7:1"}, nil},
		"port that is a list":   {[]enr.Entry{ip4, enr.With("udp", []uint16{1}), enr.TCP(1)}, []string{"198.51.100.7:1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			n := signed(t, c.entries...)
			tcp, udp := texts(n)
			if !slices.Equal(tcp, c.tcp) || !slices.Equal(udp, c.udp) {
				t.Errorf("TCP %q, UDP %q; want %q, %q", tcp, udp, c.tcp, c.udp)
			}
			if incomplete := c.tcp == nil && c.udp == nil; n.Incomplete() != incomplete {
				t.Errorf("Incomplete = %v (%v), want %v", n.Incomplete(), n.ValidateComplete(), incomplete)
			}
			first, ok := n.TCPEndpoint()
			if ok != (len(c.tcp) > 0) || ok && first.String() != c.tcp[0] {
				t.Errorf("TCPEndpoint = %v, %v; want the first of %q", first, ok, c.tcp)
			}
		})
	}
}

func TestNewRefusesNoRecord(t *testing.T) {
	for _, r := range []*enr.Record{nil, {}} {
		if n, err := New(r); err == nil {
			t.Errorf("New(%p) = %v, want an error", r, n)
		}
	}
}

func TestNewV4(t *testing.T) {
	pub := key(t).Public()
	for _, c := range []struct{ addr, want string }{
		{"198.51.100.7", "198.51.100.7:1"},
		{"::ffff:198.51.100.7", "198.51.100.7:1"}, // A11
		{"2001:db8::7", "[2001:db8::7]:1"},
		{"fe80::1%eth0", "[fe80::1]:1"},
		{"0.0.0.0", ""},
		{"ff02::1", ""},
	} {
		n := NewV4(pub, ip(c.addr), 1, 2)
		got := ""
		if e, ok := n.TCPEndpoint(); ok {
			got = e.String()
		}
		if got != c.want {
			t.Errorf("NewV4(%s): TCPEndpoint %q, want %q", c.addr, got, c.want)
		}
		if n.ID() != PubkeyID(pub) || n.Record() != nil || n.Seq() != 0 || n.Hostname() != "" {
			t.Errorf("NewV4(%s) = %v, record %v, seq %d, host %q", c.addr, n.ID(), n.Record(), n.Seq(), n.Hostname())
		}
	}
	if n := NewV4(pub, netip.Addr{}, 1, 2); !errors.Is(n.ValidateComplete(), ErrNoAddress) {
		t.Errorf("node without address: %v, want ErrNoAddress", n.ValidateComplete())
	}
	if n := NewV4(pub, ip("198.51.100.7"), 0, 0); !errors.Is(n.ValidateComplete(), ErrNoPort) {
		t.Errorf("node without ports: %v, want ErrNoPort", n.ValidateComplete())
	}
	var port enr.TCP
	if err := NewV4(pub, ip("198.51.100.7"), 1, 2).Load(&port); !errors.Is(err, enr.ErrNotFound) {
		t.Errorf("Load without a record: %v, want ErrNotFound", err)
	}
}

func TestLoad(t *testing.T) {
	n := signed(t, enr.With("x", "value"))
	var got string
	if err := n.Load(enr.With("x", &got)); err != nil || got != "value" {
		t.Errorf("Load = %q, %v", got, err)
	}
}

// A host name stays through resolving, so that it can be resolved again; each
// resolution replaces the one before.
func TestWithAddr(t *testing.T) {
	n, err := Parse("enode://" + hexKey(t) + "@node.example.org:30303?discport=30301")
	if err != nil {
		t.Fatal(err)
	}
	if n.Incomplete() || n.Addr().IsValid() || n.Hostname() != "node.example.org" {
		t.Fatalf("unresolved: %v, address %v, host %q", n.ValidateComplete(), n.Addr(), n.Hostname())
	}
	if _, ok := n.TCPEndpoint(); ok {
		t.Error("a node that is not resolved has an endpoint")
	}
	both := n.WithAddr(ip("2001:db8::7"), ip("ff02::1"), ip("::ffff:198.51.100.7"), ip("198.51.100.8"))
	if n.Addr().IsValid() {
		t.Error("WithAddr changed its receiver")
	}
	tcp, udp := texts(both)
	if want := []string{"198.51.100.7:30303", "[2001:db8::7]:30303"}; !slices.Equal(tcp, want) {
		t.Errorf("TCP endpoints %q, want %q", tcp, want)
	}
	if want := []string{"198.51.100.7:30301", "[2001:db8::7]:30301"}; !slices.Equal(udp, want) {
		t.Errorf("UDP endpoints %q, want %q", udp, want)
	}
	if both.Addr4() != ip("198.51.100.7") || both.Addr6() != ip("2001:db8::7") || both.Addr() != both.Addr4() {
		t.Errorf("addresses %v, %v, preferred %v", both.Addr4(), both.Addr6(), both.Addr())
	}
	later := both.WithAddr(ip("2001:db8::8"))
	if later.Addr4().IsValid() || later.Addr6() != ip("2001:db8::8") || later.Hostname() != n.Hostname() || later.ID() != n.ID() {
		t.Errorf("resolved again: %v, %v, host %q", later.Addr4(), later.Addr6(), later.Hostname())
	}
	if later.WithAddr().Addr().IsValid() {
		t.Error("WithAddr() leaves an address")
	}
	for _, m := range []*Node{n, both, later} {
		if m.URL() != n.URL() {
			t.Errorf("URL = %s, want %s", m.URL(), n.URL())
		}
	}
}

func TestWithPorts(t *testing.T) {
	n := NewV4(key(t).Public(), ip("198.51.100.7"), 1, 2).WithAddr(ip("198.51.100.7"), ip("2001:db8::7"))
	tcp, udp := texts(n.WithTCP(3).WithUDP(4))
	if !slices.Equal(tcp, []string{"198.51.100.7:3", "[2001:db8::7]:3"}) || !slices.Equal(udp, []string{"198.51.100.7:4", "[2001:db8::7]:4"}) {
		t.Errorf("WithTCP(3).WithUDP(4): TCP %q, UDP %q", tcp, udp)
	}
	if tcp, udp = texts(n); tcp[0] != "198.51.100.7:1" || udp[0] != "198.51.100.7:2" {
		t.Errorf("the receiver changed: TCP %q, UDP %q", tcp, udp)
	}
}

// The URL of a record shows the family that can be reached.
func TestURLOfRecord(t *testing.T) {
	ip4, ip6 := enr.IP(ip("198.51.100.7")), enr.IP(ip("2001:db8::7"))
	for _, c := range []struct {
		entries []enr.Entry
		want    string
	}{
		{nil, ""},
		{[]enr.Entry{enr.TCP(1)}, ""},
		{[]enr.Entry{ip4, enr.TCP(1), enr.UDP(1)}, "@198.51.100.7:1"},
		{[]enr.Entry{ip4, enr.UDP(1)}, "@198.51.100.7:0?discport=1"},
		{[]enr.Entry{ip4, enr.TCP(1)}, "@198.51.100.7:1?discport=0"},
		{[]enr.Entry{ip6, enr.TCP(1), enr.UDP6(2)}, "@[2001:db8::7]:1?discport=2"},
		{[]enr.Entry{ip4, ip6, enr.TCP(1), enr.UDP(1), enr.TCP6(3)}, "@198.51.100.7:1"},
		{[]enr.Entry{ip4, ip6, enr.TCP6(3), enr.UDP6(3)}, "@[2001:db8::7]:3"},
		{[]enr.Entry{ip4}, "@198.51.100.7:0"},
	} {
		n := signed(t, c.entries...)
		if want := "enode://" + hexKey(t) + c.want; n.URL() != want {
			t.Errorf("URL = %s, want %s", n.URL(), want)
		}
		if n.String() != n.Record().String() {
			t.Errorf("String = %s, want the record", n)
		}
	}
}

// A table of 10,000 nodes is to fit in 16 MiB with its indexes, so one node with
// its record stays below 1 KiB.
func TestSize(t *testing.T) {
	const want = 256
	if size := unsafe.Sizeof(Node{}); size > want {
		t.Errorf("a Node takes %d bytes, want at most %d", size, want)
	}
}

func hexKey(t testing.TB) string {
	pub := key(t).Public()
	return hex.EncodeToString(pub[:])
}
