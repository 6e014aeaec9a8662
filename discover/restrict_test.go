package discover

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"parley/internal/simnet"
)

// When the permitted networks change, nodes outside leave the tables, are not
// answered and not asked; those inside stay.
func TestSetNetRestrict(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: 10 * time.Millisecond}, func(w *world) {
				a := w.add(kind.set)
				inside, outside := w.add(kind.set), w.add(kind.set)
				knows := func(other *host) bool {
					table := a.Table()
					for _, b := range append(table.V4, table.V5...) {
						for _, e := range b.Entries {
							if e.Node.ID() == other.node.ID() {
								return true
							}
						}
					}
					return false
				}
				w.wait(30 * time.Second)
				if !knows(inside) || !knows(outside) {
					t.Fatal("the table lacks a node")
				}
				if err := a.SetNetRestrict(netip.Prefix{}); err == nil {
					t.Error("an invalid network is taken")
				}
				if err := a.SetNetRestrict(netip.PrefixFrom(inside.machine.Addr(), 32)); err != nil {
					t.Fatal(err)
				}
				if !knows(inside) || knows(outside) {
					t.Errorf("the table has the one inside: %v, the one outside: %v", knows(inside), knows(outside))
				}
				w.wait(time.Minute)
				if knows(outside) {
					t.Error("the one outside is back")
				}
				for who, from := range map[string]*host{"answers somebody outside": outside, "": inside} {
					if _, err := from.Ping(w.context(5*time.Second), a.node); (err == nil) == (who != "") {
						t.Errorf("Ping from %v = %v", from.node.Addr(), err)
					}
				}
				if _, err := a.Ping(w.context(5*time.Second), outside.node); err == nil {
					t.Error("somebody outside is asked")
				}
				a.Close()
				if err := a.SetNetRestrict(); !errors.Is(err, ErrClosed) {
					t.Errorf("SetNetRestrict after Close = %v", err)
				}
			})
		})
	}
}
