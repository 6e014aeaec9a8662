package peerset

import (
	"math"
	"slices"
	"time"
)

// A Source is where a candidate came from.
type Source string

// The sources. A protocol's own is "protocol:" and its name.
const (
	SourceStatic  Source = "static"
	SourceDNS     Source = "dns"
	SourceV4      Source = "discv4"
	SourceV5      Source = "discv5"
	SourceDB      Source = "db"      // remembered from before the restart
	SourceAnchor  Source = "anchor"  // a peer from before the restart
	SourceInbound Source = "inbound" // it came to us; never dialed
	SourceOther   Source = "other"
)

// ProtocolSource returns the source for the candidates of a protocol.
func ProtocolSource(name string) Source { return "protocol:" + Source(name) }

const (
	maxSources = 32 // further ones count as SourceOther
	maxWaiting = 64 // candidates of one source that wait
	minWaiting = 8  // wanted of each source while at least one slot is free

	// Of the recent dynamic dials, as long as other sources have candidates.
	dnsShare    = 1. / 3 // whoever runs a list can fill it
	sourceShare = 2. / 3 // of any other source

	// memory is how many dials count as recent.
	memory = 64
)

// A queue holds the candidates of one source that wait to be dialed.
type queue struct {
	source  Source
	waiting []ID      // oldest first
	heard   time.Time // when it last offered a node, or began to be asked
	dials   float64   // recent ones
}

func (q *queue) share() float64 {
	if q.source == SourceDNS {
		return dnsShare
	}
	return sourceShare
}

// queue returns the queue of a source, made if need be.
func (d *dialer) queue(source Source) *queue {
	for _, q := range d.queues {
		if q.source == source {
			return q
		}
	}
	if len(d.queues) >= maxSources-1 && source != SourceOther {
		return d.queue(SourceOther)
	}
	q := &queue{source: source}
	d.queues = append(d.queues, q)
	return q
}

// DropSource forgets the candidates of a source that is asked no more.
func (s *Set) DropSource(source Source) {
	d := &s.dialer
	d.queues = slices.DeleteFunc(d.queues, func(q *queue) bool {
		if q.source != source {
			return false
		}
		for _, id := range q.waiting {
			d.targets[id].waiting = false
		}
		return true
	})
}

// spend counts a dial against its source.
func (d *dialer) spend(source Source) {
	for _, q := range d.queues {
		q.dials *= 1 - 1./memory
		if q.source == source {
			q.dials++
		}
	}
}

// A ready candidate could be dialed now.
type ready struct {
	t *target
	q *queue
}

// permitted returns those candidates whose sources have not used up their share.
// If all have, it is the one that is the least over; DNS has a turn then only if
// no other source has a candidate.
func (d *dialer) permitted(all []ready) []ready {
	total := 0.
	for _, q := range d.queues {
		total += q.dials
	}
	var permitted []ready
	var least *queue
	over := math.Inf(1)
	for _, r := range all {
		use := (r.q.dials + 1) / r.q.share() / (total + 1)
		if use <= 1 {
			permitted = append(permitted, r)
		}
		if r.q.source == SourceDNS {
			use += 1e9
		}
		if use < over {
			over, least = use, r.q
		}
	}
	if permitted != nil {
		return permitted
	}
	for _, r := range all {
		if r.q == least {
			permitted = append(permitted, r)
		}
	}
	return permitted
}

// pick chooses one of the candidates, of which there is at least one. One time in
// explore it is any candidate of any source, so that what looks bad is tried again
// and new sources show what they are worth; otherwise it is the one with the best
// draw, and patience says how long to wait for a better one to be offered.
func (s *Set) pick(l *lottery, all []ready) (best ready, patience time.Duration) {
	all = s.dialer.permitted(all)
	if s.dialer.exploring {
		var queues []*queue
		for _, r := range all {
			if len(queues) == 0 || queues[len(queues)-1] != r.q { // sorted by queue
				queues = append(queues, r.q)
			}
		}
		q := queues[s.rng.IntN(len(queues))]
		var of []ready
		for _, r := range all {
			if r.q == q {
				of = append(of, r)
			}
		}
		return of[s.rng.IntN(len(of))], 0
	}
	chance := math.Inf(-1)
	// Ties are common, among nodes of which nothing is known: begin anywhere.
	from := s.rng.IntN(len(all))
	for i := range all {
		r := all[(from+i)%len(all)]
		if c := l.chance(r.t.features(l.now)); c > chance {
			best, chance = r, c
		}
	}
	// A slot that is empty among many that are filled can wait.
	filled := (1 + 3*float64(s.dialed)/float64(s.limits.Dialed)) / 4
	worse := 1 - l.expected(best.t.features(l.now))/s.dialer.hope(l)
	return best, time.Duration(max(0, worse) * filled * float64(longestWait))
}

// hope returns the best chance of a node of which nothing but its source is known,
// among the sources that offer any and have not used up their share.
func (d *dialer) hope(l *lottery) float64 {
	total, hope := 0., 1e-6
	for _, q := range d.queues {
		total += q.dials
	}
	for _, q := range d.queues {
		if (q.dials+1)/q.share() <= total+1 && l.now.Sub(q.heard) < awake {
			hope = max(hope, l.expected(features{source: q.source}))
		}
	}
	return hope
}

const (
	// explore is one over the share of dials that are for exploration.
	explore = 8

	// awake is for how long more is expected of a source.
	awake = 30 * time.Second

	// longestWait is how long the last free slot waits for a candidate when all
	// that are there are without hope.
	longestWait = 10 * time.Second
)
