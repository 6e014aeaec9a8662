package discv5

import (
	"testing"
	"time"
	"unsafe"
)

// stepWall returns t as time.Now would return it at the same moment had the wall
// clock been set forward by d: its monotonic reading is the same. There is no
// other way to get such a time than to set the clock of the machine.
func stepWall(t time.Time, d time.Duration) time.Time {
	if d == 0 {
		return t
	}
	// The layout of a time.Time with a monotonic reading: one bit, 33 bits of
	// seconds since 1885, 30 bits of nanoseconds.
	w := (*uint64)(unsafe.Pointer(&t))
	if *w>>63 == 0 {
		panic("time has no monotonic reading")
	}
	*w += uint64(d/time.Second) << 30
	return t
}

// startTime returns a time with a monotonic reading whose wall clock shows the same
// whenever the test runs.
func startTime() time.Time {
	t := time.Now()
	t = stepWall(t, time.Unix(1_790_000_000, 0).Sub(time.Unix(t.Unix(), 0)))
	*(*uint64)(unsafe.Pointer(&t)) &^= 1<<30 - 1 // the nanoseconds
	return t
}

// The tool of the clock tests does what it says.
func TestStepWall(t *testing.T) {
	if got := startTime(); got.UnixNano() != 1_790_000_000e9 || time.Since(got).Abs() > time.Second {
		t.Errorf("startTime = %v, %v ago", got, time.Since(got))
	}
	now := time.Now()
	for _, d := range []time.Duration{time.Hour, -time.Hour, 24 * 365 * time.Hour} {
		then := stepWall(now, d)
		if then.Sub(now) != 0 || then.Unix()-now.Unix() != int64(d/time.Second) {
			t.Errorf("step %v: Sub %v, Unix differs by %d s", d, then.Sub(now), then.Unix()-now.Unix())
		}
	}
}
