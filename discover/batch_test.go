package discover

import (
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/net/ipv4"
)

// A counter is a socket that always has room, and so many packets waiting. It notes how
// many packets each call takes.
type counter struct {
	waiting       int
	reads, writes []int
}

func (c *counter) ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error) {
	c.waiting--
	c.reads = append(c.reads, 1)
	return 100, netip.AddrPort{}, nil
}

func (c *counter) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) {
	c.writes = append(c.writes, 1)
	return len(b), nil
}

func (c *counter) ReadBatch(ms []ipv4.Message, _ int) (int, error) {
	n := min(len(ms), c.waiting)
	for i := range n {
		ms[i].N, ms[i].Addr = 100, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 30303}
	}
	c.waiting -= n
	c.reads = append(c.reads, n)
	return n, nil
}

func (c *counter) WriteBatch(ms []ipv4.Message, _ int) (int, error) {
	c.writes = append(c.writes, len(ms))
	return len(ms), nil
}

// What goes out together takes one call for 8 packets, a lone packet one without memory
// for addresses. Reading is the same once packets come faster than they are acted
// on, and goes back to one by one when a batch has no more than one.
func TestPacketsPerCall(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // packets go one by one
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to := localAddr(conn)
	for _, c := range []struct {
		packets int
		busy    bool
		calls   []int
		after   bool // busy
	}{
		{1, false, []int{1}, false},
		{1, true, []int{1}, false},
		{3, true, []int{3}, true},
		{batchSize + 3, true, []int{batchSize, 3}, true},
		{2*batchSize + 1, true, []int{batchSize, batchSize, 1}, false},
	} {
		count := &counter{waiting: c.packets}
		s := newSocket(conn)
		s.plain, s.many, s.busy = count, count, c.busy
		s.write(slices.Repeat([]outgoing{{to, make([]byte, 100)}}, c.packets), func(_ netip.AddrPort, err error) {
			t.Errorf("of %d packets one was lost: %v", c.packets, err)
		})
		for got := 0; got < c.packets; {
			packets, err := s.read()
			if err != nil {
				t.Fatal(err)
			}
			got += len(packets)
		}
		if !slices.Equal(count.writes, c.calls) || !slices.Equal(count.reads, c.calls) {
			t.Errorf("%d packets were written in calls of %v and read in calls of %v; want %v", c.packets, count.writes, count.reads, c.calls)
		}
		if c.busy && s.busy != c.after {
			t.Errorf("after %d packets: reads in batches %v, want %v", c.packets, s.busy, c.after)
		}
	}
}
