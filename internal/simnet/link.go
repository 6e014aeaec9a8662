package simnet

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// DefaultWindow is how many bytes a direction of a connection holds, under way
// or unread, before its writer has to wait.
const DefaultWindow = 256 << 10

// segmentSize is the size of a segment where sizes matter: what is lost at
// once, and what a slow link delivers at once. It is that of TCP on Ethernet.
const segmentSize = 1460

// A Link says how a path between two hosts carries what is sent. The zero Link
// delivers at once, whole and without a limit.
type Link struct {
	// Delay is the time from one end to the other.
	Delay time.Duration

	// Jitter is how much longer than Delay it may take: for each segment a
	// random part of it. It does not reorder the bytes of a stream.
	Jitter time.Duration

	// Bandwidth is how many bytes a second each direction of each connection
	// carries. Zero means no limit.
	Bandwidth int64

	// Loss is the share of segments that get lost, 0 up to but not including 1.
	// A stream sends a lost segment again after a round trip and 200 ms, and
	// twice that after each further loss; all that follows it waits.
	Loss float64

	// Duplicate is the share of datagrams that arrive twice. Jitter lets them
	// overtake each other, and what is lost of them stays lost.
	Duplicate float64

	// MaxSegment, if not zero, cuts streams into segments of random size from
	// 1 to MaxSegment bytes, each of which needs a Read of its own. Otherwise
	// a Read returns all that has arrived.
	MaxSegment int

	// Window is how many bytes of a stream may be under way or unread in each
	// direction, before Write blocks. Zero means [DefaultWindow]. A connection
	// keeps the window that it was opened with.
	Window int
}

// check panics if the link cannot be: that is a mistake in the test.
func (l Link) check() {
	if l.Delay < 0 || l.Jitter < 0 || l.Bandwidth < 0 || l.Loss < 0 || l.Loss >= 1 || l.Duplicate < 0 || l.Duplicate > 1 || l.MaxSegment < 0 || l.Window < 0 {
		panic(fmt.Sprintf("simnet: no such link: %+v", l))
	}
}

func (l Link) window() int {
	if l.Window == 0 {
		return DefaultWindow
	}
	return l.Window
}

// transit returns how long one segment takes, with bad luck as it comes.
func (l Link) transit(r *rand.Rand) time.Duration {
	d := l.Delay
	if l.Jitter > 0 {
		d += time.Duration(r.Int64N(int64(l.Jitter) + 1))
	}
	if l.Loss > 0 {
		for again := 2*l.Delay + 200*time.Millisecond; r.Float64() < l.Loss; again = min(2*again, time.Minute) {
			d += again
		}
	}
	return d
}
