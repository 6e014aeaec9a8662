package kad

import (
	"fmt"
	"testing"
	"time"

	"parley/enode"

	"pgregory.net/rapid"
)

// Whatever happens to a table, in whatever order, it stays sound: every node in
// one place, in its bucket, counted right, and within every limit. Live nodes
// lose their place only by their own doing.
func TestTableProperties(t *testing.T) {
	pool := make([]*enode.Node, 0, 300)
	for i := range 100 {
		pool = append(pool, node(i, apart(i)), node(i, fmt.Sprintf("90.9.9.%d:1", i+1)), node(i, fmt.Sprintf("[2a00:9:9:%x::1]:1", i%5)))
	}
	for i := range byte(10) {
		for seq := range uint64(3) {
			pool = append(pool, signed(t, i+1, seq+1, at4(fmt.Sprintf("91.%d.1.1:1", seq/2))...))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		own := pool[0].ID()
		if rapid.Bool().Draw(t, "somebody else") {
			own = self
		}
		seed := rapid.Uint64().Draw(t, "seed")
		table, twin := New(own, Config{}, newRand(seed)), New(own, Config{}, newRand(seed))
		now := at
		nodes := rapid.Map(rapid.IntRange(0, len(pool)-1), func(i int) *enode.Node { return pool[i] })
		// Each step is done to a twin as well, which must say the same.
		steps := func(do func(*Table) string) {
			if a, b := do(table), do(twin); a != b {
				t.Fatalf("the same table says %q and %q", a, b)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if err := invariants(table); err != nil {
					t.Fatal(err)
				}
			},
			"seen": func(t *rapid.T) {
				n := nodes.Draw(t, "node")
				was := lives(table)
				steps(func(table *Table) string { return fmt.Sprint(table.Seen(now, n)) })
				for _, id := range was {
					if w := where(table, id); w != "live" && (id != n.ID() || w != "unverified") {
						t.Fatalf("%v was live and is %q because of hearsay", id, w)
					}
				}
			},
			"verified": func(t *rapid.T) {
				n := nodes.Draw(t, "node")
				was := lives(table)
				steps(func(table *Table) string { table.Verified(now, n); return "" })
				for _, id := range was {
					if w := where(table, id); w != "live" && id != n.ID() {
						t.Fatalf("%v was live and is %q because another came", id, w)
					}
				}
			},
			"crowd": func(t *rapid.T) {
				from, verify := rapid.IntRange(0, len(pool)-60).Draw(t, "from"), rapid.Bool().Draw(t, "verified")
				steps(func(table *Table) string {
					for _, n := range pool[from : from+60] {
						if verify {
							table.Verified(now, n)
						} else {
							table.Seen(now, n)
						}
					}
					return ""
				})
			},
			"failed": func(t *rapid.T) {
				n := nodes.Draw(t, "node")
				steps(func(table *Table) string { table.Failed(now, n.ID()); return "" })
			},
			"remove": func(t *rapid.T) {
				n := nodes.Draw(t, "node")
				steps(func(table *Table) string { table.Remove(now, n.ID()); return "" })
				if where(table, n.ID()) != "" {
					t.Fatal("it is still there")
				}
			},
			"check": func(t *rapid.T) {
				ok, answered := rapid.Bool().Draw(t, "ok"), rapid.IntRange(0, 9).Draw(t, "answered") > 0
				newer := nodes.Draw(t, "record")
				steps(func(table *Table) string {
					n, wake := table.NextCheck(now)
					if n != nil && answered {
						table.Checked(now, n.ID(), ok, newer)
					}
					if n != nil {
						return n.String()
					}
					return wake.String()
				})
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 3600_000).Draw(t, "ms")) * time.Millisecond)
			},
			"wake": func(t *rapid.T) {
				if n, wake := table.NextCheck(now); n == nil && wake.After(now) {
					now = wake
				} else if n != nil {
					twin.NextCheck(now)
				}
			},
			"ask": func(t *rapid.T) {
				target := nodes.Draw(t, "target").ID()
				steps(func(table *Table) string {
					id, wake := table.NextRefresh(now)
					return fmt.Sprint(ids(table.Closest(target, 5, false)), ids(table.AtDistance(256, 3, true)), id, wake)
				})
			},
		})
	})
}

// lives returns the IDs of the live nodes.
func lives(table *Table) (list []enode.ID) {
	for _, e := range table.queue {
		if e.state == live {
			list = append(list, e.node.ID())
		}
	}
	return list
}
