package nat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// occupied lets another host have ports of the router.
func (h *home) occupied(keys ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range keys {
		h.table[key] = &row{client: "192.168.1.77", internal: 30303}
	}
}

// K5: routers that are odd. The endpoint told carries the port that was mapped,
// what belongs to another host stays its own, and at the end nothing is left.
func TestK5OddRouters(t *testing.T) {
	for name, c := range map[string]struct {
		method   string
		set      func(h *home)
		tcp, udp string // ports; empty means any other than 30303
	}{
		"permanent leases":             {"upnp", func(h *home) { h.permanent = true }, "30303", "30303"},
		"permanent leases, version 1":  {"upnp", func(h *home) { h.permanent, h.version1 = true, true }, "30303", "30303"},
		"pmp gives another port":       {"pmp", func(h *home) { h.shift = 1000 }, "31303", "31303"},
		"pcp gives another port":       {"pcp", func(h *home) { h.shift = 1000 }, "31303", "31303"},
		"pmp conflict":                 {"pmp", func(h *home) { h.occupied("tcp 30303") }, "30304", "30303"},
		"pcp conflict":                 {"pcp", func(h *home) { h.occupied("udp 30303") }, "30303", "30304"},
		"conflict, the router chooses": {"upnp", func(h *home) { h.occupied("tcp 30303", "udp 30303") }, "40000", "40000"},
		"conflict, version 1":          {"upnp", func(h *home) { h.version1 = true; h.occupied("tcp 30303") }, "", "30303"},
		"conflict and permanent":       {"upnp", func(h *home) { h.permanent = true; h.occupied("udp 30303") }, "30303", "40000"},
		"router that cannot tell entries": {"upnp", func(h *home) {
			h.faults["GetSpecificPortMappingEntry"] = 401
		}, "30303", "30303"},
		"short leases": {"pmp", func(h *home) { h.lease = 60 }, "30303", "30303"},
	} {
		t.Run(name, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				c.set(h)
				others := h.rows()
				d := h.run(c.method)
				wait(10 * time.Second)
				for _, when := range []string{"at first", "hours later"} {
					s := d.last()
					for _, p := range []struct {
						protocol Protocol
						want     string
					}{{TCP, c.tcp}, {UDP, c.udp}} {
						got := s.IPv4.Endpoint(p.protocol, 30303)
						if fmt.Sprint(got.Port()) != p.want && (p.want != "" || got.Port() == 30303) {
							t.Errorf("%s, %v endpoint %v, want port %q; error %v", when, p.protocol, got, p.want, s.IPv4.Err)
						}
						if to := h.mapped(p.protocol.String(), got.Port()); to != "192.168.1.2:30303" {
							t.Errorf("%s, %v port %d leads to %q", when, p.protocol, got.Port(), to)
						}
					}
					if len(s.IPv4.Mappings) != 2 || s.IPv4.Err != nil {
						t.Errorf("%s, mappings %v and error %v", when, s.IPv4.Mappings, s.IPv4.Err)
					}
					wait(2 * time.Hour)
				}
				if told := d.endpoints(); len(told) != 1 {
					t.Errorf("endpoints told: %v, want the same for hours", told)
				}
				d.stop()
				if left := h.rows(); !slices.Equal(left, others) {
					t.Errorf("the router is left with %v, want what others had: %v", left, others)
				}
			})
		})
	}
}

// K5: a router that maps a port only to the same one outside.
func TestK5SamePort(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.samePort = true
		d := h.runConfig(Config{Method: UPnP(), Ports: []Port{{Protocol: TCP, Internal: 30303, External: 443}}})
		if got := tcp(d.last()); got != "25.1.2.3:30303" || h.mapped("tcp", 30303) == "" {
			t.Errorf("endpoint %s, want that of port 30303", got)
		}
	})
}

// A wanted external port is asked for.
func TestExternalPort(t *testing.T) {
	for _, method := range []string{"pmp", "pcp", "upnp"} {
		inHome(t, func(t *testing.T, h *home) {
			d := h.runConfig(Config{Method: mustParse(t, method), Ports: []Port{{Protocol: TCP, Internal: 30303, External: 443, Description: "a node"}}})
			wait(2 * time.Hour)
			if got := tcp(d.last()); got != "25.1.2.3:443" || h.mapped("tcp", 443) != "192.168.1.2:30303" {
				t.Errorf("%s: endpoint %s, want port 443", method, got)
			}
		})
	}
}

// A router that maps nothing more costs one question for each port a minute and a
// few at first, the address is told all the same, and a port that it maps later is
// told then.
func TestMappingRefused(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.faults["AddPortMapping"] = 728
		d := h.run("upnp")
		wait(time.Hour)
		s := d.last()
		if s.IPv4.Addr.String() != "25.1.2.3" || len(s.IPv4.Mappings) != 0 || s.IPv4.Err == nil || !strings.Contains(s.IPv4.Err.Error(), "728") {
			t.Errorf("told %v with error %v, want the address, no mapping and error 728", s.IPv4, s.IPv4.Err)
		}
		if n := h.count("AddPortMapping"); n > 2*(60+4) {
			t.Errorf("the router was asked for mappings %d times in an hour, want at most %d", n, 2*(60+4))
		}
		h.mu.Lock()
		delete(h.faults, "AddPortMapping")
		h.mu.Unlock()
		wait(61 * time.Second)
		if s := d.last(); len(s.IPv4.Mappings) != 2 || s.IPv4.Err != nil {
			t.Errorf("told %v with error %v, want both mappings", s.IPv4, s.IPv4.Err)
		}
	})
}

// A router that maps one of two ports and does not answer for the other, as one that
// has just been started and is busy, is asked again after seconds and not after a
// minute; and so again when that happens the next time.
func TestMappingMissed(t *testing.T) {
	for _, method := range []string{"pmp", "pcp", "upnp"} {
		t.Run(method, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				silent := func(yes bool) {
					h.mu.Lock()
					defer h.mu.Unlock()
					h.deaf = func(b []byte) bool { return yes && (b[0] == 0 && b[1] == 1 || b[0] == 2 && b[36] == 17) }
					h.reject = ""
					if yes {
						h.reject = "UDP"
					}
				}
				silent(true)
				h.run(method)
				for _, when := range []string{"at first", "after a restart"} {
					for h.mapped("tcp", 30303) == "" {
						wait(time.Second)
					}
					wait(12 * time.Second)
					if h.mapped("tcp", 30303) == "" || h.mapped("udp", 30303) != "" {
						t.Fatalf("%s, %v is mapped, want the TCP port", when, h.rows())
					}
					silent(false)
					wait(24 * time.Second)
					if h.mapped("udp", 30303) == "" {
						t.Errorf("%s, the UDP port is not mapped 24 seconds after the router would", when)
					}
					wait(10 * time.Minute)
					silent(true)
					h.halt()
					h.boot()
				}
			})
		})
	}
}

// count returns how many requests begin with a word.
func (h *home) count(word string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.requests {
		if strings.HasPrefix(r[len("15:04:05 "):], word) {
			n++
		}
	}
	return n
}

// A lease is renewed after half its time, with the port that it has.
func TestRenewal(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.run("upnp")
		wait(3*time.Hour + time.Minute)
		h.mu.Lock()
		defer h.mu.Unlock()
		var at []string
		for _, r := range h.requests {
			if when, what, _ := strings.Cut(r, " "); what == "AddPortMapping 30303" && (len(at) == 0 || at[len(at)-1] != when) {
				at = append(at, when)
			}
		}
		if got := strings.Join(at, " "); got != "00:00:00 00:30:00 01:00:00 01:30:00 02:00:00 02:30:00 03:00:00" {
			t.Errorf("asked at %s, want every half hour", got)
		}
	})
}

// At the end the mappings are gone; with a gateway that does not answer, the end
// takes 3 seconds at most.
func TestLeave(t *testing.T) {
	for _, method := range []string{"pmp", "pcp", "upnp", "any"} {
		t.Run(method, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				d := h.run(method)
				wait(time.Minute)
				if n := len(h.rows()); n != 2 {
					t.Fatalf("%d mappings, want 2", n)
				}
				began := time.Now()
				d.stop()
				if took := time.Since(began); len(h.rows()) != 0 || took > time.Second {
					t.Errorf("mappings left: %v; the end took %v", h.rows(), took)
				}
			})
			inHome(t, func(t *testing.T, h *home) {
				d := h.run(method)
				wait(time.Minute)
				h.halt()
				wait(17 * time.Second) // in the middle of something
				began := time.Now()
				d.stop()
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("without a gateway the end took %v, want at most 3s", took)
				}
			})
		})
	}
}

// A gateway that did not answer for a moment is still asked to remove the mappings.
func TestLeaveAfterSilence(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		d := h.run("pmp")
		wait(time.Minute - time.Second)
		h.net.Partition(h.host, h.lan)
		wait(8 * time.Second) // the check at one minute fails
		h.net.Heal(h.host, h.lan)
		if d.last().IPv4.Err == nil {
			t.Fatal("the check did not fail")
		}
		d.stop()
		if left := h.rows(); len(left) != 0 {
			t.Errorf("mappings %v are left", left)
		}
	})
}

// A program that was killed gets its ports back from a PCP gateway if it has the
// same seed, and with another one the gateway takes it for a stranger.
func TestSeed(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		c := Config{Method: PCP(routerAddr), Seed: []byte("secret")}
		first := h.runConfig(c)
		wait(time.Minute)
		h.net.Partition(h.host, h.lan) // so that it cannot remove them
		first.stop()
		h.net.Heal(h.host, h.lan)
		second := h.runConfig(c)
		if got := tcp(second.last()); got != "25.1.2.3:30303" {
			t.Errorf("with the same seed %s is told", got)
		}
		h.net.Partition(h.host, h.lan)
		second.stop()
		h.net.Heal(h.host, h.lan)
		third := h.runConfig(Config{Method: PCP(routerAddr)})
		if s := third.last(); s.IPv4.Addr.IsValid() || s.IPv4.Err == nil {
			t.Errorf("without the seed %v is told, error %v", s.IPv4.Addr, s.IPv4.Err)
		}
	})
}

// Of several protocols that the gateway speaks PCP is taken, then NAT-PMP, then
// UPnP, and only what was taken maps ports.
func TestAnyOrder(t *testing.T) {
	for via, refuse := range map[string]func(b []byte) bool{
		"pcp":  func([]byte) bool { return false },
		"pmp":  func(b []byte) bool { return b[0] == 2 },
		"upnp": func([]byte) bool { return true },
	} {
		t.Run(via, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				h.mu.Lock()
				h.deaf = refuse
				h.mu.Unlock()
				d := h.run("any")
				wait(4 * time.Second)
				s := d.last()
				if s.IPv4.Via != via || len(s.IPv4.Mappings) != 2 || tcp(s) != "25.1.2.3:30303" {
					t.Errorf("told %v, want the endpoint by %s", s.IPv4, via)
				}
				if n := h.count("AddPortMapping"); n != 0 && via != "upnp" {
					t.Errorf("%d ports were mapped by UPnP too", n)
				}
			})
		})
	}
}

// Of several protocols the one that tells a public address is taken, whatever its
// place.
func TestAnyPublic(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.mu.Lock()
		h.behind = "10.0.0.5"
		h.mu.Unlock()
		d := h.run("any")
		wait(4 * time.Second)
		if s := d.last(); s.IPv4.Via != "upnp" || tcp(s) != "25.1.2.3:30303" {
			t.Errorf("told %v, want the endpoint by UPnP", s.IPv4)
		}
	})
}

// When what was taken stops answering, the next one that answers takes over with the
// same endpoint, and at the end the holes that the first one made are gone too.
func TestAnyTakesOver(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.v6 = true
		deaf := func(yes bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.deaf = func([]byte) bool { return yes }
		}
		d := h.run("any")
		wait(10 * time.Minute)
		deaf(true)
		wait(2 * time.Minute)
		s := d.last()
		if s.IPv4.Via != "upnp" || s.IPv6.Via != "upnp" || len(s.IPv4.Mappings) != 2 || len(h.pinholes()) != 2 {
			t.Errorf("told %v, want mappings by UPnP in both families", s)
		}
		if told := d.endpoints(); len(told) != 1 {
			t.Errorf("endpoints told: %v, want one", told)
		}
		wait(time.Hour)
		deaf(false)
		d.stop()
		if left := slices.Concat(h.rows(), h.pinholes()); len(left) != 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// A gateway that speaks only NAT-PMP says so when it is asked by PCP, and is not
// waited for.
func TestPCPOldGateway(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.mu.Lock()
		h.old = true
		h.mu.Unlock()
		began := time.Now()
		d := h.run("pcp")
		s := d.last()
		if s.IPv4.Err == nil || !strings.Contains(s.IPv4.Err.Error(), "does not speak PCP") || s.at.Sub(began) > time.Second {
			t.Errorf("after %v error %v", s.at.Sub(began), s.IPv4.Err)
		}
	})
}

// Where nobody ever answers, hardly anybody is asked.
func TestNobody(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.mu.Lock()
		h.deaf, h.mute = func([]byte) bool { return true }, true
		h.mu.Unlock()
		d := h.run("any")
		wait(24 * time.Hour)
		if len(d.last().IPv4.Mappings) != 0 || len(d.states) != 1 {
			t.Errorf("told %v, want one error", d.states)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		// 4 packets of each search to the router and the group, twice.
		if most := 16 * (24*60/5 + 10); h.searches > most || h.searches < most/4 {
			t.Errorf("%d searches in a day, want at most %d", h.searches, most)
		}
	})
}

// Whoever leaves the loop ends the mapper too.
func TestBreak(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		m, err := NewMapper(Config{Method: UPnP(), Ports: []Port{{Protocol: TCP, Internal: 30303}}, Network: h.network()})
		if err != nil {
			t.Fatal(err)
		}
		for s := range m.Run(t.Context()) {
			if len(s.IPv4.Mappings) == 1 {
				break
			}
		}
		if left := h.rows(); len(left) != 0 {
			t.Errorf("mappings %v are left", left)
		}
	})
}
