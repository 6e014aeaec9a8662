package discover

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/internal/discv4"
	"parley/internal/secp"
	"parley/internal/simnet"
)

// A stranger's socket sends bytes to a service, and counts what comes back.
type stranger struct {
	w    *world
	key  *enode.PrivateKey
	host *simnet.Host
	conn *simnet.PacketConn
	at   netip.AddrPort
	in   int // bytes received
	n    int // packets received

	serial uint16 // of the packets that must differ
}

// stranger adds a machine and its node, which has the key of that number.
func (w *world) stranger(i int) *stranger {
	m, conn, _ := w.machine(i)
	w.t.Cleanup(func() { conn.Close() })
	return &stranger{w: w, key: testKey(w.t, i), host: m, conn: conn, at: m.AddrPort(30303)}
}

// beside returns a stranger on the same machine, at another port.
func (s *stranger) beside(port uint16) *stranger {
	s.w.t.Helper()
	conn, err := s.host.ListenPacket(port)
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.w.t.Cleanup(func() { conn.Close() })
	return &stranger{w: s.w, key: s.key, host: s.host, conn: conn, at: s.host.AddrPort(port)}
}

// node returns the stranger as others may know it, with a record.
func (s *stranger) node() *enode.Node { return nodeOf(s.w.t, s.key, 1, s.at) }

// bareNode returns the stranger with a record that says nowhere that it is.
func (s *stranger) bareNode() *enode.Node { return nodeOf(s.w.t, s.key, 1, zeroEndpoint) }

// zeroEndpoint is nowhere.
var zeroEndpoint netip.AddrPort

// send sends a datagram to a service, in the family of the stranger.
func (s *stranger) send(to *host, data []byte) {
	s.w.t.Helper()
	for _, addr := range to.machine.Addrs() {
		if addr.Is4() == s.at.Addr().Is4() {
			if _, err := s.conn.WriteToUDPAddrPort(data, netip.AddrPortFrom(addr, 30303)); err != nil {
				s.w.t.Fatal(err)
			}
		}
	}
}

// receive returns what has come by the time that everybody waits.
func (s *stranger) receive() (all [][]byte) {
	synctest.Wait()
	var b [2048]byte
	for {
		s.conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
		n, _, err := s.conn.ReadFromUDPAddrPort(b[:])
		if err != nil {
			return all
		}
		s.in, s.n = s.in+n, s.n+1
		all = append(all, slices.Clone(b[:n]))
	}
}

// under returns a stranger with another key at the same socket.
func (s *stranger) under(key *enode.PrivateKey) *stranger {
	other := *s
	other.key = key
	return &other
}

// A v4Stranger is a stranger that speaks discovery v4 by hand.
type v4Stranger struct{ *stranger }

func (w *world) v4Stranger(i int) v4Stranger { return v4Stranger{w.stranger(i)} }

// say sends a message.
func (s v4Stranger) say(to *host, m discv4.Message) []byte {
	s.w.t.Helper()
	data, _, err := discv4.Seal(s.key, m)
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.send(to, data)
	return data
}

// ping sends a PING, no two the same.
func (s v4Stranger) ping(to *host) []byte {
	s.serial++
	return s.say(to, &discv4.Ping{
		Version: 4, From: discv4.Endpoint{Addr: s.at.Addr(), UDP: s.at.Port()},
		To: discv4.Endpoint{UDP: s.serial}, Expiration: soon(),
	})
}

// soon is the usual expiration.
func soon() uint64 { return uint64(time.Now().Add(20 * time.Second).Unix()) }

// take returns the packets that have come.
func (s v4Stranger) take() (ps []*discv4.Packet) {
	s.w.t.Helper()
	for _, data := range s.receive() {
		p, err := discv4.Open(data)
		if err != nil {
			s.w.t.Fatalf("the service sends %x: %v", data, err)
		}
		ps = append(ps, p)
	}
	return ps
}

// expect fails unless the packets that have come are of these kinds.
func (s v4Stranger) expect(what string, want ...discv4.Kind) []*discv4.Packet {
	s.w.t.Helper()
	ps := s.take()
	var got []discv4.Kind
	for _, p := range ps {
		got = append(got, p.Message.Kind())
	}
	if !slices.Equal(got, want) {
		s.w.t.Errorf("%s: the service sends %v, want %v", what, got, want)
	}
	return ps
}

// bond makes each side prove its endpoint to the other.
func (s v4Stranger) bond(to *host) {
	s.w.t.Helper()
	s.ping(to)
	for _, p := range s.expect("PING of a stranger", discv4.KindPong, discv4.KindPing) {
		s.polite(to, p, nil)
	}
	s.expect("PONG")
}

// polite does what a node should do with a packet: PING is answered, FINDNODE with
// no nodes, ENRREQUEST with the record, if there is one.
func (s v4Stranger) polite(to *host, p *discv4.Packet, record *enode.Node) {
	s.w.t.Helper()
	switch p.Message.(type) {
	case *discv4.Ping:
		pong := &discv4.Pong{PingHash: p.Hash, Expiration: soon()}
		if record != nil {
			pong.Seq = record.Seq()
		}
		s.say(to, pong)
	case *discv4.FindNode:
		s.say(to, &discv4.Neighbors{Expiration: soon()})
	case *discv4.ENRRequest:
		if record != nil {
			s.say(to, &discv4.ENRResponse{RequestHash: p.Hash, Record: record.Record().Bytes()})
		}
	}
}

// asked returns the packet that is wanted of those that the service sends, within
// 10 s, and is polite to the others.
func (s v4Stranger) asked(by *host, wanted func(discv4.Message) bool) *discv4.Packet {
	s.w.t.Helper()
	for range 1000 {
		for _, p := range s.take() {
			if wanted(p.Message) {
				return p
			}
			s.polite(by, p, nil)
		}
		s.w.wait(10 * time.Millisecond)
	}
	s.w.t.Fatal("the service did not ask what it should")
	return nil
}

// sealRaw signs a v4 packet of any kind and content.
func sealRaw(t testing.TB, key *enode.PrivateKey, kind byte, content []byte) []byte {
	t.Helper()
	data := append(make([]byte, 97, 98+len(content)), kind)
	data = append(data, content...)
	sig, err := key.Sign(secp.Keccak256(data[97:]))
	if err != nil {
		t.Fatal(err)
	}
	copy(data[32:], sig[:])
	return rehash(data)
}

// rehash makes the hash of a changed v4 packet right.
func rehash(data []byte) []byte {
	h := secp.Keccak256(data[32:])
	copy(data, h[:])
	return data
}
