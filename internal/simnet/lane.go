package simnet

import (
	"math"
	"math/rand/v2"
	"time"
)

// never is the arrival of what is held back: the link is cut.
const never = math.MaxInt64

// A lane is one direction of a stream: what one end has sent and the other has
// not read yet, with the times at which it arrives. Times are nanoseconds since
// the stream was opened. The stream's mutex guards it.
type lane struct {
	link   Link
	window int
	rand   *rand.Rand
	cutter func(n int) int // the test's choice of segment sizes, or nil

	queue ring
	sent  uint64    // bytes ever sent
	taken uint64    // bytes ever read or discarded; sent-taken are in the window
	segs  []segment // what is queued, oldest first
	last  int64     // arrival of the newest segment: nothing overtakes it
	free  int64     // when a link of limited bandwidth can take the next segment
	stall int64     // nothing arrives before

	cut     bool // the link is down: what is sent is held
	severed bool // the link will never be up again
	deaf    bool // the receiver has closed: what is sent is lost

	fin, rst      int64 // arrivals of the end of the stream and of a reset, or never
	finned, reset bool  // whether they were sent
}

// A segment is bytes that arrive together.
type segment struct {
	end uint64 // offset in the stream of the first byte after it
	at  int64
	cut bool // a Read stops at its end
}

// room returns how many bytes the window can take.
func (l *lane) room() int { return l.window - int(l.sent-l.taken) }

// send puts b, which must fit the window, on its way.
func (l *lane) send(b []byte, now int64) {
	if l.deaf {
		l.sent += uint64(len(b))
		return
	}
	l.queue.write(b)
	for left := len(b); left > 0; {
		size, cut := l.cutNext(left)
		left -= size
		l.sent += uint64(size)
		at := l.arrival(size, now)
		// Where nothing tells two segments apart they are one.
		if k := len(l.segs) - 1; k >= 0 && !cut && !l.segs[k].cut && at != never && (l.segs[k].at == at || at <= now) {
			l.segs[k].end, l.segs[k].at = l.sent, at
			continue
		}
		l.segs = append(l.segs, segment{end: l.sent, at: at, cut: cut})
	}
}

// cutNext returns the size of the next segment of left bytes and whether a Read
// has to stop at its end.
func (l *lane) cutNext(left int) (size int, cut bool) {
	switch {
	case l.cutter != nil:
		return min(max(l.cutter(left), 1), left), true
	case l.link.MaxSegment > 0:
		return min(1+l.rand.IntN(l.link.MaxSegment), left), true
	case l.link.Bandwidth > 0 || l.link.Loss > 0 || l.link.Jitter > 0:
		return min(segmentSize, left), false
	}
	return left, false
}

// arrival returns when a segment of size bytes sent now arrives, and reserves
// the link for it.
func (l *lane) arrival(size int, now int64) int64 {
	if l.cut || l.severed {
		return never
	}
	start := max(now, l.free)
	if l.link.Bandwidth > 0 {
		start += int64(size) * int64(time.Second) / l.link.Bandwidth
		l.free = start
	}
	l.last = max(l.last, l.stall, start+l.transit())
	return l.last
}

func (l *lane) transit() int64 { return int64(l.link.transit(l.rand)) }

// receive moves what has arrived into b, up to the end of a cut segment.
func (l *lane) receive(b []byte, now int64) int {
	end := l.taken
	done := 0
	for _, seg := range l.segs {
		if seg.at > now {
			break
		}
		end = min(seg.end, l.taken+uint64(len(b)))
		if end == seg.end {
			done++
		}
		if seg.cut || end < seg.end {
			break
		}
	}
	n := int(end - l.taken)
	l.queue.read(b[:n])
	l.taken = end
	if l.segs = l.segs[done:]; len(l.segs) == 0 {
		l.segs = nil
	}
	return n
}

// next returns when the receiver's view changes next.
func (l *lane) next() int64 {
	at := min(l.fin, l.rst)
	if len(l.segs) > 0 {
		at = min(at, l.segs[0].at)
	}
	return at
}

// end sends the end of the stream, behind everything sent before.
func (l *lane) end(now int64) {
	if !l.finned {
		l.finned, l.fin = true, l.arrival(0, now)
	}
}

// abort sends a reset, which waits for nothing that is still queued.
func (l *lane) abort(now int64) {
	if !l.reset {
		l.reset, l.rst = true, l.expedited(now)
	}
}

func (l *lane) expedited(now int64) int64 {
	if l.cut || l.severed {
		return never
	}
	return max(l.stall, now+l.transit())
}

// discard is the receiver's close: what is queued and all that comes is lost.
// It stays in the window, because the sender does not learn of it in time.
func (l *lane) discard() {
	l.deaf = true
	l.queue, l.segs = ring{}, nil
}

// hold keeps back what has not arrived yet.
func (l *lane) hold(now int64) {
	l.cut = true
	for i := range l.segs {
		if l.segs[i].at > now {
			l.segs[i].at = never
		}
	}
	if l.fin > now {
		l.fin = never
	}
	if l.rst > now {
		l.rst = never
	}
}

// release lets what is held set out again.
func (l *lane) release(now int64) {
	l.cut = false
	if l.severed {
		return
	}
	l.last, l.free = now, now
	start := l.taken
	for i := range l.segs {
		if seg := &l.segs[i]; seg.at == never {
			seg.at = l.arrival(int(seg.end-start), now)
		}
		start = l.segs[i].end
	}
	if l.finned && l.fin == never {
		l.fin = l.arrival(0, now)
	}
	if l.reset && l.rst == never {
		l.rst = l.expedited(now)
	}
}

// delay keeps what has not arrived yet, and what will be sent, from arriving
// before the given time.
func (l *lane) delay(until, now int64) {
	l.stall = max(l.stall, until)
	l.last = max(l.last, l.stall)
	for i := range l.segs {
		if l.segs[i].at > now {
			l.segs[i].at = max(l.segs[i].at, until)
		}
	}
	if l.fin > now && l.fin != never {
		l.fin = max(l.fin, until)
	}
	if l.rst > now && l.rst != never {
		l.rst = max(l.rst, until)
	}
}
