package p2p

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/netaddr"
)

// traffic counts the bytes of all connections of a Server.
type traffic struct{ in, out atomic.Uint64 }

// A stream is a connection on which reading can be ended for good by somebody
// other than the reader, and whose bytes are counted.
type stream struct {
	net.Conn
	meter *traffic
	heard func() // called once, when the first byte came; may be nil

	mu    sync.Mutex // guards the fields below
	ended bool       // no more reading
	last  bool       // the last write has its deadline
}

// aLongTimeAgo is a deadline in the past: it ends an operation at once.
var aLongTimeAgo = time.Unix(1, 0)

func (s *stream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if n > 0 {
		s.meter.in.Add(uint64(n))
		if s.heard != nil {
			s.heard()
			s.heard = nil
		}
	}
	return n, err
}

func (s *stream) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	s.meter.out.Add(uint64(n))
	return n, err
}

// SetReadDeadline sets the deadline unless reading was ended.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	return s.Conn.SetReadDeadline(t)
}

// disarmRead lets the next Read wait.
func (s *stream) disarmRead() {
	_ = s.SetReadDeadline(time.Time{}) // fails only on a closed connection, as Read will
}

// endRead makes the current and every later Read fail, until drain.
func (s *stream) endRead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	_ = s.Conn.SetReadDeadline(aLongTimeAgo)
}

// armWrite gives the next Write its time.
func (s *stream) armWrite(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last {
		_ = s.Conn.SetWriteDeadline(time.Now().Add(d))
	}
}

// lastWrite gives everything that is still to be written this time.
func (s *stream) lastWrite(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = true
	_ = s.Conn.SetWriteDeadline(time.Now().Add(d))
}

// linger waits until the other side has seen the end of what we wrote, at most
// d. A connection that is closed while bytes from the other side lie unread is
// reset by the system, and the reset overtakes what we said last.
func (s *stream) linger(d time.Duration) {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	s.Conn.SetReadDeadline(time.Now().Add(d))
	var scratch [512]byte
	for {
		if _, err := s.Conn.Read(scratch[:]); err != nil {
			return
		}
	}
}

// addrPort returns a connection's address in its normal form: no zone, IPv4 not
// mapped into IPv6. It is the zero AddrPort if the address is not an IP address.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case nil:
		return ap
	case interface{ AddrPort() netip.AddrPort }:
		ap = a.AddrPort()
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(netaddr.Normalize(ap.Addr()), ap.Port())
}
