// Package testclock makes times as they are when somebody sets the wall clock, which
// tests cannot do.
package testclock

import (
	"time"
	"unsafe"
)

// Step returns t as time.Now would return it at the same moment had the wall
// clock been set forward by d: its monotonic reading is the same. There is no
// other way to get such a time than to set the clock of the machine.
func Step(t time.Time, d time.Duration) time.Time {
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

// Start returns a time with a monotonic reading whose wall clock shows the same
// whenever the test runs.
func Start() time.Time {
	t := time.Now()
	t = Step(t, time.Unix(1_790_000_000, 0).Sub(time.Unix(t.Unix(), 0)))
	*(*uint64)(unsafe.Pointer(&t)) &^= 1<<30 - 1 // the nanoseconds
	return t
}
