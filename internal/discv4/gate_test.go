package discv4

import (
	"net/netip"
	"testing"
	"time"

	"parley/internal/netaddr"
)

// flood offers n packets within d and returns how many pass.
func flood(g *gate, start, d time.Duration, n int, known bool, from func(i int) netip.Addr) (passed int, last error) {
	for i := range n {
		if err := g.admit(start+d*time.Duration(i)/time.Duration(n), from(i), known); err == nil {
			passed++
		} else {
			last = err
		}
	}
	return passed, last
}

// Each bucket lets its rate pass and four times as much at the start.
func TestRates(t *testing.T) {
	one := func(s string) func(int) netip.Addr { return func(int) netip.Addr { return netip.MustParseAddr(s) } }
	net24 := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{9, 9, 9, byte(i)}) }
	net64 := func(i int) netip.Addr {
		a := netip.MustParseAddr("2607:f8b0:1:1::").As16()
		a[14], a[15] = byte(i>>8), byte(i)
		return netip.AddrFrom16(a)
	}
	net48 := func(i int) netip.Addr {
		a := netip.MustParseAddr("2607:f8b0:1::").As16()
		a[6], a[7] = byte(i>>8), byte(i)
		return netip.AddrFrom16(a)
	}
	exempt, err := netaddr.ParseList("8.8.8.8/32")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		known  bool
		from   func(int) netip.Addr
		exempt netaddr.List
		want   int
		last   error
	}{
		{name: "host", from: one("8.8.8.8"), want: 40 + 10*10, last: DropHostRate},
		{name: "known host", known: true, from: one("8.8.8.8"), want: 800 + 10*200, last: DropHostRate},
		{name: "network /24", from: net24, want: 200 + 10*50, last: DropNetRate},
		{name: "one /64", from: net64, want: 40 + 10*10, last: DropHostRate},
		{name: "one /48", from: net48, want: 200 + 10*50, last: DropNetRate},
		{name: "loopback", from: one("127.0.0.1"), want: 20000},
		{name: "named by the operator", from: one("8.8.8.8"), exempt: exempt, want: 20000},
	} {
		g := newGate(Limits{}.withDefaults())
		g.exempt = c.exempt
		got, last := flood(&g, 0, 10*time.Second, 20000, c.known, c.from)
		if got < c.want-2 || got > c.want+2 || last != c.last {
			t.Errorf("%s: %d passed, %v; want %d, %v", c.name, got, last, c.want, c.last)
		}
	}
}

// However many strangers there are, half of the total is left for those known, and
// a network that sends little is served while one that sends much waits.
func TestGlobalRate(t *testing.T) {
	g := newGate(Limits{Rate: 1000}.withDefaults())
	everywhere := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{60, byte(i >> 8), byte(i), 1}) }
	strangers, last := flood(&g, 0, time.Second, 10000, false, everywhere)
	if strangers < 900 || strangers > 1000 || last != DropRate {
		t.Errorf("%d strangers passed, %v; want 500 and 500 more at the start", strangers, last)
	}
	known, _ := flood(&g, time.Second, time.Second, 10000, true, everywhere)
	if known < 1000 || known > 1510 {
		t.Errorf("%d of those known passed, want 500, 500 more at the start and some of the rest", known)
	}

	// The loud send 20 times from each of 200 networks, the others once.
	g = newGate(Limits{Rate: 1000, NetRate: 1000, HostRate: 1000}.withDefaults())
	var calm, loud int
	for i := range 20_000 {
		now := 5*time.Second + time.Duration(i)*100*time.Microsecond
		if g.admit(now, netip.AddrFrom4([4]byte{70, 0, byte(i % 50), 1}), false) == nil {
			loud++
		}
		if i%50 == 0 && g.admit(now, netip.AddrFrom4([4]byte{80, byte(i / 50), 1, 1}), false) == nil {
			calm++
		}
	}
	if calm < 350 {
		t.Errorf("%d of 400 calm strangers served beside %d loud ones", calm, loud)
	}
}

// A generation lives as long as it has to, and the map is never larger than twice
// its bound.
func TestAged(t *testing.T) {
	a := newAged[int, int](10*time.Second, 100)
	a.put(0, 1, 1)
	for _, c := range []struct {
		at   time.Duration
		want bool
	}{{9 * time.Second, true}, {10 * time.Second, true}, {19 * time.Second, true}, {20 * time.Second, false}} {
		if _, ok := a.get(c.at, 1); ok != c.want {
			t.Errorf("after %v: %v, want %v", c.at, ok, c.want)
		}
	}
	for i := range 1000 {
		a.put(21*time.Second, i, i)
		if a.len() > 200 {
			t.Fatalf("%d entries", a.len())
		}
	}
	a.get(50*time.Second, 0)
	if a.len() != 0 {
		t.Errorf("%d entries long after", a.len())
	}
}

// No two addresses of different hosts have the same key.
func TestCompact(t *testing.T) {
	seen := make(map[uint64]string)
	for _, s := range []string{"1.2.3.4", "1.2.3.5", "2607:f8b0::1", "2607:f8b0:0:1::1", "64:ff9b::102:304", "2002:102:304::1"} {
		k := hostKey(netip.MustParseAddr(s))
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s have the same key", s, other)
		}
		seen[k] = s
	}
	if hostKey(netip.MustParseAddr("::ffff:1.2.3.4")) != hostKey(netip.MustParseAddr("1.2.3.4")) {
		t.Error("one host, two keys")
	}
}
