package reach

import (
	"net/netip"
	"testing"
	"time"
)

var start = time.Unix(1_000_000, 0)

func host(n int) netip.Addr { return netip.AddrFrom4([4]byte{80, byte(n), 0, 1}) }

// answered has n networks answer.
func answered(b *Book, now time.Time, t Transport, n int) {
	for i := range n {
		b.Answered(now, t, host(i))
	}
}

func want(t *testing.T, b *Book, now time.Time, tr Transport, ipv6 bool, state State) {
	t.Helper()
	if got := b.State(now, tr, ipv6); got != state {
		t.Errorf("after %v: %v, want %v", now.Sub(start), got, state)
	}
}

// A stranger who comes in shows its family and transport reachable, and nothing
// else, for 6 hours.
func TestStrangerShowsOnePath(t *testing.T) {
	for i, from := range []string{"80.1.2.3", "2a00:1::1"} {
		for _, tr := range []Transport{TCP, UDP} {
			var b Book
			if !b.Came(start, tr, netip.MustParseAddr(from)) {
				t.Errorf("%v from %s does not count", tr, from)
			}
			for j := range 2 {
				for _, other := range []Transport{TCP, UDP} {
					state := Unknown
					if i == j && other == tr {
						state = Yes
					}
					want(t, &b, start.Add(evidenceLife), other, j == 1, state)
					want(t, &b, start.Add(evidenceLife+1), other, j == 1, Unknown)
				}
			}
		}
	}
}

// Hosts that are not public say nothing.
func TestPrivateSaysNothing(t *testing.T) {
	for _, from := range []string{"127.0.0.1", "10.1.1.1", "::ffff:192.168.1.1", "fe80::1", "100.64.0.1"} {
		var b Book
		for _, tr := range []Transport{TCP, UDP} {
			if b.Came(start, tr, netip.MustParseAddr(from)) {
				t.Errorf("%s counts", from)
			}
		}
	}
}

// A datagram from a host that was sent one may have come through a hole. After 10
// minutes there is no hole any more.
func TestHoleSaysNothing(t *testing.T) {
	var h Holes
	h.Sent(start, host(1))
	if h.Stranger(start.Add(holeLife), host(1)) {
		t.Error("through a hole counts")
	}
	if !h.Stranger(start, host(2)) || h.Stranger(start, netip.MustParseAddr("10.0.0.1")) {
		t.Error("a public stranger does not count, or a private one does")
	}
	if !h.Stranger(start.Add(holeLife+1), host(1)) {
		t.Error("after the hole is gone, who came does not count")
	}
	h.Sent(start.Add(2*holeLife), host(2))
	if len(h.sent) != 1 {
		t.Errorf("%d hosts are remembered, want 1", len(h.sent))
	}
}

// If more hosts were sent something than are remembered, nobody counts until the
// forgotten ones could not come through a hole either.
func TestTooManySent(t *testing.T) {
	var h Holes
	for i := range maxSent + 1 {
		h.Sent(start, netip.AddrFrom4([4]byte{81, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(h.sent) > maxSent {
		t.Errorf("%d hosts are remembered, want %d", len(h.sent), maxSent)
	}
	if h.Stranger(start, host(1)) {
		t.Error("it may be one of the forgotten, and counts")
	}
	if !h.Stranger(start.Add(holeLife+1), host(1)) {
		t.Error("does not count after 10 minutes")
	}
}

// Not reachable is who was answered by 16 networks and saw nobody come for an hour.
// One more network of the same hosts makes no difference, and who comes in ends it.
func TestSilence(t *testing.T) {
	var b Book
	answered(&b, start, UDP, company-1)
	for i := range byte(50) {
		b.Answered(start, UDP, netip.AddrFrom4([4]byte{80, 0, 0, i}))
	}
	want(t, &b, start.Add(silence), UDP, false, Unknown)
	answered(&b, start.Add(time.Minute), UDP, company)
	want(t, &b, start.Add(silence-1), UDP, false, Unknown)
	want(t, &b, start.Add(silence), UDP, false, No)
	want(t, &b, start.Add(silence), TCP, false, Unknown)
	want(t, &b, start.Add(evidenceLife+time.Minute+1), UDP, false, Unknown) // nobody answers any more
	b.Came(start.Add(silence), UDP, host(1))
	want(t, &b, start.Add(silence), UDP, false, Yes)
	want(t, &b, start.Add(silence+evidenceLife+1), UDP, false, Unknown)
}
