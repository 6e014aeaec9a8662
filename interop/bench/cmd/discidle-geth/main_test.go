package main

import (
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/p2p/discover"
)

// Two nodes print the line that compare reads, with more than one goroutine each.
func TestLine(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 2, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^sim both: n=2 settled: goroutines/node=([2-9]|\d{2,})\.\d rss/node=\S+KB heapInuse/node=`).MatchString(out.String()) {
		t.Errorf("it prints %q", out.String())
	}
	if err := run(&out, 0, 0); err == nil {
		t.Error("no nodes were taken")
	}
}

// What v4 does not know reaches v5 with its sender, and the end is that of a socket.
func TestSharedConn(t *testing.T) {
	rest := make(chan discover.ReadPacket, 1)
	c, from := sharedConn{rest: rest}, netip.MustParseAddrPort("127.0.0.1:9")
	rest <- discover.ReadPacket{Data: []byte("abc"), Addr: from}
	buf := make([]byte, 10)
	if n, at, err := c.ReadFromUDPAddrPort(buf); string(buf[:n]) != "abc" || at != from || err != nil {
		t.Errorf("read %q from %v, %v", buf[:n], at, err)
	}
	close(rest)
	if _, _, err := c.ReadFromUDPAddrPort(buf); err != net.ErrClosed {
		t.Errorf("after the end: %v, want %v", err, net.ErrClosed)
	}
}
