package discover

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"parley/internal/discv4"
)

// A prober is a node with a plain socket that sends prepared packets to a service
// on a socket of the system and waits for an answer to each.
type prober struct {
	t    testing.TB
	conn *net.UDPConn
	to   netip.AddrPort
	b    [2048]byte
}

func newProber(t testing.TB, s *Service) *prober {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &prober{t: t, conn: conn, to: s.Addr()}
}

func (p *prober) ask(data []byte) {
	p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := p.conn.WriteToUDPAddrPort(data, p.to); err != nil {
		p.t.Fatal(err)
	}
	for {
		// The PING in return is not what was asked for.
		if _, _, err := p.conn.ReadFromUDPAddrPort(p.b[:]); err != nil {
			p.t.Fatal(err)
		}
		if discv4.Kind(p.b[97]) == discv4.KindPong {
			return
		}
	}
}

// pings returns so many PING packets of discovery v4, no two the same.
func pings(t testing.TB, n int, to netip.AddrPort, serial *int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		*serial++
		data, _, err := discv4.Seal(testKey(t, 50), &discv4.Ping{
			Version:    4,
			From:       discv4.Endpoint{Addr: to.Addr(), UDP: uint16(*serial), TCP: uint16(*serial >> 16)},
			To:         discv4.Endpoint{Addr: to.Addr(), UDP: to.Port()},
			Expiration: uint64(time.Now().Add(20 * time.Second).Unix()),
		})
		if err != nil {
			t.Fatal(err)
		}
		list[i] = data
	}
	return list
}

// D1: a PING of discovery v4 costs at most 10 allocations from the socket to the
// socket.
func TestD1Allocations(t *testing.T) {
	s := listen(t, 1, func(*Config) {})
	p := newProber(t, s)
	const runs = 150
	serial := 0
	list := pings(t, runs+10, p.to, &serial)
	for _, data := range list[:8] {
		p.ask(data)
	}
	list = list[8:]
	got := testing.AllocsPerRun(runs, func() {
		p.ask(list[0])
		list = list[1:]
	})
	if t.Logf("%v allocations", got); got > 10 {
		t.Errorf("%v allocations for a PING, want at most 10", got)
	}
}

func BenchmarkPingV4(b *testing.B) {
	s, err := Listen(Config{PrivateKey: testKey(b, 1), V4: true, Addr: "127.0.0.1:0", Rate: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	p := newProber(b, s)
	serial := 0
	var list [][]byte
	b.ReportAllocs()
	for b.Loop() {
		if len(list) == 0 {
			b.StopTimer()
			list = pings(b, 200, p.to, &serial)
			b.StartTimer()
		}
		p.ask(list[0])
		list = list[1:]
	}
}
