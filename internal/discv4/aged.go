package discv4

import "time"

// An aged map forgets what was put into it after keep to 2·keep, or sooner if it
// fills up: it holds two generations of at most most entries and drops the older
// one as a whole, so that nothing is ever searched for what is to go.
//
// Times are those of the engine: since its first call.
type aged[K comparable, V any] struct {
	keep       time.Duration
	most       int
	young, old map[K]V
	turned     time.Duration // when young was begun
}

func newAged[K comparable, V any](keep time.Duration, most int) aged[K, V] {
	return aged[K, V]{keep: keep, most: most, young: make(map[K]V)}
}

// turn begins new generations if it is time.
func (a *aged[K, V]) turn(now time.Duration) {
	switch passed := now - a.turned; {
	case passed >= 2*a.keep:
		a.old, a.young, a.turned = nil, make(map[K]V), now
	case passed >= a.keep:
		a.old, a.young, a.turned = a.young, make(map[K]V), now
	}
}

func (a *aged[K, V]) get(now time.Duration, k K) (V, bool) {
	a.turn(now)
	v, ok := a.young[k]
	if !ok {
		v, ok = a.old[k]
	}
	return v, ok
}

func (a *aged[K, V]) put(now time.Duration, k K, v V) {
	a.turn(now)
	if _, known := a.young[k]; !known && len(a.young) >= a.most {
		a.old, a.young, a.turned = a.young, make(map[K]V), now
	}
	a.young[k] = v
}

func (a *aged[K, V]) len() int { return len(a.young) + len(a.old) }
