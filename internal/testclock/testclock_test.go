package testclock

import (
	"testing"
	"time"
)

// The times that come out are right by both clocks.
func TestStep(t *testing.T) {
	if got := Start(); got.UnixNano() != 1_790_000_000e9 || time.Since(got).Abs() > time.Second {
		t.Errorf("Start = %v, %v ago", got, time.Since(got))
	}
	now := time.Now()
	for _, d := range []time.Duration{time.Hour, -time.Hour, 24 * 365 * time.Hour} {
		then := Step(now, d)
		if then.Sub(now) != 0 || then.Unix()-now.Unix() != int64(d/time.Second) {
			t.Errorf("step %v: Sub %v, Unix differs by %d s", d, then.Sub(now), then.Unix()-now.Unix())
		}
	}
}
