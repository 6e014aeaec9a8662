package crawl

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The estimate for figures that were worked out by hand.
func TestEstimate(t *testing.T) {
	for _, tt := range []struct {
		m     mentions
		found int
		want  Estimate
	}{
		{mentions{}, 5, Estimate{}},
		{mentions{once: 10, twice: 2, all: 49}, 20, Estimate{}},
		{mentions{once: 0, twice: 0, all: 500}, 20, Estimate{20, 0, 1}},
		{mentions{once: 10, twice: 4, all: 50}, 35, Estimate{44, 15, 35.0 / 44}}, // 90/10 unseen, variance 9 + 3610/100 + 32400/2500
	} {
		got := tt.m.estimate(tt.found)
		if got.Total != tt.want.Total || got.Error != tt.want.Error || math.Abs(got.Coverage-tt.want.Coverage) > 1e-9 {
			t.Errorf("%+v with %d found: %+v, want %+v", tt.m, tt.found, got, tt.want)
		}
	}
}

// While the nodes of a network are told of at random, the true number is within
// the error of the estimate nearly always, which a count of those found is not.
func TestEstimateTracksTruth(t *testing.T) {
	const nodes, tellings = 2000, 6
	right, rounds := 0, 0
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var m mentions
		tellers := make([]int, nodes)
		found := 0
		for range nodes / 16 * tellings {
			for range 16 {
				i := rng.IntN(nodes)
				if tellers[i]++; tellers[i] == 1 {
					found++
				}
				m.add(tellers[i])
			}
			if m.all%(nodes/2) >= 16 {
				continue
			}
			rounds++
			if e := m.estimate(found); math.Abs(float64(e.Total-nodes)) <= float64(e.Error) {
				right++
			}
		}
		if e := m.estimate(found); e.Coverage < 0.99 || found < nodes*99/100 {
			t.Errorf("in the end %d found, %+v", found, e)
		}
	}
	if rounds < 200 || right < rounds*85/100 {
		t.Errorf("%d of %d estimates were right, want nine of ten", right, rounds)
	}
	t.Logf("%d of %d estimates were right", right, rounds)
}

// A meter looks back ten seconds.
func TestMeter(t *testing.T) {
	var m meter
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	m.add(at(0), 20)
	m.add(at(5), 10)
	for _, tt := range []struct {
		second int
		want   float64
	}{{5, 3}, {9, 3}, {10, 1}, {14, 1}, {15, 0}, {1000, 0}} {
		if got := m.perSecond(at(tt.second)); got != tt.want {
			t.Errorf("after %d s: %v, want %v", tt.second, got, tt.want)
		}
	}
}
