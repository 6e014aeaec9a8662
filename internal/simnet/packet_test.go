package simnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// packets opens a socket on port 30303 of a new host.
func packets(t *testing.T, n *Network, addr string) *PacketConn {
	t.Helper()
	c, err := n.Host(netip.MustParseAddr(addr)).ListenPacket(30303)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func at(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), 30303) }

// readAll returns what arrives until nothing does for the given time.
func readAll(c *PacketConn, idle time.Duration) (got []string, from []netip.AddrPort) {
	buf := make([]byte, 2000)
	for {
		c.SetReadDeadline(time.Now().Add(idle))
		n, a, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return got, from
		}
		got, from = append(got, string(buf[:n])), append(from, a)
	}
}

// A datagram arrives after the delay, whole or cut to the reader's buffer, from
// the sender's address.
func TestDatagram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		defer n.Close()
		n.SetDefaultLink(Link{Delay: 40 * time.Millisecond})
		a, b := packets(t, n, "192.0.2.1"), packets(t, n, "192.0.2.2")
		began := time.Now()
		for _, text := range []string{"one", "two too long", ""} {
			if _, err := a.WriteToUDPAddrPort([]byte(text), at("192.0.2.2")); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 5)
		for _, want := range []string{"one", "two t", ""} {
			n, from, err := b.ReadFromUDPAddrPort(buf)
			if err != nil || string(buf[:n]) != want || from != at("192.0.2.1") {
				t.Errorf("read %q from %v, %v; want %q from a", buf[:n], from, err, want)
			}
		}
		if d := time.Since(began); d != 40*time.Millisecond {
			t.Errorf("arrived after %v, want 40ms", d)
		}
		b.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := b.ReadFrom(buf); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 1040*time.Millisecond {
			t.Errorf("read = %v after %v, want the deadline after 1.04s", err, time.Since(began))
		}
		if st := b.Stats(); st.Reads != 4 || st.BytesRead != 15 {
			t.Errorf("%d reads of %d bytes, want 4 of 15", st.Reads, st.BytesRead)
		}
	})
}

// Loss, duplication and jitter take the shares that the link says, the same ones
// for the same seed.
func TestDatagramFaults(t *testing.T) {
	run := func(seed uint64) (got []string) {
		synctest.Test(t, func(t *testing.T) {
			n := New(seed)
			defer n.Close()
			n.SetDefaultLink(Link{Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.1, Duplicate: 0.05})
			a, b := packets(t, n, "192.0.2.1"), packets(t, n, "192.0.2.2")
			for i := range 1000 {
				a.WriteToUDPAddrPort(fmt.Append(nil, i), at("192.0.2.2"))
				<-time.After(time.Millisecond)
			}
			got, _ = readAll(b, time.Second)
		})
		return got
	}
	first, again, other := run(1), run(1), run(2)
	if fmt.Sprint(first) != fmt.Sprint(again) {
		t.Error("the same seed gives other faults")
	}
	if fmt.Sprint(first) == fmt.Sprint(other) {
		t.Error("another seed gives the same faults")
	}
	seen := make(map[string]int)
	doubled, overtaken, last := 0, 0, -1
	for _, s := range first {
		if seen[s]++; seen[s] == 2 {
			doubled++
		}
		var i int
		fmt.Sscan(s, &i)
		if i < last {
			overtaken++
		}
		last = max(last, i)
	}
	if lost := 1000 - len(seen); lost < 70 || lost > 120 {
		t.Errorf("%d of 1000 were lost, want about 95", lost)
	}
	if doubled < 25 || doubled > 70 {
		t.Errorf("%d of 1000 were doubled, want about 45", doubled)
	}
	if overtaken < 300 {
		t.Errorf("%d of 1000 were overtaken, want most", overtaken)
	}
}

// What nobody can take is lost without a word: no host, no socket, a partition, a
// full queue. What the system refuses is an error.
func TestDatagramsThatGoNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		defer n.Close()
		a, b := packets(t, n, "192.0.2.1"), packets(t, n, "192.0.2.2")
		for _, to := range []netip.AddrPort{at("192.0.2.77"), netip.AddrPortFrom(b.host.Addr(), 1)} {
			if _, err := a.WriteToUDPAddrPort([]byte("x"), to); err != nil {
				t.Errorf("write to %v = %v, want no error", to, err)
			}
		}
		n.Partition(a.host, b.host)
		a.WriteToUDPAddrPort([]byte("held?"), at("192.0.2.2"))
		n.Heal(a.host, b.host)
		a.WriteToUDPAddrPort([]byte("after"), at("192.0.2.2"))
		if got, _ := readAll(b, time.Second); fmt.Sprint(got) != "[after]" {
			t.Errorf("b got %v, want what came after the partition only", got)
		}
		for range 1500 {
			a.WriteToUDPAddrPort(make([]byte, 1000), at("192.0.2.2"))
		}
		if got, _ := readAll(b, time.Second); len(got) != maxQueue/1000 || b.Overflow() != 1500-len(got) {
			t.Errorf("b got %d and lost %d of 1500, want %d", len(got), b.Overflow(), maxQueue/1000)
		}
		if _, err := a.WriteToUDPAddrPort(make([]byte, 65508), at("192.0.2.2")); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("write of 65508 bytes = %v, want EMSGSIZE", err)
		}
		if _, err := a.WriteToUDPAddrPort(nil, at("2001:db8::1")); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("write to another family = %v, want ENETUNREACH", err)
		}
		if _, err := a.host.ListenPacket(30303); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a second socket on the port = %v, want EADDRINUSE", err)
		}
		a.FailRead(syscall.ECONNREFUSED, 2)
		for range 2 {
			if _, _, err := a.ReadFrom(nil); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("read = %v, want ECONNREFUSED", err)
			}
		}
		time.AfterFunc(time.Second, func() { a.Close() })
		if _, _, err := a.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read during Close = %v, want net.ErrClosed", err)
		}
		if c, err := a.host.ListenPacket(30303); err != nil {
			t.Errorf("the port is taken after Close: %v", err)
		} else {
			c.Close()
		}
	})
}

// Each kind of NAT lets in whom RFC 3489 says, maps ports as it says, and forgets
// after its timeout.
func TestNATKinds(t *testing.T) {
	for _, c := range []struct {
		kind                                NATKind
		known, otherPort, stranger, onePort bool
	}{
		{FullCone, true, true, true, true},
		{Restricted, true, true, false, true},
		{PortRestricted, true, false, false, true},
		{Symmetric, true, false, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := New(1)
			defer n.Close()
			in := packets(t, n, "10.0.0.1")
			a, b := packets(t, n, "80.0.0.1"), packets(t, n, "80.0.0.2")
			a2, err := a.host.ListenPacket(4000)
			if err != nil {
				t.Fatal(err)
			}
			n.NAT(c.kind, netip.MustParseAddr("90.0.0.1"), time.Minute, in.host)

			in.WriteToUDPAddrPort([]byte("out"), at("80.0.0.1"))
			_, from := readAll(a, time.Second)
			if len(from) != 1 || from[0].Addr().String() != "90.0.0.1" {
				t.Fatalf("kind %d: a hears from %v, want the public address", c.kind, from)
			}
			public := from[0]
			for _, try := range []struct {
				name string
				by   *PacketConn
				want bool
			}{{"known endpoint", a, c.known}, {"its other port", a2, c.otherPort}, {"stranger", b, c.stranger}} {
				try.by.WriteToUDPAddrPort([]byte("in"), public)
				if got, _ := readAll(in, time.Second); (len(got) == 1) != try.want {
					t.Errorf("kind %d: %s gets in: %v, want %v", c.kind, try.name, len(got) == 1, try.want)
				}
			}
			a.WriteToUDPAddrPort([]byte("in"), at("10.0.0.1"))
			if got, _ := readAll(in, time.Second); len(got) != 0 {
				t.Errorf("kind %d: the inside address is reached from outside", c.kind)
			}
			in.WriteToUDPAddrPort([]byte("out"), at("80.0.0.2"))
			if _, from := readAll(b, time.Second); (from[0] == public) != c.onePort {
				t.Errorf("kind %d: b hears from %v, a from %v; want the same: %v", c.kind, from[0], public, c.onePort)
			}
			<-time.After(time.Minute)
			a.WriteToUDPAddrPort([]byte("late"), public)
			if got, _ := readAll(in, time.Second); len(got) != 0 {
				t.Errorf("kind %d: a mapping lives on after its timeout", c.kind)
			}
		})
	}
}

// Connections go out through a NAT under its address and do not come in.
func TestNATConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		defer n.Close()
		in, out := n.Host(netip.MustParseAddr("10.0.0.1")), n.Host(netip.MustParseAddr("80.0.0.1"))
		n.NAT(FullCone, netip.MustParseAddr("90.0.0.1"), 0, in)
		l, err := out.Listen(30303)
		if err != nil {
			t.Fatal(err)
		}
		c, err := in.DialContext(t.Context(), "tcp", "80.0.0.1:30303")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		d, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if got := d.RemoteAddr().(*net.TCPAddr).IP.String(); got != "90.0.0.1" {
			t.Errorf("the connection comes from %s, want 90.0.0.1", got)
		}
		if _, err := in.Listen(30303); err != nil {
			t.Fatal(err)
		}
		for _, addr := range []string{"10.0.0.1:30303", "90.0.0.1:30303"} {
			if _, err := out.DialContext(t.Context(), "tcp", addr); !errors.Is(err, syscall.ETIMEDOUT) {
				t.Errorf("dial from outside to %s = %v, want ETIMEDOUT", addr, err)
			}
		}
	})
}
