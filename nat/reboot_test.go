package nat

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// K1: a gateway restarts, which takes a while, and has another address and no
// mappings afterwards. Until it is back the old endpoint is told; then the
// mappings are there within 2 minutes, the address within 5, and the endpoint has
// changed once.
func TestK1GatewayRestarts(t *testing.T) {
	for _, method := range []string{"pmp", "pcp", "upnp", "any", "pmp with uptime", "pcp with uptime"} {
		for _, downtime := range []time.Duration{0, 20 * time.Second, 90 * time.Second, 9 * time.Minute} {
			t.Run(method+" "+downtime.String(), func(t *testing.T) {
				inHome(t, func(t *testing.T, h *home) {
					name, _, uptime := strings.Cut(method, " with ")
					h.mu.Lock()
					h.uptime = uptime
					h.mu.Unlock()
					d := h.run(name)
					wait(17 * time.Minute)
					if got := tcp(d.last()); got != "25.1.2.3:30303" {
						t.Fatalf("TCP endpoint %s, want 25.1.2.3:30303", got)
					}
					h.halt()
					wait(downtime)
					if got := tcp(d.last()); got != "25.1.2.3:30303" {
						t.Errorf("TCP endpoint %s while the gateway is down, want the old one", got)
					}
					h.mu.Lock()
					h.external = "25.9.9.9"
					h.mu.Unlock()
					h.boot()
					back := time.Now()
					wait(2 * time.Minute)
					for _, p := range []string{"tcp", "udp"} {
						if got := h.mapped(p, 30303); got != "192.168.1.2:30303" {
							t.Errorf("2 minutes after the restart %s port 30303 leads to %q", p, got)
						}
					}
					wait(10 * time.Minute)
					told := d.endpoints()
					if len(told) != 2 || tcp(told[1]) != "25.9.9.9:30303" || udp(told[1]) != "25.9.9.9:30303" {
						t.Fatalf("endpoints told: %v, want the old one and the new one", told)
					}
					if after := told[1].at.Sub(back); after > 5*time.Minute {
						t.Errorf("new address after %v, want at most 5 minutes", after)
					}
				})
			})
		}
	}
}

// K1: the address changes without a restart. It is seen within 5 minutes, and the
// mappings stay as they are.
func TestK1AddressChanges(t *testing.T) {
	for _, method := range []string{"pmp", "pcp", "upnp", "any"} {
		t.Run(method, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				d := h.run(method)
				wait(10 * time.Minute)
				h.mu.Lock()
				h.external = "25.9.9.9"
				h.mu.Unlock()
				wait(5 * time.Minute)
				told := d.endpoints()
				if len(told) != 2 || tcp(told[1]) != "25.9.9.9:30303" {
					t.Errorf("endpoints told: %v, want the old one and the new one", told)
				}
			})
		})
	}
}

// K1 for a name: it is looked up again, and an address that it loses is held.
func TestK1NameChanges(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		set := func(addrs ...netip.Addr) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.names["home.example"] = addrs; len(addrs) == 0 {
				delete(h.names, "home.example")
			}
		}
		set(netip.MustParseAddr("25.1.2.3"), netip.MustParseAddr("2a00::7"))
		d := h.run("extip:home.example")
		wait(time.Minute)
		if s := d.last(); tcp(s) != "25.1.2.3:30303" || s.IPv6.Addr != netip.MustParseAddr("2a00::7") {
			t.Fatalf("told %v, want both addresses of the name", s.State)
		}
		set(netip.MustParseAddr("25.9.9.9"))
		wait(5 * time.Minute)
		if got := tcp(d.last()); got != "25.9.9.9:30303" {
			t.Errorf("5 minutes after the name has changed %s is told", got)
		}
		set()
		wait(9 * time.Minute)
		if s := d.last(); tcp(s) != "25.9.9.9:30303" || s.IPv4.Err == nil {
			t.Errorf("9 minutes after the name was lost %v is told with error %v, want the last address and an error", tcp(s), s.IPv4.Err)
		}
		wait(6 * time.Minute)
		if s := d.last(); s.IPv4.Addr.IsValid() {
			t.Errorf("15 minutes after the name was lost %v is told", s.IPv4.Addr)
		}
		set(netip.MustParseAddr("127.0.1.1"))
		wait(5 * time.Minute)
		if s := d.last(); s.IPv4.Addr.IsValid() {
			t.Errorf("a name that leads to this host itself is told as %v", s.IPv4.Addr)
		}
	})
}

// A host that gets another gateway asks that at once, and does not wait for the
// next check.
func TestMove(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.mu.Lock()
		h.gateway = netip.Addr{}
		h.mu.Unlock()
		d := h.run("pmp")
		wait(time.Hour)
		if s := d.last(); s.IPv4.Addr.IsValid() || s.IPv4.Err == nil {
			t.Fatalf("without a gateway %v is told, error %v", s.IPv4.Addr, s.IPv4.Err)
		}
		h.mu.Lock()
		h.gateway = routerAddr
		h.mu.Unlock()
		for range 5 { // one change is several messages
			h.changed <- struct{}{}
		}
		wait(time.Second)
		if got := tcp(d.last()); got != "25.1.2.3:30303" {
			t.Errorf("a second after the gateway appeared %s is told", got)
		}

		// What changes nothing here asks nobody.
		h.mu.Lock()
		before := len(h.requests)
		h.mu.Unlock()
		h.changed <- struct{}{}
		wait(2 * time.Second)
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.requests) != before {
			t.Errorf("after a change elsewhere the gateway was asked %v", h.requests[before:])
		}
	})
}
