package nat

import (
	"errors"
	"testing"
	"time"
)

// K2: what cannot be an external address is never told, and does not replace what
// was known before 10 minutes have passed.
func TestK2NotPublic(t *testing.T) {
	for _, method := range []string{"pmp", "pcp", "upnp", "any"} {
		for _, bad := range []string{
			"error", "0.0.0.0", "10.1.2.3", "192.168.0.9", "100.64.7.7", "224.0.0.9", "127.0.0.1", "255.255.255.255", "203.0.113.5", "169.254.1.1",
		} {
			t.Run(method+" "+bad, func(t *testing.T) {
				inHome(t, func(t *testing.T, h *home) {
					tell := func(addr string) {
						h.mu.Lock()
						defer h.mu.Unlock()
						h.external, h.refuse = addr, 0
						delete(h.faults, "GetExternalIPAddress")
						if addr == "error" {
							h.external, h.refuse, h.faults["GetExternalIPAddress"] = "", 3, 501
						}
					}
					tell(bad)
					d := h.run(method)
					wait(5 * time.Minute)
					s := d.last()
					if s.IPv4.Addr.IsValid() || s.IPv4.Err == nil {
						t.Fatalf("told %v with error %v, want no address and an error", s.IPv4.Addr, s.IPv4.Err)
					}
					if wrong, ok := errors.AsType[*AddressError](s.IPv4.Err); bad != "error" && (!ok || wrong.Addr.String() != bad) {
						t.Errorf("error %q, want an AddressError with %s", s.IPv4.Err, bad)
					}
					tell("25.1.2.3")
					wait(5 * time.Minute)
					tell(bad)
					wait(10 * time.Minute)
					if got := tcp(d.last()); got != "25.1.2.3:30303" {
						t.Errorf("10 minutes later %s is told, want what was told before", got)
					}
					wait(3 * time.Minute)
					if s := d.last(); s.IPv4.Addr.IsValid() {
						t.Errorf("13 minutes later %v is still told", s.IPv4.Addr)
					}
				})
			})
		}
	}
}

// K2: a moment of nonsense changes nothing at all.
func TestK2Moment(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		d := h.run("upnp")
		wait(time.Minute)
		for range 10 {
			h.mu.Lock()
			h.external = "0.0.0.0"
			h.mu.Unlock()
			wait(8 * time.Minute)
			h.mu.Lock()
			h.external = "25.1.2.3"
			h.mu.Unlock()
			wait(2 * time.Minute)
		}
		if told := d.endpoints(); len(told) != 1 {
			t.Errorf("endpoints told: %v, want one", told)
		}
	})
}

// What the operator says is believed, unless no host can have it.
func TestExternal(t *testing.T) {
	for _, addr := range []string{"25.1.2.3", "10.0.0.4", "127.0.0.1"} {
		inHome(t, func(t *testing.T, h *home) {
			d := h.run("extip:" + addr)
			if got := tcp(d.last()); got != addr+":30303" {
				t.Errorf("extip:%s tells %s", addr, got)
			}
			wait(time.Hour)
			if told := d.endpoints(); len(told) != 1 {
				t.Errorf("extip:%s tells %v, want one endpoint", addr, told)
			}
		})
	}
	inHome(t, func(t *testing.T, h *home) {
		d := h.run("extip:2a00::7")
		if got := d.last().IPv6.Endpoint(UDP, 30303).String(); got != "[2a00::7]:30303" {
			t.Errorf("extip:2a00::7 tells %s", got)
		}
	})
}

// None asks nobody and tells nothing.
func TestNone(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		d := h.run("none")
		wait(time.Hour)
		d.last()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(d.states) != 0 || len(h.requests) != 0 || h.searches != 0 {
			t.Errorf("none tells %v and asks %v", d.states, h.requests)
		}
	})
}
