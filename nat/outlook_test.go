package nat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var start = time.Unix(1_000_000, 0)

// Who was silent is asked again after 5 seconds, then after twice as long each
// time: up to a minute if it has ever answered, otherwise up to 5.
func TestOutlookRetries(t *testing.T) {
	for answered, want := range map[bool]string{
		false: "5s 10s 20s 40s 1m20s 2m40s 5m0s 5m0s 5m0s 5m0s 5m0s 5m0s",
		true:  "5s 10s 20s 40s 1m0s 1m0s 1m0s 1m0s 1m0s 1m0s 1m0s 1m0s",
	} {
		o, now := newOutlook(false, nil), start
		if answered {
			o.begin(now)
			o.learned(now, "pmp", netip.MustParseAddr("25.1.2.3"))
			o.end(now, false)
		}
		got := ""
		for i := range 12 {
			o.begin(now)
			o.problem(errors.New("silence"))
			o.end(now, true)
			if i > 0 {
				got += " "
			}
			got += o.wake.Sub(now).String()
			now = o.wake
		}
		if got != want {
			t.Errorf("answered %v: asked again after %s, want %s", answered, got, want)
		}
		o.begin(now)
		o.learned(now, "pmp", netip.MustParseAddr("25.1.2.3"))
		o.end(now, false)
		if got := o.wake.Sub(now); got != gatewayInterval {
			t.Errorf("after an answer the next check is in %v, want %v", got, gatewayInterval)
		}
	}
}

// A lease is renewed at half time, one that is longer than was asked for at half of
// that, and one that is very short not all the time.
func TestOutlookRenewal(t *testing.T) {
	for lease, want := range map[time.Duration]time.Duration{
		0:                     30 * time.Minute, // permanent
		time.Hour:             30 * time.Minute,
		10 * time.Minute:      5 * time.Minute,
		7 * 24 * time.Hour:    30 * time.Minute,
		(1<<32 - 1) * 1e9:     30 * time.Minute,
		time.Second:           leastRenewal,
		2 * leastRenewal / 10: leastRenewal,
	} {
		o := newOutlook(false, []Port{{Protocol: TCP, Internal: 30303}})
		o.begin(start)
		if !o.due(start, 0) {
			t.Error("a port that was never mapped is not due")
		}
		o.granted(start, 0, grant{external: 40000, lease: lease})
		o.end(start, false)
		if o.due(start.Add(want-1), 0) || !o.due(start.Add(want), 0) {
			t.Errorf("a lease of %v is not due after %v", lease, want)
		}
		if next := o.wake.Sub(start); next != min(want, gatewayInterval) {
			t.Errorf("a lease of %v: next check after %v, want %v", lease, next, min(want, gatewayInterval))
		}
		if got := o.suggest(0); got != 40000 {
			t.Errorf("port %d is suggested, want the one that was given", got)
		}
	}
}

// Mappings that the gateway has lost are due until it gives them, are told
// meanwhile, and are forgotten after 10 minutes.
func TestOutlookLost(t *testing.T) {
	o, now := newOutlook(false, []Port{{Protocol: TCP, Internal: 30303}}), start
	check := func(f func()) {
		o.begin(now)
		o.learned(now, "pmp", netip.MustParseAddr("25.1.2.3"))
		f()
		o.end(now, false)
	}
	check(func() { o.granted(now, 0, grant{external: 40000, lease: time.Hour}) })
	for i := range 14 {
		now = now.Add(time.Minute)
		check(func() {
			if i == 0 {
				o.lost()
			}
			if !o.due(now, 0) {
				t.Fatalf("the mapping is not due %d minutes after it was lost", i)
			}
		})
		if got, want := len(o.outside().Mappings), 1; (got == want) != (i <= 10) {
			t.Errorf("%d mappings are told %d minutes after it was lost", got, i)
		}
	}
}

// The first problem of a check is told, and the next check begins anew.
func TestOutlookProblem(t *testing.T) {
	o := newOutlook(false, nil)
	o.begin(start)
	o.problem(errors.New("first"))
	o.problem(errors.New("second"))
	if got := message(o.outside().Err); got != "first" {
		t.Errorf("told %q, want the first problem", got)
	}
	if o.begin(start); o.outside().Err != nil {
		t.Errorf("told %v after a new check began", o.outside().Err)
	}
}

// An address of the other family is refused, and a mapped one is IPv4.
func TestOutlookFamily(t *testing.T) {
	for text, want := range map[string][2]bool{
		"25.1.2.3": {true, false}, "::ffff:25.1.2.3": {true, false}, "2a00::7": {false, true},
		"fe80::1": {false, false}, "fd00::1": {false, false}, "64:ff9b::1901:203": {false, false},
	} {
		for i, v6 := range []bool{false, true} {
			if got := newOutlook(v6, nil).usable(netip.MustParseAddr(text)); got != want[i] {
				t.Errorf("%s is usable with IPv6 %v: %v, want %v", text, v6, got, want[i])
			}
		}
	}
	if newOutlook(true, nil).usable(netip.Addr{}) || newOutlook(false, nil).usable(netip.Addr{}) {
		t.Error("the zero Addr is usable")
	}
}

// The gateway's clock runs as ours, a little fast or slow, or it has restarted:
// RFC 6887 section 8.5.
func TestEpoch(t *testing.T) {
	for _, c := range []struct {
		ours, theirs int64 // seconds between two answers
		lost         bool
	}{
		{60, 60, false}, {60, 58, false}, {60, 63, false}, {0, -1, false}, {0, 0, false}, {0, 2, false},
		{3600, 3600 - 225, false}, {3600, 3600 + 238, false},
		{60, 0, true}, {60, -1000, true}, {0, -2, true}, {60, 1000, true}, {3600, 60, true},
	} {
		var e epoch
		if e.advance(5000, start) {
			t.Error("the first answer is a restart")
		}
		if got := e.advance(uint32(5000+c.theirs), start.Add(time.Duration(c.ours)*time.Second)); got != c.lost {
			t.Errorf("after %d s the clock has advanced by %d s: restart %v, want %v", c.ours, c.theirs, got, c.lost)
		}
	}
}

// The default gateways in what Linux tells of its routes.
func TestDefaultRoute(t *testing.T) {
	native := func(addr string) string {
		a := netip.MustParseAddr(addr).As4()
		return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(a[:]))
	}
	head := "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	line := func(dest, gateway, flags, metric, mask string) string {
		return "eth0\t" + native(dest) + "\t" + native(gateway) + "\t" + flags + "\t0\t0\t" + metric + "\t" + native(mask) + "\t0\t0\t0\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"one":          {head + line("0.0.0.0", "192.168.1.1", "0003", "100", "0.0.0.0") + line("192.168.1.0", "0.0.0.0", "0001", "0", "255.255.255.0"), "192.168.1.1"},
		"lower metric": {head + line("0.0.0.0", "10.0.0.1", "0003", "600", "0.0.0.0") + line("0.0.0.0", "192.168.1.1", "0003", "100", "0.0.0.0"), "192.168.1.1"},
		"no gateway":   {head + line("0.0.0.0", "0.0.0.0", "0001", "0", "0.0.0.0"), "invalid IP"},
		"half":         {head + line("0.0.0.0", "10.8.0.1", "0003", "0", "128.0.0.0"), "invalid IP"},
		"down":         {head + line("0.0.0.0", "192.168.1.1", "0002", "100", "0.0.0.0"), "invalid IP"},
		"nothing":      {"", "invalid IP"},
		"broken":       {head + "eth0\t00000000\txyz\t0003\t0\t0\t0\t00000000\neth0\n", "invalid IP"},
	} {
		if got := defaultRoute4(c.text).String(); got != c.want {
			t.Errorf("%s: gateway %s, want %s", name, got, c.want)
		}
	}
	const zero = "00000000000000000000000000000000"
	for name, c := range map[string]struct{ text, want string }{
		"link-local": {zero + " 00 " + zero + " 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n", "fe80::1%eth0"},
		"global": {"fd000000000000000000000000000000 40 " + zero + " 00 " + zero + " 00000100 00000001 00000000 00000001     eth0\n" +
			zero + " 00 " + zero + " 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n" +
			zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200       lo\n", "fd00::1"},
		"nothing": {zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200       lo\n", "invalid IP"},
	} {
		if got := defaultRoute6(c.text).String(); got != c.want {
			t.Errorf("%s: gateway %s, want %s", name, got, c.want)
		}
	}
}

func FuzzDefaultRoute(f *testing.F) {
	f.Add("eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n")
	f.Add("00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got := defaultRoute4(text); got.IsValid() && !got.Is4() {
			t.Errorf("gateway %v is not IPv4", got)
		}
		if got := defaultRoute6(text); got.IsValid() && !got.Is6() {
			t.Errorf("gateway %v is not IPv6", got)
		}
	})
}
