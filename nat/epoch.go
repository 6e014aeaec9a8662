package nat

import "time"

// An epoch is the gateway's clock as last told: the seconds since it lost its
// mappings, by which its restart is noticed. The zero epoch knows nothing.
type epoch struct {
	seconds uint32
	at      time.Time
}

// advance takes in what the gateway told at now, and reports whether it has lost
// its mappings since the time before: RFC 6887 section 8.5. The rule of RFC 6886
// section 3.6 is wider, but what this one reports in error costs only that
// mappings are asked for again.
func (e *epoch) advance(seconds uint32, now time.Time) (lost bool) {
	before := *e
	*e = epoch{seconds: seconds, at: now}
	if before.at.IsZero() {
		return false
	}
	ours := int64(now.Sub(before.at) / time.Second)
	theirs := int64(seconds) - int64(before.seconds)
	if theirs < -1 {
		return true
	}
	return ours+2 < theirs-theirs/16 || theirs+2 < ours-ours/16
}
