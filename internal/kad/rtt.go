package kad

import "time"

// An RTT is the round-trip time that is usual in a network, and how much it
// varies, as TCP keeps them (RFC 6298, section 2). It is what engines decide by
// whether to send a request again. Make one with [NewRTT].
type RTT struct {
	mean, deviation time.Duration
}

// NewRTT returns an RTT that assumes mean until something was measured.
func NewRTT(mean time.Duration) RTT { return RTT{mean: mean, deviation: -1} }

// Add takes in a measurement: the time from a request that was sent once to its
// answer.
func (r *RTT) Add(sample time.Duration) {
	if r.deviation < 0 {
		r.mean, r.deviation = sample, sample/2
		return
	}
	r.deviation += ((r.mean - sample).Abs() - r.deviation) / 4
	r.mean += (sample - r.mean) / 8
}

// Measured reports whether anything was measured.
func (r *RTT) Measured() bool { return r.deviation >= 0 }

// Mean returns the usual time.
func (r *RTT) Mean() time.Duration { return r.mean }

// Timeout returns how long almost all answers take.
func (r *RTT) Timeout() time.Duration { return r.mean + 4*max(r.deviation, 0) }
