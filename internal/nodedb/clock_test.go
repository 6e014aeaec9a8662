package nodedb

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// L3: nodes that were stored while the wall clock was wrong by a year are still
// seeds once it is right. Those that answer again get their time right, on disk
// too, and those that do not are forgotten after a day like any other.
func TestL3StoredWithAWrongClock(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, step := range []time.Duration{time.Hour, -time.Hour, year, -year} {
		t.Run(step.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "nodes.db")
			db := open(t, path)
			alive, at := record(t, 1, 1)
			dead, deadAt := record(t, 2, 1)
			db.Proven(start.Add(step), alive, at)
			db.Proven(start.Add(step), dead, deadAt)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}

			db = open(t, path)
			if got := db.Seeds(start, 10, rand.New(rand.NewPCG(1, 1))); len(got) != 2 {
				t.Errorf("%d seeds, want 2", len(got))
			}
			db.Proven(start, alive, at)
			db.Failed(start, dead.ID())
			if e, ok := db.Get(dead.ID()); ok != (step > -oldAfter) || ok && e.Proven.After(start) {
				t.Errorf("the node that failed is there: %v, of %v; want %v, not after %v", ok, e.Proven, step > -oldAfter, start)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}

			db = open(t, path)
			if e, _ := db.Get(alive.ID()); !e.Proven.Equal(start) {
				t.Errorf("the node that answered is stored with %v, want %v", e.Proven, start)
			}
			later := start.Add(oldAfter + time.Second)
			db.Failed(later, dead.ID())
			if _, ok := db.Get(dead.ID()); ok {
				t.Error("the node that did not answer is remembered after a day")
			}
		})
	}
}
