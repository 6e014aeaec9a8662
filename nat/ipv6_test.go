package nat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func udp6(s seen) string { return s.IPv6.Endpoint(UDP, 30303).String() }

// With IPv6 a hole is made in the gateway's firewall, by PCP to a gateway that is
// link-local, or by UPnP; the address is the own one. Holes come back after a
// restart, are renewed, and are gone at the end.
func TestIPv6(t *testing.T) {
	for _, method := range []string{"pcp", "upnp", "any"} {
		t.Run(method, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				h.v6 = true
				holes := func() []string {
					if method == "upnp" {
						return h.pinholes()
					}
					return slices.DeleteFunc(h.rows(), func(row string) bool { return !strings.HasSuffix(row, " 2a00::2") })
				}
				d := h.run(method)
				wait(3*time.Hour + time.Second)
				s := d.last()
				if udp6(s) != "[2a00::2]:30303" || len(s.IPv6.Mappings) != 2 || s.IPv6.Err != nil {
					t.Errorf("told %v with error %v, want the own address and two mappings", s.IPv6, s.IPv6.Err)
				}
				if got := tcp(s); got != "25.1.2.3:30303" {
					t.Errorf("IPv4 endpoint %s", got)
				}
				if n := len(holes()); n != 2 {
					t.Errorf("%d holes, want 2: %v", n, holes())
				}
				h.halt()
				h.boot()
				wait(2 * time.Minute)
				if n := len(holes()); n != 2 {
					t.Errorf("%d holes after a restart, want 2", n)
				}
				if told := d.endpoints(); len(told) != 1 {
					t.Errorf("endpoints told: %v, want one", told)
				}
				d.stop()
				if n := len(holes()); n != 0 || len(h.rows()) != 0 {
					t.Errorf("left are %v and %v", holes(), h.rows())
				}
			})
		})
	}
}

// A gateway that restarts so quickly that nobody misses it, and with PCP tells
// nothing of that, has its holes for IPv6 back within 2 minutes too: its new IPv4
// address tells, or that the mappings of UPnP are gone.
func TestIPv6QuickRestart(t *testing.T) {
	for _, method := range []string{"pcp", "any", "upnp"} {
		t.Run(method, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				h.v6, h.uptime = true, true
				h.run(method)
				wait(10*time.Minute + time.Second)
				before := slices.Concat(h.rows(), h.pinholes())
				h.halt()
				h.mu.Lock()
				h.external = "25.9.9.9"
				h.mu.Unlock()
				h.boot()
				wait(2 * time.Minute)
				if after := slices.Concat(h.rows(), h.pinholes()); len(before) != 4 || !slices.Equal(after, before) {
					t.Errorf("the router has %v after its restart, had %v", after, before)
				}
			})
		})
	}
}

// A gateway that is spoken to over IPv4 alone, and one that lets no program open
// ports.
func TestIPv6Firewall(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.v6, h.only4 = true, true
		d := h.run("upnp")
		wait(time.Minute)
		if s := d.last(); udp6(s) != "[2a00::2]:30303" || len(s.IPv6.Mappings) != 2 {
			t.Errorf("told %v with error %v, want two mappings", s.IPv6, s.IPv6.Err)
		}
	})
	inHome(t, func(t *testing.T, h *home) {
		h.v6, h.closed = true, true
		d := h.run("upnp")
		wait(time.Minute)
		if s := d.last(); s.IPv6.Addr.IsValid() || s.IPv6.Err == nil || len(h.pinholes()) != 0 {
			t.Errorf("told %v with error %v, want an error", s.IPv6, s.IPv6.Err)
		}
	})
}

// A host without a public IPv6 address has nothing to ask, and that is no error.
func TestNoIPv6(t *testing.T) {
	for _, method := range []string{"any", "pcp", "upnp", "stun:45.0.0.1:3478"} {
		for _, local := range []bool{false, true} {
			inHome(t, func(t *testing.T, h *home) {
				h.v6, h.local6 = local, local
				d := h.run(method)
				wait(time.Hour)
				if s := d.last(); s.IPv6.Err != nil || s.IPv6.Addr.IsValid() || len(h.pinholes()) != 0 {
					t.Errorf("%s: told %v with error %v, want nothing", method, s.IPv6, s.IPv6.Err)
				}
			})
		}
	}
}

// A renewal of what the gateway has is not asked for each minute: with PCP and
// IPv6 only whether it is there.
func TestPCPAnnounce(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.v6 = true
		h.run(fmt.Sprintf("pcp:%v", router6))
		wait(29 * time.Minute)
		if maps, asks := h.count("pcp tcp")+h.count("pcp udp"), h.count("pcp announce"); maps != 2 || asks < 28 {
			t.Errorf("%d requests for mappings and %d whether the gateway is there, want 2 and 28", maps, asks)
		}
	})
}

// A gateway that refuses to remove a hole is asked to keep it for a second only.
func TestPCPStubborn(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.v6, h.stubborn = true, true
		d := h.run("pcp")
		wait(time.Minute)
		d.stop()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.table) != 2 {
			t.Errorf("%d holes, want the 2 that it refuses to remove", len(h.table))
		}
		for key, r := range h.table {
			if r.lease != 1 {
				t.Errorf("%s is left for %d s, want 1", key, r.lease)
			}
		}
	})
}
