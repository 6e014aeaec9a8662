package discv4

import (
	"testing"
	"time"
)

// Two nodes that never heard of each other: a ping takes one round trip, a record
// and a lookup follow without pauses.
func TestTwoNodes(t *testing.T) {
	net := newNetwork(t, 1, 10*time.Millisecond)
	a := net.add(1, nil, quiet)
	b := net.add(2, nil, quiet)

	r := a.wait(a.e.Ping(a.time(), b.self))
	if r.Err != nil || r.RTT != 20*time.Millisecond || r.Seq != 5 {
		t.Errorf("Ping = %+v; want 20ms and seq 5", r)
	}
	began := net.now
	c := a.e.RequestENR(a.time(), b.self)
	r = a.wait(c)
	if r.Err != nil || r.Node.Record().String() != b.self.Record().String() {
		t.Errorf("RequestENR = %+v", r)
	}
	if d := a.ended[c].Sub(began); d != 20*time.Millisecond {
		t.Errorf("RequestENR took %v after the other side's PING, want 20ms", d)
	}
}
