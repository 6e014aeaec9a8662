//go:build interop && linux

package natlab

import (
	"syscall"
	"testing"
	"time"

	"parley/interop/nodes"
)

// dropTime is how long a peer that is silent may stay one: a ping after 15 s and its
// pong after 30 s. The rest is for the tests, to be told.
const dropTime = 45*time.Second + time.Second

// friends starts a parley on each host, at the same port, all told of the first one,
// and waits until they are peers.
func friends(t testing.TB, hosts ...*Host) []*Runner {
	t.Helper()
	all := []*Runner{hosts[0].Run(30303, nil)}
	for _, h := range hosts[1:] {
		all = append(all, h.Run(30303, []string{all[0].Record().String()}))
	}
	befriended(t, time.Minute, all...)
	return all
}

// Row L5 with real programs: a node that is stopped for two minutes is dropped by its
// peers within 45 s. When it goes on, it drops what is left of them within 45 s, gets
// them back, and neither its peers nor the network sees a burst of what it has missed.
func TestL5Suspended(t *testing.T) {
	t.Parallel()
	s := OpenStreet(t)
	hosts := []*Host{s.NewHost(true, true), s.NewHost(true, true), s.NewHost(true, true), s.NewHost(true, true)}
	all := friends(t, hosts...)
	host, asleep := hosts[3], all[3]
	own := asleep.Watch()
	var watches []*nodes.Watch
	for _, r := range all[:3] {
		watches = append(watches, r.Watch())
	}

	asleep.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { _ = syscall.Kill(asleep.PID(), syscall.SIGCONT) }) // it may have ended
	began := time.Now()
	for _, w := range watches {
		w.Wait(dropTime-time.Since(began), "drop", asleep.ID)
	}
	t.Logf("its peers have dropped it after %v", time.Since(began).Round(10*time.Millisecond))
	<-time.After(2*time.Minute - time.Since(began))

	datagrams, segments := host.Counter("Udp", "OutDatagrams"), host.Counter("Tcp", "OutSegs")
	asleep.Signal(syscall.SIGCONT)
	began = time.Now()
	for _, r := range all[:3] {
		own.Wait(dropTime-time.Since(began), "drop", r.ID)
	}
	t.Logf("it has dropped its peers after %v", time.Since(began).Round(10*time.Millisecond))
	<-time.After(10*time.Second - time.Since(began))
	datagrams, segments = host.Counter("Udp", "OutDatagrams")-datagrams, host.Counter("Tcp", "OutSegs")-segments
	t.Logf("in 10 s it has sent %d datagrams and %d segments of TCP", datagrams, segments)
	// Answers to what waited for it, and what it asks three peers by two protocols.
	if datagrams > 400 || segments > 100 {
		t.Errorf("in 10 s it has sent %d datagrams and %d segments of TCP, want at most 400 and 100", datagrams, segments)
	}
	befriended(t, time.Minute, all...)
}
