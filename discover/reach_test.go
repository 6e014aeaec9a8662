package discover

import (
	"net/netip"
	"testing"
	"time"

	"parley/internal/simnet"
)

// strangersOf returns the strangers that the service has told of since it was asked
// last.
func strangersOf(h *host) []netip.Addr { return h.Take().Strangers }

// A host that comes unasked is a stranger, in both protocols and both families. One
// that answers is not, nor is one that asks while the hole for its answers may be
// open, which is for 10 minutes.
func TestStrangers(t *testing.T) {
	for _, kind := range kinds[:2] {
		for _, addrs := range [][2]string{{"60.0.0.7", "61.0.0.7"}, {"2a00::7", "2a01::7"}} {
			t.Run(kind.name+" "+addrs[0], func(t *testing.T) {
				inWorld(t, simnet.Link{Delay: 10 * time.Millisecond}, func(w *world) {
					a, b := netip.MustParseAddr(addrs[0]), netip.MustParseAddr(addrs[1])
					first := w.addAt(kind.set, a)
					w.wait(time.Second)
					second := w.addAt(func(c *Config) { kind.set(c); c.Bootnodes = nil }, b)
					if _, err := second.Ping(w.context(time.Second), first.node); err != nil {
						t.Fatal(err)
					}
					w.wait(time.Second)
					if got := strangersOf(first); len(got) != 1 || got[0] != b {
						t.Errorf("who was asked tells of %v, want %v", got, b)
					}
					if got := strangersOf(second); len(got) != 0 {
						t.Errorf("who asked tells of %v, who has only answered", got)
					}
					w.wait(2 * time.Minute)
					if _, err := first.Ping(w.context(time.Second), second.node); err != nil {
						t.Fatal(err)
					}
					if got := strangersOf(second); len(got) != 0 {
						t.Errorf("who asked tells of %v, for whom the hole is open", got)
					}
				})
			})
		}
	}
}

// A stranger from a private address, or one whose packets are not for this node, says
// nothing; of many no more than one a minute is told.
func TestStrangersThatSayNothing(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		h := w.add(both)
		rubbish, five := w.stranger(200), w.add(func(c *Config) { c.V5, c.Bootnodes = true, nil })
		rubbish.send(h, make([]byte, 200))
		rubbish.send(five, make([]byte, 200))
		_, conn, _ := w.machineAt(201, netip.MustParseAddr("10.0.0.1"))
		defer conn.Close()
		near := v4Stranger{&stranger{w: w, key: testKey(t, 201), conn: conn, at: netip.MustParseAddrPort("10.0.0.1:30303")}}
		near.ping(h)
		w.wait(time.Second)
		if got := strangersOf(five); len(got) != 0 {
			t.Errorf("v5 tells of %v", got)
		}
		five.Close()
		if got := strangersOf(h); len(got) != 0 {
			t.Errorf("told of %v", got)
		}
		for i := range 50 {
			w.v4Stranger(300 + i).ping(h)
		}
		w.wait(59 * time.Second)
		if got := strangersOf(h); len(got) != 1 {
			t.Errorf("told of %d strangers within a minute, want one: %v", len(got), got)
		}
		w.wait(time.Second)
		w.v4Stranger(400).ping(h)
		w.wait(time.Second)
		if got := strangersOf(h); len(got) != 1 {
			t.Errorf("told of %d strangers a minute later, want one: %v", len(got), got)
		}
	})
}
