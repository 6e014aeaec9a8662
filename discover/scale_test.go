package discover

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/simnet"
)

var soak = flag.Bool("soak", false, "run the long forms of tests, as make soak does")

// Two hundred nodes with default settings that know only the first and start
// within a second, 80 ms from each other: after a minute every table has 32 live
// nodes, and lookups return exactly the 16 nearest nodes that there are. Without
// -soak there are fewer nodes and lookups.
func TestTwoHundredNodes(t *testing.T) {
	for _, kind := range kinds[:2] {
		for _, c := range []struct {
			loss float64
			want int // of 100 lookups
		}{{0.01, 99}, {0.10, 95}} {
			t.Run(fmt.Sprintf("%s/%.0f%% loss", kind.name, 100*c.loss), func(t *testing.T) {
				nodes, lookups := 40, 20
				if *soak {
					nodes, lookups = 200, 100
				} else if raceEnabled {
					nodes, lookups = 8, 10 // everything takes ten times as long
				}
				link := simnet.Link{Delay: 80 * time.Millisecond, Loss: c.loss}
				inWorld(t, link, func(w *world) {
					for range nodes {
						w.add(kind.set)
						w.wait(time.Second / time.Duration(nodes))
					}
					w.wait(time.Minute)
					least := nodes
					for _, h := range w.list {
						least = min(least, h.live())
					}
					// At 10 % a node may be unlucky with its only bootnode, which sends
					// three PINGs a minute to an endpoint that does not answer.
					if want := min(32, nodes-2); c.loss < 0.1 && least < want {
						t.Errorf("a table has %d live nodes after a minute, want %d", least, want)
					}
					exact, took := 0, make([]time.Duration, 0, lookups)
					for i := range lookups {
						target := testKey(t, 10_000+i).Public()
						h := w.list[i*nodes/lookups]
						start := time.Now()
						got, err := h.Lookup(w.context(time.Minute), target)
						if err != nil {
							t.Fatal(err)
						}
						took = append(took, time.Since(start))
						var ids []enode.ID
						for _, n := range got {
							ids = append(ids, n.ID())
						}
						if slices.Equal(ids, w.nearest(enode.PubkeyID(target), h)) {
							exact++
						}
					}
					slices.Sort(took)
					t.Logf("%d nodes, live in the smallest table %d, exact lookups %d of %d, median %v", nodes, least, exact, lookups, took[lookups/2])
					if exact*100 < c.want*lookups {
						t.Errorf("%d of %d lookups returned exactly the nearest nodes, want %d %%", exact, lookups, c.want)
					}
				})
			})
		}
	}
}
