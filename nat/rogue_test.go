package nat

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/simnet"
)

// K3: a rogue in the network answers every search first, for itself and in the
// gateway's name. Nobody asks it anything, and the gateway's answer counts.
func TestK3RogueAnswersFirst(t *testing.T) {
	for _, method := range []string{"upnp", "any"} {
		t.Run(method, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				loud, err := h.rogue.ListenPacket(1900)
				if err != nil {
					t.Fatal(err)
				}
				defer loud.Close()
				h.ssdp = func(_ net.Addr, reply func(*simnet.PacketConn, string)) {
					reply(loud, ssdpAnswer("http://192.168.1.66:5000/desc.xml"))
					reply(loud, ssdpAnswer("http://192.168.1.1:5000/elsewhere.xml"))
				}
				d := h.run(method)
				wait(4 * time.Second)
				if got := tcp(d.last()); got != "25.1.2.3:30303" {
					t.Errorf("TCP endpoint %s, want the gateway's", got)
				}
				if n := h.connected(); n != 0 {
					t.Errorf("the rogue was connected to %d times", n)
				}
			})
		})
	}
}

// K3: the gateway itself, or somebody who sends in its name, tells of a
// description or a control URL on another host, or redirects there.
func TestK3OtherHost(t *testing.T) {
	for name, set := range map[string]func(h *home){
		"LOCATION": func(h *home) { h.location = "http://192.168.1.66:5000/desc.xml" },
		"LOCATION by name": func(h *home) {
			h.location = "http://rogue.example:5000/desc.xml"
			h.names["rogue.example"] = append(h.names["rogue.example"], rogueAddr)
		},
		"LOCATION of a file":  func(h *home) { h.location = "file:///etc/passwd" },
		"LOCATION with @":     func(h *home) { h.location = "http://192.168.1.1@192.168.1.66:5000/desc.xml" },
		"controlURL":          func(h *home) { h.control = "http://192.168.1.66:5000/control" },
		"controlURL relative": func(h *home) { h.control = "//192.168.1.66:5000/control" },
		"redirect": func(h *home) {
			h.describe = http.RedirectHandler("http://192.168.1.66:5000/desc.xml", http.StatusFound)
		},
		"URLBase": func(h *home) {
			text := strings.Replace(fmt.Sprintf(description, 1, "/control"), "<device>", "<URLBase>http://192.168.1.66:5000/</URLBase><device>", 1)
			h.describe = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				set(h)
				d := h.run("upnp")
				wait(time.Minute)
				if s := d.last(); s.IPv4.Addr.IsValid() || s.IPv4.Err == nil {
					t.Errorf("told %v with error %v, want an error", s.IPv4.Addr, s.IPv4.Err)
				}
				if n := h.connected(); n != 0 {
					t.Errorf("the rogue was connected to %d times", n)
				}
			})
		})
	}
}

// K3: a description of 1 GiB is read up to 256 KiB, whatever it is made of.
func TestK3EndlessDescription(t *testing.T) {
	head := "<root xmlns=\"urn:schemas-upnp-org:device-1-0\">"
	for name, chunk := range map[string]string{
		"text":     strings.Repeat("a", 4096),
		"elements": strings.Repeat("<device>", 512),
		"icons":    strings.Repeat("<device><iconList><icon><url>/x</url></icon></iconList></device>", 64),
	} {
		t.Run(name, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				var sent atomic.Int64
				h.describe = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					fmt.Fprint(w, head)
					for sent.Load() < 1<<30 {
						n, err := w.Write([]byte(chunk))
						sent.Add(int64(n))
						if err != nil {
							return
						}
					}
				})
				d := h.run("upnp")
				wait(4 * time.Second)
				s := d.last()
				if s.IPv4.Err == nil || s.IPv4.Addr.IsValid() {
					t.Errorf("told %v with error %v, want an error", s.IPv4.Addr, s.IPv4.Err)
				}
				d.stop()
				// What was sent but not read is in the window of the connection
				// and the buffers of net/http.
				if limit := int64(maxAnswer + simnet.DefaultWindow + 16<<10); sent.Load() > limit {
					t.Errorf("the gateway could send %d bytes, want at most %d", sent.Load(), limit)
				}
			})
		})
	}
}

// K3: an answer to an action is bounded like a description.
func TestK3EndlessAnswer(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.external = "25.1.2.3</NewExternalIPAddress>" + strings.Repeat("<x/>", maxAnswer/4)
		d := h.run("upnp")
		wait(4 * time.Second)
		if s := d.last(); s.IPv4.Err == nil || s.IPv4.Addr.IsValid() {
			t.Errorf("told %v with error %v, want an error", s.IPv4.Addr, s.IPv4.Err)
		}
	})
}

// K3: no step takes longer than 3 seconds: the search, the description, an action.
func TestK3Slow(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(h *home)
		most time.Duration
	}{
		"silence": {func(h *home) { h.halt() }, 3 * time.Second},
		"description of one byte a second": {func(h *home) {
			h.describe = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for {
					if _, err := w.Write([]byte(" ")); err != nil || r.Context().Err() != nil {
						return
					}
					w.(http.Flusher).Flush()
					wait(time.Second)
				}
			})
		}, 3 * time.Second},
		"description that never comes": {func(h *home) {
			h.describe = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, 3 * time.Second},
		"connection that is not answered": {func(h *home) {
			h.net.SetLink(h.host, h.lan, simnet.Link{Delay: 1400 * time.Millisecond})
		}, 6 * time.Second}, // the search takes until the answer
	} {
		t.Run(name, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				c.set(h)
				began := time.Now()
				d := h.run("upnp")
				wait(time.Minute)
				d.last()
				d.mu.Lock()
				defer d.mu.Unlock()
				if len(d.states) == 0 || d.states[0].IPv4.Err == nil {
					t.Fatalf("told %v, want an error", d.states)
				}
				if took := d.states[0].at.Sub(began); took > c.most {
					t.Errorf("the check took %v, want at most %v: %v", took, c.most, d.states[0].IPv4.Err)
				}
			})
		})
	}
}

// K3 for NAT-PMP and PCP: answers from elsewhere than the gateway's port come
// first, and do not count; nor do those from it that answer something else.
func TestK3SpoofedPackets(t *testing.T) {
	for _, method := range []string{"pmp", "pcp"} {
		t.Run(method, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				elsewhere, err := h.rogue.ListenPacket(5351)
				if err != nil {
					t.Fatal(err)
				}
				defer elsewhere.Close()
				otherPort, err := h.lan.ListenPacket(5352)
				if err != nil {
					t.Fatal(err)
				}
				defer otherPort.Close()
				lies := [][]byte{
					{0, 128, 0, 0, 0, 0, 0, 9, 25, 6, 6, 6},
					{0, 129, 0, 0, 0, 0, 0, 9, 118, 95, 6, 6, 0, 0, 14, 16},
					{0, 130, 0, 0, 0, 0, 0, 9, 118, 95, 6, 6, 0, 0, 14, 16},
					bytes.Join([][]byte{
						{2, 129, 0, 0, 0, 0, 14, 16, 0, 0, 0, 9}, make([]byte, 12), // header
						make([]byte, 12), {6, 0, 0, 0, 118, 95, 6, 6}, // no nonce, TCP 30303
						make([]byte, 10), {255, 255, 25, 6, 6, 6},
					}, nil),
				}
				// From the gateway itself: whoever can send in its name still
				// knows neither the nonce of PCP nor what was asked.
				fromGateway := [][]byte{
					{}, {0}, {0, 0}, {0, 128, 0}, {2, 129, 0, 0},
					{0, 131, 0, 0, 0, 0, 0, 9, 25, 6, 6, 6},
					{0, 129, 0, 0, 0, 0, 0, 9, 118, 96, 6, 6, 0, 0, 14, 16}, // port 30304
					{0, 130, 0, 0, 0, 0, 0, 9, 118, 96, 6, 6, 0, 0, 14, 16},
				}
				if method == "pcp" {
					fromGateway = append(fromGateway, lies[3])
				}
				h.spoof = func(gateway *simnet.PacketConn, to net.Addr) {
					for _, lie := range lies {
						elsewhere.WriteTo(lie, to)
						otherPort.WriteTo(lie, to)
					}
					for _, lie := range fromGateway {
						gateway.WriteTo(lie, to)
					}
				}
				d := h.run(method)
				wait(time.Minute)
				if s := d.last(); tcp(s) != "25.1.2.3:30303" || udp(s) != "25.1.2.3:30303" {
					t.Errorf("endpoints %s and %s, want the gateway's", tcp(s), udp(s))
				}
			})
		})
	}
}
