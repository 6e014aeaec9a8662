package discover

import (
	"net"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"parley/internal/discv4"
	"parley/internal/discv5"
)

const (
	// bufferSize is one byte more than any packet, so that the beginning of a
	// longer one is not taken for a whole one.
	bufferSize = max(discv4.MaxSize, discv5.MaxPacket) + 1

	// batchSize is how many packets one system call reads or writes.
	batchSize = 8

	// noWait is the time below which a read did not wait: the packet was there, and
	// there may be more.
	noWait = 5 * time.Microsecond
)

// A socket is a UDP socket with memory for a batch of packets each way.
type socket struct {
	conn  net.PacketConn
	plain plainConn // conn, or an adapter to it
	many  manyConn  // nil where packets are read one by one

	// Owned by the reader: memory for what it reads, and whether packets come faster
	// than they are acted on, so that reading many at once is worth memory for
	// their addresses.
	packets []packet
	in      []ipv4.Message
	busy    bool

	// Memory for a batch to be written. Guarded by the mutex of the Service.
	out   []ipv4.Message
	addrs [batchSize]net.UDPAddr
	ips   [batchSize][16]byte
}

// plainConn is what is used of *net.UDPConn, without memory for addresses.
type plainConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// manyConn reads and writes several packets with one system call.
type manyConn interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

// A packet is what was received, and what became of it so far.
type packet struct {
	buffer []byte
	data   []byte // of buffer
	from   netip.AddrPort
	kind   kind
	v4     *discv4.Packet
	drop   error // why v4 refuses it
}

func newSocket(conn net.PacketConn) *socket {
	s := &socket{conn: conn}
	if plain, ok := conn.(plainConn); ok {
		s.plain = plain
	} else {
		s.plain = adapter{conn}
	}
	size := 1
	if udp, ok := conn.(*net.UDPConn); ok && runtime.GOOS == "linux" {
		size = batchSize
		if localAddr(conn).Addr().Is4() {
			s.many = ipv4.NewPacketConn(udp)
		} else {
			s.many = ipv6.NewPacketConn(udp)
		}
		s.out = make([]ipv4.Message, batchSize)
		for i := range s.out {
			s.out[i].Buffers = make([][]byte, 1)
			s.out[i].Addr = &s.addrs[i]
		}
	}
	s.packets = make([]packet, size)
	memory := make([]byte, size*bufferSize)
	for i := range s.packets {
		s.packets[i].buffer = memory[i*bufferSize : (i+1)*bufferSize]
	}
	if s.many != nil {
		s.in = make([]ipv4.Message, size)
		for i := range s.in {
			s.in[i].Buffers = [][]byte{s.packets[i].buffer}
		}
	}
	return s
}

// read waits for packets and returns those that are there. They are valid until
// it is called again.
func (s *socket) read() ([]packet, error) {
	if s.many == nil || !s.busy {
		p := &s.packets[0]
		began := time.Now()
		n, from, err := s.plain.ReadFromUDPAddrPort(p.buffer)
		if err != nil {
			return nil, err
		}
		p.set(n, from)
		s.busy = time.Since(began) < noWait
		return s.packets[:1], nil
	}
	n, err := s.many.ReadBatch(s.in, 0)
	if err != nil {
		return nil, err
	}
	s.busy = n > 1
	for i := range n {
		from, _ := s.in[i].Addr.(*net.UDPAddr)
		s.packets[i].set(s.in[i].N, from.AddrPort())
	}
	return s.packets[:n], nil
}

func (p *packet) set(n int, from netip.AddrPort) {
	p.data = p.buffer[:n]
	p.from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
	p.kind, p.v4, p.drop = 0, nil, nil
}

// An outgoing is a packet to write.
type outgoing struct {
	to   netip.AddrPort
	data []byte
}

// write sends packets in their order. A packet that cannot be sent is lost, as it
// might be on its way; lost is told where it should have gone, and why.
func (s *socket) write(ps []outgoing, lost func(to netip.AddrPort, err error)) {
	for len(ps) > 0 {
		if s.many == nil || len(ps) == 1 {
			if _, err := s.plain.WriteToUDPAddrPort(ps[0].data, ps[0].to); err != nil {
				lost(ps[0].to, err)
			}
			ps = ps[1:]
			continue
		}
		n := min(len(ps), len(s.out))
		for i, p := range ps[:n] {
			s.out[i].Buffers[0] = p.data
			s.ips[i] = p.to.Addr().As16()
			s.addrs[i].IP, s.addrs[i].Port = s.ips[i][:], int(p.to.Port())
		}
		sent, err := s.many.WriteBatch(s.out[:n], 0)
		if err != nil {
			// The error is that of the first packet not sent.
			sent = max(sent, 0)
			lost(ps[min(sent, n-1)].to, err)
			sent++
		}
		ps = ps[min(sent, n):]
	}
}

// adapter makes a plainConn of any net.PacketConn.
type adapter struct{ net.PacketConn }

func (a adapter) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := a.ReadFrom(b)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	return n, addrPort(from), nil
}

func (a adapter) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return a.WriteTo(b, net.UDPAddrFromAddrPort(to))
}

// addrPort returns what a is, or the zero AddrPort if it is no UDP address.
func addrPort(a net.Addr) netip.AddrPort {
	udp, ok := a.(*net.UDPAddr)
	if !ok || udp == nil {
		return netip.AddrPort{}
	}
	at := udp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}

func localAddr(conn net.PacketConn) netip.AddrPort { return addrPort(conn.LocalAddr()) }

// sockets are the sockets of a Service, by family.
type sockets struct {
	all    []*socket
	v4, v6 *socket // nil if there is none for the family
}

// newSockets tells which socket is for which family: one bound to an address is
// for its family only.
func newSockets(conn, conn6 net.PacketConn) *sockets {
	s := &sockets{all: []*socket{newSocket(conn)}}
	s.v4, s.v6 = s.all[0], s.all[0]
	if conn6 != nil {
		s.all = append(s.all, newSocket(conn6))
		s.v6 = s.all[1]
		return s
	}
	switch at := localAddr(conn).Addr(); {
	case at.Is4():
		s.v6 = nil
	case at.Is6() && !at.IsUnspecified():
		s.v4 = nil
	}
	return s
}

// of returns the socket for packets to an address, or nil.
func (s *sockets) of(to netip.Addr) *socket {
	if to.Is4() {
		return s.v4
	}
	return s.v6
}

// close closes all sockets. It ends the calls of read.
func (s *sockets) close() {
	for _, one := range s.all {
		one.conn.Close() // an error says that it was closed already
	}
}
