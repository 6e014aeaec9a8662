package p2p

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/internal/simnet"
)

// An endpointDialer is the EndpointDialer of a simulated host. It counts the dials of
// each endpoint.
type endpointDialer struct {
	simDialer
	count map[netip.AddrPort]int
	mu    sync.Mutex // guards count
}

func newEndpointDialer(host *simnet.Host) *endpointDialer {
	return &endpointDialer{simDialer: simDialer{host}, count: make(map[netip.AddrPort]int)}
}

func (d *endpointDialer) DialEndpoint(ctx context.Context, _ *enode.Node, at netip.AddrPort) (net.Conn, error) {
	d.mu.Lock()
	d.count[at]++
	d.mu.Unlock()
	return d.host.DialContext(ctx, "tcp", at.String())
}

// A street has a node with one address of each family: both of them are its own, or
// IPv6 is somebody's who does not listen, or nobody's at all.
type street struct {
	w      *world
	home   *simnet.Host // whence it is dialed
	dialer *endpointDialer
	node   *enode.Node
	eps    [2]netip.AddrPort // by family
	f      families
}

var (
	home4, home6     = netip.MustParseAddr("10.0.9.1"), netip.MustParseAddr("fd00:9::1")
	theirs4, theirs6 = netip.MustParseAddr("10.0.9.2"), netip.MustParseAddr("fd00:9::2")
)

func newStreet(w *world, addrs ...netip.Addr) *street {
	w.Helper()
	st := &street{w: w, home: w.net.Host(home4, home6)}
	st.dialer = newEndpointDialer(st.home)
	if _, err := w.net.Host(addrs...).Listen(30303); err != nil {
		w.Fatal(err)
	}
	st.node = enode.NewV4(testKey(2).Public(), theirs4, 30303, 0).WithAddr(theirs4, theirs6)
	st.eps = [2]netip.AddrPort{ipv6: netip.AddrPortFrom(theirs6, 30303), ipv4: netip.AddrPortFrom(theirs4, 30303)}
	return st
}

// dial dials the node and returns to which family the connection is, and how long it
// took.
func (st *street) dial() (family int, took time.Duration, err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	conn, err := st.f.reach(ctx, st.dialer, st.node, []netip.AddrPort{st.eps[ipv4], st.eps[ipv6]})
	if err != nil {
		return 0, time.Since(began), err
	}
	defer conn.Close()
	return familyOf(addrPort(conn.RemoteAddr())), time.Since(began), nil
}

func (st *street) wantDial(what string, family int, took time.Duration) {
	st.w.Helper()
	switch got, d, err := st.dial(); {
	case err != nil:
		st.w.Fatalf("%s: %v", what, err)
	case got != family || d != took:
		st.w.Fatalf("%s: family %d after %v, want %d after %v", what, got, d, family, took)
	}
}

const rtt = 20 * time.Millisecond

// IPv6 is tried first, and IPv4 not at all if it answers.
func TestDialPrefersIPv6(t *testing.T) {
	inWorld(t, func(w *world) {
		st := newStreet(w, theirs4, theirs6)
		st.wantDial("both answer", ipv6, rtt)
		if st.dialer.count[st.eps[ipv4]] != 0 {
			t.Error("IPv4 was tried beside an IPv6 that answers at once")
		}
	})
}

// An IPv6 that swallows everything costs 250 ms, and after some dials nothing: it is
// tried last. Every ten minutes one dial shows whether it works again.
func TestDialSetsBrokenFamilyAside(t *testing.T) {
	inWorld(t, func(w *world) {
		st := newStreet(w, theirs4)
		for range asideAfter {
			st.wantDial("IPv6 swallows", ipv4, headStart+rtt)
		}
		tried := st.dialer.count[st.eps[ipv6]]
		for range 10 {
			st.wantDial("IPv6 is set aside", ipv4, rtt)
		}
		if n := st.dialer.count[st.eps[ipv6]]; n != tried || n != asideAfter {
			t.Errorf("IPv6 was tried %d times, want %d", n, asideAfter)
		}
		w.pass(asideFor)
		st.wantDial("the probe", ipv4, headStart+rtt)
		st.wantDial("after the probe", ipv4, rtt)

		if _, err := w.net.Host(theirs6).Listen(30303); err != nil { // IPv6 works again
			t.Fatal(err)
		}
		st.wantDial("nobody knows yet", ipv4, rtt)
		w.pass(asideFor)
		st.wantDial("the second probe", ipv6, rtt)
		st.wantDial("after the second probe", ipv6, rtt)
	})
}

// A family that is set aside is still tried where the other one fails.
func TestDialTriesFamilyThatIsAside(t *testing.T) {
	inWorld(t, func(w *world) {
		st := newStreet(w, theirs6)
		for range asideAfter {
			st.f.loses(time.Now(), ipv6)
		}
		st.wantDial("IPv4 swallows", ipv6, headStart+rtt)
		st.wantDial("IPv6 has shown that it works", ipv6, rtt)
	})
}

// A refusal is no reason to wait, nor to think that the family does not work.
func TestDialGoesOnAfterRefusal(t *testing.T) {
	inWorld(t, func(w *world) {
		st := newStreet(w, theirs4)
		w.net.Host(theirs6) // does not listen
		for range 2 * asideAfter {
			st.wantDial("IPv6 refuses", ipv4, 2*rtt)
		}
	})
}

// The slower connection is closed, and shows that its family works.
func TestDialClosesLoser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eps := []netip.AddrPort{netip.AddrPortFrom(theirs6, 1), netip.AddrPortFrom(theirs4, 1)}
		var ours, theirs [2]net.Conn
		began := time.Now()
		conn, won, errs := race(t.Context(), eps, headStart, func(_ context.Context, at netip.AddrPort) (net.Conn, error) {
			family := familyOf(at)
			ours[family], theirs[family] = net.Pipe()
			rest([2]time.Duration{ipv6: headStart + 2*rtt, ipv4: rtt}[family]) // too far on to be cancelled
			return ours[family], nil
		})
		if won != ipv4 || conn != ours[ipv4] || time.Since(began) != headStart+2*rtt {
			t.Fatalf("race = %v, %d after %v; want IPv4, and to have waited for IPv6", conn, won, time.Since(began))
		}
		if _, err := theirs[ipv6].Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the slower connection is open: %v", err)
		}
		f := families{lost: [2]int{1, 1}}
		if f.learn(eps, won, errs); f.lost != [2]int{} {
			t.Errorf("lost = %v of families that both answered", f.lost)
		}
	})
}

// When nobody answers the error names both endpoints, and a dial ends with its
// deadline.
func TestDialErrorNamesEndpoints(t *testing.T) {
	inWorld(t, func(w *world) {
		st := newStreet(w, netip.MustParseAddr("10.0.9.3"))
		w.net.Host(theirs6) // refuses; IPv4 swallows
		_, took, err := st.dial()
		if took != dialTimeout || !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial = %v after %v; want refused and a deadline, after %v", err, took, dialTimeout)
		}
		for _, at := range st.eps {
			if n := strings.Count(err.Error(), at.String()); n != 1 {
				t.Errorf("error names %v %d times: %v", at, n, err)
			}
		}
	})
}

// Whoever is a peer by one family is dialed so though the other is outside of
// NetRestrict, and a NodeDialer gets only the address that may be dialed.
func TestDialKeepsToNetRestrict(t *testing.T) {
	for name, each := range map[string]bool{"NodeDialer": false, "EndpointDialer": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				host := w.net.Host(theirs4, theirs6)
				listener, err := host.Listen(30303)
				if err != nil {
					t.Fatal(err)
				}
				w.serverOn(2, host, listener, nil)
				home := w.net.Host(home4, home6)
				a := w.serverOn(1, home, nil, func(c *Config) {
					c.NetRestrict = []netip.Prefix{netip.MustParsePrefix("fd00:9::/64")}
					if each {
						c.Dialer = newEndpointDialer(home)
					}
					c.StaticNodes = []*enode.Node{nodeAt(2, theirs4).WithAddr(theirs4, theirs6)}
				})
				w.eventually(time.Second, "the node is a peer", func() bool { return a.PeerCount() == 1 })
				if at := a.Peers()[0].RemoteAddr().Addr(); at != theirs6 {
					t.Errorf("connected to %v, want %v", at, theirs6)
				}
			})
		})
	}
}

// With IPv6 black-holed a node becomes a peer in less than a second.
func TestServerDialsPastBrokenIPv6(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.net.Host(theirs4)
		listener, err := host.Listen(30303)
		if err != nil {
			t.Fatal(err)
		}
		w.serverOn(2, host, listener, nil)
		home := w.net.Host(home4, home6)
		a := w.serverOn(1, home, nil, func(c *Config) {
			c.Dialer = newEndpointDialer(home)
			c.StaticNodes = []*enode.Node{nodeAt(2, theirs4).WithAddr(theirs4, theirs6)}
		})
		w.eventually(time.Second, "the node is a peer", func() bool { return a.PeerCount() == 1 })
	})
}
