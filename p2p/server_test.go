package p2p

import (
	"testing"
	"time"
)

// Two servers that list each other as static become peers, see each other with
// the shared capability, and stay so without traffic.
func TestStaticPeersStayConnected(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.server(1, nil)
		b := w.server(2, func(c *Config) { c.StaticNodes = append(c.StaticNodes, a.node()) })
		w.eventually(time.Second, "a and b are peers", func() bool { return a.PeerCount() == 1 && b.PeerCount() == 1 })

		w.pass(10 * time.Minute)
		pa, pb := a.Peers(), b.Peers()
		if len(pa) != 1 || len(pb) != 1 {
			t.Fatalf("after ten minutes a has %d peers and b %d, want 1 and 1", len(pa), len(pb))
		}
		if pa[0].ID() != b.Self().ID() || !pa[0].Inbound() || pa[0].Static() {
			t.Errorf("a's peer is %v inbound %v static %v, want b, inbound, not static", pa[0].ID(), pa[0].Inbound(), pa[0].Static())
		}
		if pb[0].ID() != a.Self().ID() || pb[0].Inbound() || !pb[0].Static() {
			t.Errorf("b's peer is %v inbound %v static %v, want a, dialed, static", pb[0].ID(), pb[0].Inbound(), pb[0].Static())
		}
		if v, ok := pb[0].Running("idle"); !ok || v != 1 {
			t.Errorf("Running(idle) = %d, %v, want 1, true", v, ok)
		}
	})
}
