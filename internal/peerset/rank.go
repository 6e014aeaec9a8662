package peerset

import (
	"container/list"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	// halfLife is how long it takes until an experience counts half.
	halfLife = 3 * time.Hour

	// inertia is how many dials of average outcome every estimate begins with.
	inertia = 8

	maxNets = 4096 // networks with which there is experience
)

// A tally counts what came of dials. Older ones count less.
type tally struct {
	good, bad float64
	at        time.Time // when it was last brought up to date
}

// fade brings t up to date.
func (t *tally) fade(now time.Time) {
	if age := now.Sub(t.at); age > 0 && !t.at.IsZero() {
		f := math.Exp2(-float64(age) / float64(halfLife))
		t.good *= f
		t.bad *= f
	}
	t.at = now
}

func (t *tally) add(now time.Time, good, bad float64) {
	t.fade(now)
	t.good, t.bad = max(0, t.good+good), max(0, t.bad+bad)
}

// A class tells what is known of a node from earlier dials.
type class int

const (
	classNew     class = iota // never dialed
	classServed               // the last dial led to a peer, within the hour
	classKnown                // the last dial led to a peer, longer ago
	classFell                 // it led to a peer once, the last dial did not
	classSilent               // never a peer: no answer
	classDropped              // never a peer: closed at once
	classFull                 // never a peer: full
	classUseless              // never a peer: another network
	classes
)

// servedFor is how long a node's last service is fresh.
const servedFor = time.Hour

// A past is what is remembered of the dials of a node.
type past struct {
	dialed bool
	failed bool      // the last one
	cause  Cause     // of the last failure
	served time.Time // when it was last a peer; zero if never
}

func (p *past) class(now time.Time) class {
	switch {
	case !p.dialed:
		return classNew
	case !p.failed && now.Sub(p.served) < servedFor:
		return classServed
	case !p.failed:
		return classKnown
	case !p.served.IsZero():
		return classFell
	}
	switch p.cause {
	case CauseDropped:
		return classDropped
	case CauseTooManyPeers:
		return classFull
	case CauseUseless:
		return classUseless
	}
	return classSilent
}

// Features are what a node's chance is estimated by.
type features struct {
	source Source
	net    netip.Prefix // zero if it does not count
	class  class
}

// An experience estimates the chance that dialing a node leads to a peer.
//
// For each source, network and class of nodes it has a tally, and one for all.
// The chance of a node is that of all dials, with the odds multiplied by how much
// better or worse those of its source, of its network and of its class are:
//
//	logit p = logit p₀ + Σ (logit p_f − logit p₀)
//
// as if the three had nothing to do with each other. Each p_f is not the mean
// but a draw from its Beta distribution, begun with inertia dials of average
// outcome (Thompson sampling): what was tried little may turn out better than it
// looks, and is tried again. A network that was never dialed says nothing.
type experience struct {
	all     tally
	sources map[Source]*tally
	classes [classes]tally
	nets    map[netip.Prefix]*list.Element // of *netTally
	recent  list.List                      // least recently dialed network first
}

type netTally struct {
	net netip.Prefix
	tally
}

func newExperience() experience {
	return experience{sources: make(map[Source]*tally), nets: make(map[netip.Prefix]*list.Element)}
}

// learn adds to the tallies of f. A taken back success is negative.
func (x *experience) learn(now time.Time, f features, good, bad float64) {
	x.all.add(now, good, bad)
	x.classes[f.class].add(now, good, bad)
	if x.sources[f.source] == nil {
		x.sources[f.source] = new(tally)
	}
	x.sources[f.source].add(now, good, bad)
	if !f.net.IsValid() {
		return
	}
	e := x.nets[f.net]
	if e == nil {
		if len(x.nets) >= maxNets {
			delete(x.nets, x.recent.Remove(x.recent.Front()).(*netTally).net)
		}
		e = x.recent.PushBack(&netTally{net: f.net})
		x.nets[f.net] = e
	}
	x.recent.MoveToBack(e)
	e.Value.(*netTally).add(now, good, bad)
}

// net returns the tally of a network, nil if there is none.
func (x *experience) net(p netip.Prefix) *tally {
	if e := x.nets[p]; e != nil {
		return &e.Value.(*netTally).tally
	}
	return nil
}

// A lottery draws the chances of nodes for one decision. Nodes that share a
// feature share what was drawn for it.
type lottery struct {
	x       *experience
	now     time.Time
	rng     *rand.Rand
	base    float64 // logit of the mean of all dials
	mean    float64
	sources map[Source]float64
	nets    map[netip.Prefix]float64
	classes [classes]float64
	drawn   [classes]bool
}

func (x *experience) lottery(now time.Time, rng *rand.Rand) *lottery {
	x.all.fade(now)
	// Before anything is known: about a third of the nodes that are found accept.
	mean := (x.all.good + 1) / (x.all.good + x.all.bad + 3)
	return &lottery{
		x: x, now: now, rng: rng, mean: mean, base: logit(mean),
		sources: make(map[Source]float64), nets: make(map[netip.Prefix]float64),
	}
}

// expected returns the chance of a node, without luck.
func (l *lottery) expected(f features) float64 {
	sum := l.base
	for _, t := range [3]*tally{l.x.sources[f.source], &l.x.classes[f.class], l.x.net(f.net)} {
		if t != nil {
			sum += logit(l.meanOf(t)) - l.base
		}
	}
	return 1 / (1 + math.Exp(-sum))
}

// meanOf returns the share of good dials in t, begun with inertia average ones.
func (l *lottery) meanOf(t *tally) float64 {
	t.fade(l.now)
	return (inertia*l.mean + t.good) / (inertia + t.good + t.bad)
}

// shift draws how far the odds of t are from those of all.
func (l *lottery) shift(t *tally) float64 {
	t.fade(l.now)
	return logit(beta(l.rng, inertia*l.mean+t.good, inertia*(1-l.mean)+t.bad)) - l.base
}

// chance draws the logit of the chance of a node.
func (l *lottery) chance(f features) float64 {
	source, ok := l.sources[f.source]
	if !ok {
		t := l.x.sources[f.source]
		if t == nil {
			t = new(tally)
		}
		source = l.shift(t)
		l.sources[f.source] = source
	}
	if !l.drawn[f.class] {
		l.classes[f.class], l.drawn[f.class] = l.shift(&l.x.classes[f.class]), true
	}
	net, ok := l.nets[f.net]
	if t := l.x.net(f.net); !ok && t != nil {
		net = l.shift(t)
		l.nets[f.net] = net
	}
	return l.base + source + l.classes[f.class] + net
}

func logit(p float64) float64 {
	const edge = 1e-6
	p = min(max(p, edge), 1-edge)
	return math.Log(p / (1 - p))
}

// beta draws from the Beta distribution with parameters a and b above zero.
func beta(rng *rand.Rand, a, b float64) float64 {
	x, y := gamma(rng, a), gamma(rng, b)
	if x+y == 0 { // both vanish for tiny parameters
		return a / (a + b)
	}
	return x / (x + y)
}

// gamma draws from the Gamma distribution with the given shape and scale 1, by
// the method of Marsaglia and Tsang, "A simple method for generating gamma
// variables", 2000.
func gamma(rng *rand.Rand, shape float64) float64 {
	if shape < 1 {
		u := 1 - rng.Float64() // not zero
		return gamma(rng, shape+1) * math.Pow(u, 1/shape)
	}
	d := shape - 1./3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := 1 - rng.Float64()
		if math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
