package nat

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

// stunServers adds servers at 45.0.0.1, 45.0.0.2 and so on, port 3478, and
// returns the method that asks them. Each answers with what its function returns,
// which holds mu.
func (h *home) stunServers(answers ...func(request []byte) [][]byte) string {
	var names []string
	for i, answer := range answers {
		c := h.packets(h.net.Host(netip.AddrFrom4([4]byte{45, 0, 0, byte(i + 1)})), 3478)
		h.serving.Go(func() {
			h.serve(c, func(c *simnet.PacketConn, b []byte, from net.Addr) {
				if len(b) != 20 || b[0] != 0 || b[1] != 1 || binary.BigEndian.Uint32(b[4:]) != 0x2112a442 {
					h.t.Errorf("STUN server %d got %x", i+1, b)
					return
				}
				h.mu.Lock()
				replies := answer(b)
				h.mu.Unlock()
				for _, reply := range replies {
					c.WriteTo(reply, from)
				}
			})
		})
		names = append(names, fmt.Sprintf("45.0.0.%d:3478", i+1))
	}
	return "stun:" + strings.Join(names, ",")
}

// stunReply is a success response to a request with one XOR-MAPPED-ADDRESS.
func stunReply(request []byte, addr string) []byte {
	ap := netip.AddrPortFrom(netip.MustParseAddr(addr), 1234)
	raw := ap.Addr().AsSlice()
	family := byte(1)
	if len(raw) == 16 {
		family = 2
	}
	mask := append([]byte{0x21, 0x12, 0xa4, 0x42}, request[8:20]...)
	for i := range raw {
		raw[i] ^= mask[i]
	}
	b := []byte{1, 1, 0, byte(8 + len(raw))}
	b = append(b, request[4:20]...)
	b = append(b, 0, 0x20, 0, byte(4+len(raw)), 0, family)
	b = binary.BigEndian.AppendUint16(b, ap.Port()^0x2112)
	return append(b, raw...)
}

func says(addr string) func([]byte) [][]byte {
	return func(request []byte) [][]byte { return [][]byte{stunReply(request, addr)} }
}

func silent([]byte) [][]byte { return nil }

// refuses answers with error 420 (Unknown Attribute).
func refuses(request []byte) [][]byte {
	b := append([]byte{1, 0x11, 0, 8}, request[4:20]...)
	return [][]byte{append(b, 0, 9, 0, 4, 0, 0, 4, 20)}
}

// spoofed answers with another transaction ID, and nothing else.
func spoofed(request []byte) [][]byte {
	other := append([]byte(nil), request...)
	other[19] ^= 1
	return [][]byte{stunReply(other, "25.6.6.6")}
}

// stale answers with another transaction ID first.
func stale(addr string) func([]byte) [][]byte {
	return func(request []byte) [][]byte { return append(spoofed(request), stunReply(request, addr)) }
}

// K4: two of three servers have to agree, and of fewer than three all; what does
// not carry the random ID, is of the other family or cannot be a host's address
// does not count.
func TestK4Agreement(t *testing.T) {
	const good, bad = "25.1.2.3", "25.6.6.6"
	for name, c := range map[string]struct {
		servers []func([]byte) [][]byte
		want    string // empty means none
	}{
		"three agree":              {[]func([]byte) [][]byte{says(good), says(good), says(good)}, good},
		"one lies":                 {[]func([]byte) [][]byte{says(bad), says(good), says(good)}, good},
		"the last lies":            {[]func([]byte) [][]byte{says(good), says(good), says(bad)}, good},
		"one is silent":            {[]func([]byte) [][]byte{silent, says(good), says(good)}, good},
		"one refuses":              {[]func([]byte) [][]byte{says(good), refuses, says(good)}, good},
		"all differ":               {[]func([]byte) [][]byte{says("25.1.1.1"), says("25.2.2.2"), says("25.3.3.3")}, ""},
		"one of three":             {[]func([]byte) [][]byte{says(good), silent, refuses}, ""},
		"one of three, one lies":   {[]func([]byte) [][]byte{says(good), silent, says(bad)}, ""},
		"two agree":                {[]func([]byte) [][]byte{says(good), says(good)}, good},
		"two differ":               {[]func([]byte) [][]byte{says(good), says(bad)}, ""},
		"one of two":               {[]func([]byte) [][]byte{says(good), silent}, ""},
		"one":                      {[]func([]byte) [][]byte{says(good)}, good},
		"spoofed ID":               {[]func([]byte) [][]byte{spoofed}, ""},
		"two spoofed IDs of three": {[]func([]byte) [][]byte{spoofed, spoofed, says(good)}, ""},
		"spoofed ID first":         {[]func([]byte) [][]byte{stale(good), stale(good), silent}, good},
		"other family":             {[]func([]byte) [][]byte{says("2a00::7"), says("2a00::7"), says("2a00::7")}, ""},
		"one of the other family":  {[]func([]byte) [][]byte{says("2a00::7"), says(good), says(good)}, good},
		"private":                  {[]func([]byte) [][]byte{says("10.0.0.7"), says("10.0.0.7"), says("10.0.0.7")}, ""},
		"shared":                   {[]func([]byte) [][]byte{says("100.64.0.7"), says("100.64.0.7")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				d := h.run(h.stunServers(c.servers...))
				wait(time.Minute)
				s := d.last()
				got := ""
				if s.IPv4.Addr.IsValid() {
					got = s.IPv4.Addr.String()
				}
				if got != c.want {
					t.Errorf("told %q with error %v, want %q", got, s.IPv4.Err, c.want)
				}
				if c.want == "" && s.IPv4.Err == nil {
					t.Error("no error says why nothing is told")
				}
			})
		})
	}
}

// K4: an answer with the right ID from another address or port does not count: the
// server that it is for is named in the request.
func TestK4OtherSource(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		rogue, err := h.rogue.ListenPacket(3478)
		if err != nil {
			t.Fatal(err)
		}
		defer rogue.Close()
		first := h.net.Host(netip.MustParseAddr("45.0.0.9"))
		otherPort, err := first.ListenPacket(3479)
		if err != nil {
			t.Fatal(err)
		}
		defer otherPort.Close()
		c := h.packets(first, 3478)
		h.serving.Go(func() {
			h.serve(c, func(c *simnet.PacketConn, b []byte, from net.Addr) {
				rogue.WriteTo(stunReply(b, "25.6.6.6"), from)
				otherPort.WriteTo(stunReply(b, "25.6.6.6"), from)
			})
		})
		d := h.run("stun:45.0.0.9:3478")
		wait(time.Minute)
		if s := d.last(); s.IPv4.Addr.IsValid() {
			t.Errorf("told %v, want nothing", s.IPv4.Addr)
		}
	})
}

// K4: every server gets an ID of its own, a new one each time, and what is sent
// again has the same.
func TestK4RandomID(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		ids := make(map[string]int)
		note := func(b []byte) [][]byte {
			ids[string(b[8:20])]++
			return nil
		}
		d := h.run(h.stunServers(note, note, note))
		wait(3 * time.Second)
		d.stop()
		h.mu.Lock()
		if len(ids) != 3 {
			t.Errorf("%d different IDs, want 3", len(ids))
		}
		for id, n := range ids {
			if n != 4 { // at 0, 250, 750 and 1750 ms
				t.Errorf("ID %x was sent %d times, want 4", id, n)
			}
		}
		h.mu.Unlock()
		h.run("stun:45.0.0.1:3478")
		wait(time.Second)
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(ids) != 4 {
			t.Errorf("%d different IDs after another question, want 4", len(ids))
		}
	})
}

// Of many servers three are asked, not always the same; one host with two names
// counts once.
func TestK4Choice(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		count := make([]int, 6)
		var servers []func([]byte) [][]byte
		for i := range count {
			servers = append(servers, func(b []byte) [][]byte {
				count[i]++
				return [][]byte{stunReply(b, "25.1.2.3")}
			})
		}
		d := h.run(h.stunServers(servers...))
		wait(4*time.Hour - time.Second)
		d.stop()
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		total := 0
		for i, n := range count {
			if total += n; n == 0 {
				t.Errorf("server %d was never asked", i+1)
			}
		}
		if total != 3*60 {
			t.Errorf("%d questions in 4 hours, want 3 every 4 minutes", total)
		}
	})
	inHome(t, func(t *testing.T, h *home) {
		h.stunServers(says("25.6.6.6"))
		h.names["a.example"] = []netip.Addr{netip.MustParseAddr("45.0.0.1")}
		h.names["b.example"] = []netip.Addr{netip.MustParseAddr("45.0.0.1")}
		d := h.run("stun:a.example:3478,b.example:3478,45.0.0.1:3478")
		wait(time.Minute)
		if s := d.last(); s.IPv4.Addr.IsValid() {
			t.Errorf("one host under three names made us tell %v", s.IPv4.Addr)
		}
	})
}
