package crawl

import (
	"math"
	"time"
)

// minMentions is how often nodes must have been told of before an estimate is worth
// anything.
const minMentions = 50

// An Estimate is how many nodes there may be in all. It is zero as long as too
// little is known.
type Estimate struct {
	Total    int     `json:"total"`
	Error    int     `json:"error"`    // two standard deviations
	Coverage float64 `json:"coverage"` // part of Total that was found, 0 to 1
}

// mentions counts how often nodes were told of: how many by one other node, how
// many by two, how often in all.
type mentions struct {
	once, twice, all int
}

// add takes the news that a node was told of by the n-th other.
func (m *mentions) add(n int) {
	m.all++
	switch n {
	case 1:
		m.once++
	case 2:
		m.once--
		m.twice++
	case 3:
		m.twice--
	}
}

// estimate tells how many nodes there are if found are known. It is capture and
// recapture: if many nodes were told of by one other only, there must be more that
// were told of by nobody. The formulas for their number and its variance are
// those of Chao, bias-corrected: A. Chao, "Estimating the population size for
// capture-recapture data with unequal catchability", Biometrics 43 (1987).
func (m mentions) estimate(found int) Estimate {
	if m.all < minMentions {
		return Estimate{}
	}
	f1, f2 := float64(m.once), float64(m.twice)
	unseen := f1 * (f1 - 1) / (2 * (f2 + 1))
	variance := unseen + f1*(2*f1-1)*(2*f1-1)/(4*(f2+1)*(f2+1)) + f1*f1*f2*(f1-1)*(f1-1)/(4*math.Pow(f2+1, 4))
	total := float64(found) + unseen
	return Estimate{
		Total:    int(math.Round(total)),
		Error:    int(math.Round(2 * math.Sqrt(variance))),
		Coverage: float64(found) / total,
	}
}

// window is how many seconds a meter looks back.
const window = 10

// A meter tells how often something happens.
type meter struct {
	counts [window]int // by second, modulo window
	second int64       // of the last count
}

func (m *meter) add(now time.Time, n int) {
	m.advance(now)
	m.counts[m.second%window] += n
}

// perSecond returns the mean of the last ten seconds.
func (m *meter) perSecond(now time.Time) float64 {
	m.advance(now)
	sum := 0
	for _, n := range m.counts {
		sum += n
	}
	return float64(sum) / window
}

// advance forgets what is too long ago.
func (m *meter) advance(now time.Time) {
	second := now.Unix()
	for range min(second-m.second, window) {
		m.second++
		m.counts[m.second%window] = 0
	}
	m.second = max(m.second, second)
}
