package command

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/daemon/crawl"
	"parley/discover"
)

// The endpoints to announce are at most one of each family.
func TestParseExtAddr(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "[]",
		"10.0.0.1":                "[10.0.0.1:0]",
		"10.0.0.1:30304":          "[10.0.0.1:30304]",
		"10.0.0.1, fd00::1":       "[10.0.0.1:0 [fd00::1]:0]",
		"[fd00::1]:7,10.0.0.1:8":  "[[fd00::1]:7 10.0.0.1:8]",
		"[fd00::1]":               "[[fd00::1]:0]",
		"::ffff:10.0.0.1":         "[10.0.0.1:0]",
		"10.0.0.1,":               "error",
		"10.0.0.1,10.0.0.2":       "error",
		"10.0.0.1,fd00::1,fe80::": "error",
		"10.0.0.1:99999":          "error",
		"0.0.0.0":                 "error",
		"224.0.0.1":               "error",
		"fe80::1%eth0":            "error",
		"example.org":             "error",
	} {
		got, err := parseExtAddr(text)
		result := fmt.Sprint(got)
		if err != nil {
			result = "error"
		}
		if result != want {
			t.Errorf("%q: %v, %v; want %s", text, got, err, want)
		}
	}
}

// Each host has one vote, its last; the most frequent endpoint counts, and not more
// hosts are remembered than there is room for.
func TestSightings(t *testing.T) {
	a, b := netip.MustParseAddrPort("8.8.8.8:1"), netip.MustParseAddrPort("8.8.8.8:2")
	host := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{60, byte(i >> 16), byte(i >> 8), byte(i)}) }
	m := make(sightings)
	m.add([]discover.Vote{{From: host(1), Endpoint: a}, {From: host(1), Endpoint: a}, {From: host(2), Endpoint: b}, {From: host(3), Endpoint: b}})
	if at, votes := m.most(); at != b || votes != 2 {
		t.Errorf("%v with %d votes, want %v with 2", at, votes, b)
	}
	m.add([]discover.Vote{{From: host(2), Endpoint: a}})
	if at, votes := m.most(); at != a || votes != 2 {
		t.Errorf("%v with %d votes, want %v with 2", at, votes, a)
	}
	for i := range 2 * maxSightings {
		m.add([]discover.Vote{{From: host(i), Endpoint: b}})
	}
	if len(m) != maxSightings {
		t.Errorf("%d hosts are remembered, want %d", len(m), maxSightings)
	}
}

// On a terminal progress is one line that is written over and removed in the end;
// elsewhere each has its own. It ends with the time that is left, by estimate or by
// --timeout.
func TestProgressLine(t *testing.T) {
	p := crawl.Progress{
		Found: 15418, Checked: 9120, Alive: 6744, Rate: 3.2, Elapsed: 12*time.Minute + 4*time.Second + time.Millisecond,
		Left: 5 * time.Minute, Estimate: crawl.Estimate{Total: 15900, Error: 200, Coverage: 0.9697},
	}
	const line = "found 15418 (+3/s)  checked 9120  alive 6744  estimate ~15900 ± 200  coverage 97%  12m4s  left ~5m0s"
	var b strings.Builder
	plain := &progressLine{w: &b, timeout: 30 * time.Minute}
	plain.show(p)
	p.Left = time.Hour
	plain.show(p)
	plain.end()
	if want := line + "\n" + strings.Replace(line, "~5m0s", "~17m56s", 1) + "\n"; b.String() != want {
		t.Errorf("%q, want %q", &b, want)
	}
	b.Reset()
	live := &progressLine{w: &b, live: true, timeout: 30 * time.Minute}
	p.Left = 5 * time.Minute
	live.show(p)
	live.show(crawl.Progress{})
	live.end()
	if want := "\r\x1b[?7l" + line + "\x1b[K\x1b[?7h\r\x1b[?7lfound 0 (+0/s)  checked 0  alive 0  0s  left ~30m0s\x1b[K\x1b[?7h\r\x1b[K"; b.String() != want {
		t.Errorf("%q, want %q", &b, want)
	}
}
