package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"parley/interop/natlab"
	"parley/nat"
)

// What the listening side serves, the calling side finds. Where nobody listens, and
// where somebody says something else, it finds nothing.
func TestEchoes(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	liar, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var services sync.WaitGroup
	services.Go(func() { echoStreams(t.Context(), listener) })
	services.Go(func() { echoPackets(socket) })
	services.Go(func() {
		for {
			conn, err := liar.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, strings.Repeat("no", 100))
			conn.Close()
		}
	})
	if !echoes("tcp", listener.Addr().String()) {
		t.Error("the TCP endpoint does not send back what it gets")
	}
	if !echoes("udp", socket.LocalAddr().String()) {
		t.Error("the UDP endpoint does not send back what it gets")
	}
	if echoes("tcp", liar.Addr().String()) {
		t.Error("an endpoint that says something else passes for one that sends back what it gets")
	}
	listener.Close()
	socket.Close()
	liar.Close()
	services.Wait()
	if echoes("tcp", listener.Addr().String()) {
		t.Error("a TCP endpoint where nobody listens sends back what it gets")
	}
	if echoes("udp", socket.LocalAddr().String()) {
		t.Error("a UDP endpoint where nobody listens sends back what it gets")
	}
}

// What is said of a family is the mapped port, or the own one where there is no
// mapping, and the problem of the last check.
func TestSeen(t *testing.T) {
	addr := netip.MustParseAddr("25.1.2.3")
	o := nat.Outside{Addr: addr, Via: "pcp", Mappings: []nat.Mapping{{Protocol: nat.UDP, Internal: 30303, External: 40000}}}
	want := natlab.Seen{Via: "pcp", Mapped: 1, TCP: netip.AddrPortFrom(addr, 30303), UDP: netip.AddrPortFrom(addr, 40000)}
	if got := seen(o, 30303); got != want {
		t.Errorf("seen is %+v, want %+v", got, want)
	}
	o.Err = errors.New("silence")
	want.Problem = "silence"
	if got := seen(o, 30303); got != want {
		t.Errorf("seen is %+v, want %+v", got, want)
	}
	if got := seen(nat.Outside{}, 30303); got != (natlab.Seen{}) {
		t.Errorf("seen of nothing is %+v", got)
	}
}

// A port that does not exist is refused before anything is opened.
func TestPort(t *testing.T) {
	if err := listen(nat.None(), 1<<16+30303, ""); err == nil || !strings.Contains(err.Error(), "95839") {
		t.Errorf("listen at a port that does not exist = %v", err)
	}
}
