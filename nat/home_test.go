package nat

import (
	"context"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

var (
	hostAddr   = netip.MustParseAddr("192.168.1.2")
	hostAddr6  = netip.MustParseAddr("2a00::2")
	routerAddr = netip.MustParseAddr("192.168.1.1")
	router6    = netip.MustParseAddr("fe80::1%eth0")
	rogueAddr  = netip.MustParseAddr("192.168.1.66")
)

// A home is a network with a host, a router that is its default gateway, and a
// rogue. The router is written from the specifications with bytes of its own, and
// misbehaves on request. Fields are set before the router is asked, or under mu.
type home struct {
	t     *testing.T
	net   *simnet.Network
	host  *simnet.Host
	lan   *simnet.Host // the router, from inside
	rogue *simnet.Host
	group *simnet.Host // the multicast group of SSDP: whoever is sent to all

	mu       sync.Mutex
	external string          // address told, by UPnP as it is
	behind   string          // address told by PMP and PCP, if another
	refuse   uint8           // result code of PMP and PCP for the address, 0 to answer
	born     time.Time       // when it lost its mappings
	table    map[string]*row // by protocol and external port: "tcp 30303"
	lease    uint32          // seconds given at most; 0 means what is asked for
	shift    uint16          // added to the external port that is asked for
	faults   map[string]int  // UPnP error code by action
	reject   string          // protocol of which UPnP maps no ports
	permanent, samePort,
	version1 bool
	deaf     func(b []byte) bool                                                   // packets of NAT-PMP and PCP that are not answered
	old      bool                                                                  // speaks NAT-PMP alone, and not PCP
	mute     bool                                                                  // does not answer searches
	uptime   bool                                                                  // what it tells as epoch goes on when it restarts
	location string                                                                // of the description; empty means the right one
	control  string                                                                // URL in the description; empty means the right one
	describe http.Handler                                                          // instead of the description
	ssdp     func(from net.Addr, reply func(from *simnet.PacketConn, text string)) // before the answer
	spoof    func(gateway *simnet.PacketConn, to net.Addr)                         // before each answer of PMP and PCP
	searches int
	requests []string // "15:04:05 what"

	v6       bool              // the host has IPv6, and the router a firewall for it
	local6   bool              // the host has IPv6, but no public address
	stubborn bool              // the router removes no holes by PCP
	only4    bool              // the router takes pinholes by IPv4 too, and does not listen to IPv6
	closed   bool              // the firewall lets no program open ports
	holes    map[string]string // what each leads to, by ID

	gateway  netip.Addr
	changed  chan struct{}
	names    map[string][]netip.Addr
	closers  []io.Closer
	serving  sync.WaitGroup
	rogueTCP int // connections to the rogue
}

// A row is a mapping of the router.
type row struct {
	client   string
	internal uint16
	lease    uint32
	nonce    [12]byte
	until    time.Time // zero means for ever
}

// newHome returns a home whose router is up.
func newHome(t *testing.T) *home {
	h := &home{
		t: t, net: simnet.New(1), external: "25.1.2.3", gateway: routerAddr, table: make(map[string]*row),
		faults: make(map[string]int), changed: make(chan struct{}), names: make(map[string][]netip.Addr), holes: make(map[string]string),
	}
	h.host, h.lan, h.rogue = h.net.Host(hostAddr, hostAddr6), h.net.Host(routerAddr, router6), h.net.Host(rogueAddr)
	h.group = h.net.Host(ssdpGroup)
	h.boot()
	l, err := h.rogue.Listen(5000)
	if err != nil {
		t.Fatal(err)
	}
	h.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.rogueTCP++
			h.mu.Unlock()
			conn.Close()
		}
	})
	t.Cleanup(func() {
		h.halt()
		l.Close()
		h.net.Close()
		h.serving.Wait()
	})
	return h
}

// boot starts the router, without mappings.
func (h *home) boot() {
	h.mu.Lock()
	if !h.uptime || h.born.IsZero() {
		h.born = time.Now()
	}
	clear(h.table)
	clear(h.holes)
	h.mu.Unlock()
	control := h.packets(h.lan, 5351)
	h.serving.Go(func() { h.serve(control, h.control5351) })
	direct, group := h.packets(h.lan, 1900), h.packets(h.group, 1900)
	answer := func(_ *simnet.PacketConn, b []byte, from net.Addr) { h.answerSearch(direct, b, from) }
	h.serving.Go(func() { h.serve(direct, answer) })
	h.serving.Go(func() { h.serve(group, answer) })
	l, err := h.lan.Listen(5000)
	if err != nil {
		h.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(h.http)}
	h.closers = append(h.closers, server)
	h.serving.Go(func() { server.Serve(l) })
}

// halt takes the router down.
func (h *home) halt() {
	for _, c := range h.closers {
		c.Close()
	}
	h.closers = nil
}

func (h *home) packets(on *simnet.Host, port uint16) *simnet.PacketConn {
	c, err := on.ListenPacket(port)
	if err != nil {
		h.t.Fatal(err)
	}
	h.closers = append(h.closers, c)
	return c
}

func (h *home) serve(c *simnet.PacketConn, answer func(c *simnet.PacketConn, b []byte, from net.Addr)) {
	b := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		answer(c, b[:n], from)
	}
}

func (h *home) note(format string, args ...any) {
	h.requests = append(h.requests, time.Now().UTC().Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// network is what the mapper on the host sees.
func (h *home) network() Network {
	return Network{
		ListenPacket: func(ctx context.Context, network, address string) (net.PacketConn, error) {
			return h.host.ListenPacketContext(ctx, network, ":0")
		},
		DialFrom: func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
			return h.host.DialFrom(ctx, netip.AddrPortFrom(from, 0), to)
		},
		LookupNetIP: func(_ context.Context, _, host string) ([]netip.Addr, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if addrs, ok := h.names[host]; ok {
				return append([]netip.Addr(nil), addrs...), nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
		Gateway: func(v6 bool) (netip.Addr, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			switch {
			case v6 && h.v6:
				return router6, nil
			case v6 || !h.gateway.IsValid():
				return netip.Addr{}, ErrNoGateway
			}
			return h.gateway, nil
		},
		Source: func(to netip.Addr) (netip.Addr, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			switch {
			case to.Is6() && !h.v6:
				return netip.Addr{}, errors.New("network is unreachable")
			case to.Is6() && h.local6:
				return netip.MustParseAddr("fd00::2"), nil
			case to.IsLinkLocalUnicast():
				return netip.MustParseAddr("fe80::2"), nil
			case to.Is6():
				return hostAddr6, nil
			}
			return hostAddr, nil
		},
		Watch: func(ctx context.Context, changed func()) {
			for {
				select {
				case <-h.changed:
					changed()
				case <-ctx.Done():
					return
				}
			}
		},
	}
}

// control5351 answers NAT-PMP and PCP.
func (h *home) control5351(c *simnet.PacketConn, b []byte, from net.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spoof != nil {
		h.spoof(c, from)
	}
	if h.deaf != nil && h.deaf(b) {
		return
	}
	var reply []byte
	switch {
	case h.old && b[0] == 2: // appendix A of RFC 6887
		reply = h.stamp([]byte{0, 128 | b[1], 0, 1})
	case len(b) == 2 && b[0] == 0 && b[1] == 0:
		reply = h.pmpAddress()
	case len(b) == 12 && b[0] == 0:
		reply = h.pmpMap(b, from)
	case len(b) == 60 && b[0] == 2 && b[1] == 1:
		reply = h.pcpMap(b, from)
	case len(b) == 24 && b[0] == 2 && b[1] == 0:
		h.note("pcp announce")
		reply = append(h.stamp([]byte{2, 128, 0, 0, 0, 0, 0, 0}), make([]byte, 12)...)
	default:
		h.t.Errorf("the router got %x", b)
		return
	}
	c.WriteTo(reply, from)
}

func (h *home) pmpAddress() []byte {
	h.note("pmp address")
	reply := h.stamp([]byte{0, 128, 0, h.refuse})
	if addr, err := netip.ParseAddr(h.told()); err == nil {
		return append(reply, addr.AsSlice()...)
	}
	return append(reply, 0, 0, 0, 0)
}

// told is the external address that NAT-PMP and PCP tell.
func (h *home) told() string {
	if h.behind != "" {
		return h.behind
	}
	return h.external
}

// stamp appends the epoch.
func (h *home) stamp(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(time.Since(h.born)/time.Second))
}

func (h *home) pmpMap(b []byte, from net.Addr) []byte {
	protocol := map[byte]string{1: "udp", 2: "tcp"}[b[1]]
	internal, external := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	lifetime := binary.BigEndian.Uint32(b[8:])
	h.note("pmp %s %d %d for %d", protocol, internal, external, lifetime)
	external, lifetime = h.assign(protocol, from.(*net.UDPAddr).AddrPort().Addr().String(), internal, external, lifetime, [12]byte{})
	reply := h.stamp([]byte{0, 128 + b[1], 0, 0})
	reply = binary.BigEndian.AppendUint16(reply, internal)
	reply = binary.BigEndian.AppendUint16(reply, external)
	return binary.BigEndian.AppendUint32(reply, lifetime)
}

func (h *home) pcpMap(b []byte, from net.Addr) []byte {
	protocol := map[byte]string{17: "udp", 6: "tcp"}[b[36]]
	internal, external := binary.BigEndian.Uint16(b[40:]), binary.BigEndian.Uint16(b[42:])
	lifetime := binary.BigEndian.Uint32(b[4:])
	client := netip.AddrFrom16([16]byte(b[8:])).Unmap().String()
	h.note("pcp %s %d %d for %d", protocol, internal, external, lifetime)
	code := h.refuse
	if client != from.(*net.UDPAddr).AddrPort().Addr().String() {
		code = 12
	}
	for key, r := range h.table {
		if strings.HasPrefix(key, protocol) && r.internal == internal && r.client == client && r.nonce != [12]byte(b[24:]) && r.nonce != [12]byte{} {
			code = 2
		}
	}
	if h.stubborn && lifetime == 0 && strings.Contains(client, ":") {
		code = 2
	}
	if code == 0 {
		external, lifetime = h.assign(protocol, client, internal, external, lifetime, [12]byte(b[24:]))
	}
	reply := binary.BigEndian.AppendUint32([]byte{2, 129, 0, code}, lifetime)
	reply = append(h.stamp(reply), make([]byte, 12)...)
	reply = append(reply, b[24:42]...)
	reply = binary.BigEndian.AppendUint16(reply, external)
	addr, err := netip.ParseAddr(h.told())
	if err != nil {
		addr = netip.IPv4Unspecified()
	}
	if c := netip.MustParseAddr(client); c.Is6() {
		addr = c // there is no NAT
	}
	a := addr.As16()
	return append(reply, a[:]...)
}

// assign maps a port as NAT-PMP and PCP do: what is taken gives another one. Holes
// for IPv6 are rows of tcp6 and udp6.
func (h *home) assign(protocol, client string, internal, external uint16, lifetime uint32, nonce [12]byte) (uint16, uint32) {
	if strings.Contains(client, ":") {
		protocol += "6"
	}
	for key, r := range h.table {
		if p, n, _ := strings.Cut(key, " "); p == protocol && r.client == client && r.internal == internal {
			if delete(h.table, key); lifetime > 0 {
				port, _ := strconv.ParseUint(n, 10, 16)
				external = uint16(port) - h.shift
			}
		}
	}
	if lifetime == 0 {
		return 0, 0
	}
	if h.lease > 0 {
		lifetime = min(lifetime, h.lease)
	}
	external += h.shift
	for h.table[fmt.Sprintf("%s %d", protocol, external)] != nil {
		external++
	}
	h.table[fmt.Sprintf("%s %d", protocol, external)] = &row{
		client: client, internal: internal, lease: lifetime, nonce: nonce,
		until: time.Now().Add(time.Duration(lifetime) * time.Second),
	}
	return external, lifetime
}

// answerSearch answers SSDP from the router's socket.
func (h *home) answerSearch(from *simnet.PacketConn, b []byte, to net.Addr) {
	if !strings.Contains(string(b), "M-SEARCH * HTTP/1.1\r\n") || !strings.HasSuffix(string(b), "\r\n\r\n") {
		h.t.Errorf("the router got %q", b)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.searches++
	if h.mute {
		return
	}
	if h.ssdp != nil {
		h.ssdp(to, func(c *simnet.PacketConn, text string) {
			if c == nil {
				c = from
			}
			c.WriteTo([]byte(text), to)
		})
	}
	location := h.location
	if location == "" {
		location = "http://192.168.1.1:5000/desc.xml"
	}
	from.WriteTo([]byte(ssdpAnswer(location)), to)
}

func ssdpAnswer(location string) string {
	return "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nEXT:\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n" +
		"USN: uuid:1::urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: " + location + "\r\n\r\n"
}

const description = `<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>1</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:2</deviceType><deviceList>
<device><deviceType>urn:schemas-upnp-org:device:WANDevice:2</deviceType><deviceList>
<device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:2</deviceType><serviceList>
<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:%d</serviceType><controlURL>%s</controlURL></service>
<service><serviceType>urn:schemas-upnp-org:service:WANIPv6FirewallControl:1</serviceType><controlURL>/firewall</controlURL></service>
</serviceList></device></deviceList></device></deviceList></device></root>`

// http is the router's web server: its description and the control of
// WANIPConnection.
func (h *home) http(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/desc.xml" {
		h.mu.Lock()
		special, control, version := h.describe, h.control, 2
		if h.version1 {
			version = 1
		}
		h.mu.Unlock()
		if control == "" {
			control = "/control"
		}
		if special != nil {
			special.ServeHTTP(w, r)
			return
		}
		fmt.Fprintf(w, description, version, control)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Method != http.MethodPost {
		h.t.Errorf("the router was asked for %s", r.URL.Path)
	}
	service, action, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPACTION"), `"`), "#")
	args := soapArgs(h.t, r.Body)
	h.note("%s %s", action, args["NewExternalPort"])
	var out string
	var code int
	if r.URL.Path == "/firewall" {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		if h.only4 && strings.Contains(from, ":") {
			panic(http.ErrAbortHandler)
		}
		out, code = h.firewall(action, args, from)
	} else {
		out, code = h.action(action, args)
	}
	if c, ok := h.faults[action]; ok {
		code = c
	}
	if h.reject != "" && action == "AddPortMapping" && args["NewProtocol"] == h.reject {
		delete(h.table, strings.ToLower(h.reject)+" "+args["NewExternalPort"])
		code = 501
	}
	if code != 0 {
		w.WriteHeader(500)
		fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode><errorDescription>no</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, code)
		return
	}
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:%sResponse xmlns:u="%s">%s</u:%[1]sResponse></s:Body></s:Envelope>`, action, service, out)
}

// soapArgs returns the text of the elements of a request.
func soapArgs(t *testing.T, r io.Reader) map[string]string {
	args, name := make(map[string]string), ""
	for d := xml.NewDecoder(r); ; {
		token, err := d.Token()
		if err == io.EOF {
			return args
		}
		if err != nil {
			t.Errorf("the router got a request that is no XML: %v", err)
			return args
		}
		switch token := token.(type) {
		case xml.StartElement:
			name = token.Name.Local
		case xml.CharData:
			args[name] += string(token)
		}
	}
}

// action performs an action of WANIPConnection.
func (h *home) action(action string, args map[string]string) (out string, code int) {
	key := strings.ToLower(args["NewProtocol"]) + " " + args["NewExternalPort"]
	lease, _ := strconv.ParseUint(args["NewLeaseDuration"], 10, 32)
	internal, _ := strconv.ParseUint(args["NewInternalPort"], 10, 16)
	r := h.table[key]
	if r != nil && !r.until.IsZero() && time.Now().After(r.until) {
		delete(h.table, key)
		r = nil
	}
	switch action {
	case "GetExternalIPAddress":
		return "<NewExternalIPAddress>" + h.external + "</NewExternalIPAddress>", 0
	case "GetSpecificPortMappingEntry":
		if r == nil {
			return "", 714
		}
		return fmt.Sprintf("<NewInternalPort>%d</NewInternalPort><NewInternalClient>%s</NewInternalClient><NewEnabled>1</NewEnabled>", r.internal, r.client), 0
	case "DeletePortMapping":
		if r == nil {
			return "", 714
		}
		delete(h.table, key)
		return "", 0
	case "AddPortMapping", "AddAnyPortMapping":
		switch {
		case h.permanent && lease != 0:
			return "", 725
		case h.samePort && args["NewExternalPort"] != args["NewInternalPort"]:
			return "", 724
		case r != nil && (r.client != args["NewInternalClient"] || uint64(r.internal) != internal):
			if action == "AddPortMapping" {
				return "", 718
			}
			key, out = strings.ToLower(args["NewProtocol"])+" 40000", "<NewReservedPort>40000</NewReservedPort>"
		}
		n := &row{client: args["NewInternalClient"], internal: uint16(internal), lease: uint32(lease)}
		if lease > 0 {
			n.until = time.Now().Add(time.Duration(lease) * time.Second)
		}
		h.table[key] = n
		return out, 0
	}
	return "", 401
}

// firewall performs an action of WANIPv6FirewallControl.
func (h *home) firewall(action string, args map[string]string, from string) (out string, code int) {
	id := args["UniqueID"]
	switch _, ok := h.holes[id]; {
	case action == "GetFirewallStatus" && h.closed:
		return "<FirewallEnabled>1</FirewallEnabled><InboundPinholeAllowed>0</InboundPinholeAllowed>", 0
	case action == "GetFirewallStatus":
		return "<FirewallEnabled>1</FirewallEnabled><InboundPinholeAllowed>1</InboundPinholeAllowed>", 0
	case action == "AddPinhole" && !h.only4 && from != args["InternalClient"]:
		return "", 606
	case action == "AddPinhole":
		id = strconv.Itoa(len(h.requests))
		h.holes[id] = args["Protocol"] + " " + args["InternalClient"] + " " + args["InternalPort"]
		return "<UniqueID>" + id + "</UniqueID>", 0
	case !ok:
		return "", 704
	case action == "DeletePinhole":
		delete(h.holes, id)
	case action == "GetPinholePackets":
		return "<PinholePackets>7</PinholePackets>", 0
	}
	return "", 0
}

// pinholes returns what the holes in the firewall lead to, in order.
func (h *home) pinholes() []string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Values(h.holes))
}

// mapped returns what an external port of the router leads to, or "".
func (h *home) mapped(protocol string, external uint16) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.table[fmt.Sprintf("%s %d", protocol, external)]
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", r.client, r.internal)
}

// rows returns the mappings of the router, as "tcp 30303 192.168.1.2", in order.
func (h *home) rows() (list []string) {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, r := range h.table {
		list = append(list, key+" "+r.client)
	}
	slices.Sort(list)
	return list
}

// connected returns how many connections the rogue got.
func (h *home) connected() int {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rogueTCP
}

// A seen is a State and when it was told.
type seen struct {
	State
	at time.Time
}

// A diary is what a running mapper tells.
type diary struct {
	stop func() // ends Run and waits for it

	mu     sync.Mutex
	states []seen
}

// run starts a mapper for TCP and UDP port 30303.
func (h *home) run(method string) *diary { return h.runConfig(Config{Method: mustParse(h.t, method)}) }

func (h *home) runConfig(c Config) *diary {
	if c.Ports == nil {
		c.Ports = []Port{{Protocol: TCP, Internal: 30303}, {Protocol: UDP, Internal: 30303}}
	}
	c.Network = h.network()
	m, err := NewMapper(c)
	if err != nil {
		h.t.Fatal(err)
	}
	d := &diary{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range m.Run(ctx) {
			d.mu.Lock()
			d.states = append(d.states, seen{s, time.Now()})
			d.mu.Unlock()
		}
	}()
	d.stop = func() {
		cancel()
		<-done
	}
	h.t.Cleanup(d.stop)
	return d
}

// last returns what is told now.
func (d *diary) last() seen {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.states) == 0 {
		return seen{}
	}
	return d.states[len(d.states)-1]
}

// endpoints returns the TCP and UDP endpoints that were told one after the other,
// with when: what a record would have had.
func (d *diary) endpoints() (list []seen) {
	d.last()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.states {
		if len(list) == 0 || tcp(s) != tcp(list[len(list)-1]) || udp(s) != udp(list[len(list)-1]) || len(s.IPv4.Mappings) != len(list[len(list)-1].IPv4.Mappings) {
			list = append(list, s)
		}
	}
	return list
}

func tcp(s seen) string { return s.IPv4.Endpoint(TCP, 30303).String() }
func udp(s seen) string { return s.IPv4.Endpoint(UDP, 30303).String() }

// wait lets time pass.
func wait(d time.Duration) { <-time.After(d) }

func mustParse(t testing.TB, text string) Method {
	m, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// inHome runs a test in a home of its own, on a clock of its own.
func inHome(t *testing.T, f func(t *testing.T, h *home)) {
	synctest.Test(t, func(t *testing.T) { f(t, newHome(t)) })
}
