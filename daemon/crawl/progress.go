package crawl

import (
	"fmt"
	"strings"
	"time"
)

// Progress is how far a crawl is.
type Progress struct {
	Found    int      `json:"found"`    // nodes heard of
	Checked  int      `json:"checked"`  // of those
	Alive    int      `json:"alive"`    // of those: they answered with their record
	Dropped  int      `json:"dropped"`  // times a node was told of that there are too many of, in all or at one host
	Requests int      `json:"requests"` // questions put
	Estimate Estimate `json:"estimate"`

	Rate    float64       `json:"-"` // nodes found a second, of late
	Elapsed time.Duration `json:"-"`
	Left    time.Duration `json:"-"` // until all is done, at the mean speed so far; 0 if unknown
}

// Progress returns how far the crawl is.
func (c *Core) Progress(now time.Time) Progress {
	p := Progress{
		Found: len(c.entries), Checked: c.checked, Alive: c.alive, Dropped: c.dropped, Requests: c.asked,
		Estimate: c.mentions.estimate(len(c.entries)), Rate: c.fresh.perSecond(now),
	}
	if !c.began.IsZero() {
		p.Elapsed = now.Sub(c.began)
	}
	if todo := max(p.Found, p.Estimate.Total) - p.Checked; p.Checked > 0 && todo > 0 {
		p.Left = time.Duration(float64(p.Elapsed) / float64(p.Checked) * float64(todo))
	}
	return p
}

// String returns the progress as one line.
func (p *Progress) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "found %d (+%.0f/s)  checked %d  alive %d", p.Found, p.Rate, p.Checked, p.Alive)
	if e := p.Estimate; e.Total > 0 {
		fmt.Fprintf(&b, "  estimate ~%d ± %d  coverage %.0f%%", e.Total, e.Error, 100*e.Coverage)
	}
	fmt.Fprintf(&b, "  %s", p.Elapsed.Truncate(time.Second))
	if p.Left > 0 {
		fmt.Fprintf(&b, "  left ~%s", p.Left.Round(time.Second))
	}
	return b.String()
}
