package crawl

import (
	"slices"
	"time"

	"parley/enode"
)

// A visit is a talk with one node: first it is asked for its record, and if it
// answers, for the nodes that it knows.
type visit struct {
	entry *entry
	node  *enode.Node // as it is asked
	plan  *plan       // nil until it answered

	out      bool      // a question is
	ready    time.Time // when the next one may be put
	tries    int       // of asking for the record at this place
	failures int
	busy     int
	told     map[enode.ID]struct{} // nodes that it told of
}

func (c *Core) visit(e *entry, now time.Time) *visit {
	return &visit{entry: e, node: e.places[e.tried], ready: now, told: make(map[enode.ID]struct{})}
}

// question returns the next question of the visit.
func (v *visit) question(cfg Config) *Question {
	q := &Question{Node: v.node, V4: cfg.V4, visit: v}
	if v.plan == nil {
		v.tries++
		return q
	}
	q.Distances = v.plan.steps[0].distances
	if cfg.V4 {
		q.Target = targetAt(cfg.Rand, v.node, q.Distances[0])
	}
	return q
}

// leave ends a visit.
func (c *Core) leave(v *visit) {
	v.entry.waiting = false
	i := slices.Index(c.visits, v)
	c.visits = slices.Delete(c.visits, i, i+1)
}
