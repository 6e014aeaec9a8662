package p2p

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"parley/internal/simnet"
)

// A5: 50,000 addresses of one IPv6 /64 get what one host gets, and those of one /48, each
// in a /64 of its own, no more than four times that; somebody of another network is let
// in meanwhile.
func TestA5AddressesOfOneNetwork(t *testing.T) {
	const addresses = 50_000
	prefix := netip.MustParseAddr("2606:4700:1:2::").As16()
	for _, c := range []struct {
		name    string
		from    func(i int) netip.Addr
		pending int // handshakes in flight, of those who come at once
		hosts   int // that are let in within 30 s
	}{
		{"one /64", func(i int) netip.Addr {
			a := prefix
			a[13], a[14], a[15] = 1, byte(i>>8), byte(i)
			return netip.AddrFrom16(a)
		}, 1, 1}, // as one host: the next one after 30 s
		{"one /48", func(i int) netip.Addr {
			a := prefix
			a[6], a[7], a[15] = byte(i>>8), byte(i), 1
			return netip.AddrFrom16(a)
		}, 16, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.net.SetDefaultLink(simnet.Link{}) // they come at once
				s := w.serverAt(1, netip.MustParseAddr("2a00::1"), nil)
				host := w.net.Host(netip.MustParseAddr("2606:4700:1:ffff::1"))
				to := s.host.AddrPort(30303)
				var kept []net.Conn
				most := 0
				for i := range addresses {
					fd, err := host.DialFrom(w.Context(), netip.AddrPortFrom(c.from(i), 1), to)
					if err != nil {
						continue
					}
					fd.Write([]byte{1}) // not silent: nobody gives way
					kept = append(kept, fd)
					if len(kept)%128 == 0 {
						synctest.Wait()
						most = max(most, s.Stats().PendingIn)
					}
				}
				synctest.Wait()
				st := s.Stats()
				if most = max(most, st.PendingIn); most != c.pending {
					t.Errorf("%d handshakes in flight, want %d", most, c.pending)
				}
				if in := st.Sources["inbound"]; in.Offered != addresses || in.Connected != uint64(c.hosts) {
					t.Errorf("%d of %d were let in, want %d of %d", in.Connected, in.Offered, c.hosts, addresses)
				}
				s.strangerFrom(5, w.net.Host(netip.MustParseAddr("2606:4700:2::1"))).join()
				for _, fd := range kept {
					fd.Close()
				}
			})
		})
	}
}
