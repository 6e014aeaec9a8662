//go:build interop && linux

package natlab

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/interop/nodes"
)

// processorTime returns how long the node's process has computed.
func (r *Runner) processorTime() time.Duration {
	r.t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(r.PID()) + "/stat")
	if err != nil {
		r.t.Fatal(err)
	}
	// What comes before has the program's name in parentheses; utime and stime are
	// fields 14 and 15, in hundredths of a second. See proc(5).
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			r.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// Row A10 with real programs: the system has no port left from which a connection
// could be made. A node that should dial many others dials seldom and computes little,
// says why it is not their peer, and lets others in. When there are ports again, so
// are the peers.
func TestA10PortsUsedUp(t *testing.T) {
	t.Parallel()
	const many = 6
	s := OpenStreet(t)
	here, there, elsewhere := s.NewHost(true, true), s.NewHost(true, true), s.NewHost(true, true)
	var others []*Runner
	for i := range many {
		others = append(others, there.Run(30303+i, nil, "--nodiscover"))
	}
	guest := elsewhere.Run(30303, nil, "--nodiscover")
	node := here.Run(30303, nil, "--nodiscover")

	// The one port that there is left is that at which the node listens.
	here.Set("net.ipv4.ip_local_port_range", "30303 30303")
	computed := node.processorTime()
	for _, other := range others {
		node.AddPeer(other.Record().String())
	}
	guest.AddPeer(node.Record().String())
	nodes.Wait(t, quick, "the guest is a peer", func() bool {
		_, ok := node.met(guest)
		return ok
	})
	<-time.After(time.Minute)
	computed = node.processorTime() - computed
	t.Logf("in a minute %v of processor time", computed)
	if computed > 3*time.Second {
		t.Errorf("the node has computed for %v in a minute, want at most 3 s", computed)
	}
	for i, other := range others {
		e := node.Explain(other.ID)
		if e.Connected || len(e.Verdicts) == 0 {
			t.Fatalf("node %d: %+v, want a failed dial", i+1, e)
		}
		if v := e.Verdicts[len(e.Verdicts)-1]; v.Gate != "dial" || !strings.Contains(v.Error, "cannot assign requested address") {
			t.Errorf("node %d: %+v, want that the dial had no address to come from", i+1, v)
		}
		t.Logf("node %d: %d dials", i+1, e.Failures)
		if e.Failures > 3 {
			t.Errorf("node %d was dialed %d times in a minute, want at most 3", i+1, e.Failures)
		}
	}
	if n := guest.Explain(node.ID); !n.Connected {
		t.Errorf("the guest has lost its peer: %+v", n)
	}

	here.Set("net.ipv4.ip_local_port_range", "32768 60999")
	took := nodes.Wait(t, 3*time.Minute, "all are peers", func() bool { return len(node.Peers()) == many+1 })
	t.Logf("all are peers %v after there are ports", took.Round(time.Second))
}
