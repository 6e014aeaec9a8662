package peerset

import (
	"testing"
	"time"
	"unsafe"

	"parley/internal/netaddr"
)

// stepWall returns t as time.Now would return it at the same moment had the wall
// clock been set forward by d: its monotonic reading is the same. There is no
// other way to get such a time than to set the clock of the machine.
func stepWall(t time.Time, d time.Duration) time.Time {
	// The layout of a time.Time with a monotonic reading: one bit, 33 bits of
	// seconds since 1885, 30 bits of nanoseconds.
	w := (*uint64)(unsafe.Pointer(&t))
	if *w>>63 == 0 {
		panic("time has no monotonic reading")
	}
	*w += uint64(d/time.Second) << 30
	return t
}

// L3: what the set does is the same, to the nanosecond, whether the wall clock was
// stepped in the middle of a handshake, of a dial, of a connection or of a pause, or
// not.
func TestL3ClockStep(t *testing.T) {
	start := time.Now()
	for _, step := range []time.Duration{time.Hour, -time.Hour, 365 * 24 * time.Hour, -365 * 24 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			at := func(d time.Duration, stepped bool) time.Time {
				if stepped {
					return stepWall(start.Add(d), step)
				}
				return start.Add(d)
			}
			s := New(id(100), roomy, netaddr.List{}, rng(1))
			n := node(t, 1, "80.1.1.1:30303")

			// An address waits 30 s between two connections.
			from := addrPort("80.9.9.9:1")
			entry, _, err := s.Accept(at(0, false), from, Opinion{})
			if err != nil {
				t.Fatal(err)
			}
			s.Leave(entry.Ticket)
			if _, _, err := s.Accept(at(29*time.Second, true), from, Opinion{}); err == nil {
				t.Error("an address may come again after 29 s")
			}
			if _, _, err := s.Accept(at(31*time.Second, true), from, Opinion{}); err != nil {
				t.Errorf("an address may not come again after 31 s: %v", err)
			}

			// A dial that failed, before and after the step.
			if err := s.AddStatic(at(40*time.Second, false), n); err != nil {
				t.Fatal(err)
			}
			dial(t, s, at(40*time.Second, false))
			s.DialDone(at(41*time.Second, true), n.ID(), CauseUnreachable)
			again := at(41*time.Second+redialAfter, true)
			if other, wake := s.NextDial(again.Add(-time.Millisecond)); other != nil || wake.Sub(again) != 0 {
				t.Errorf("dialed %v, wake %v off; want a wait until %v after the failure", other, wake.Sub(again), redialAfter)
			}

			// The clock is right again in the middle of the next dial.
			dial(t, s, again)
			up := at(80*time.Second, false)
			add(t, s, up, n.ID(), "80.1.1.1:30303", false)
			if simultaneous := s.Admit(up.Add(6*time.Second), Conn{ID: n.ID(), Addr: addrPort("80.1.1.1:9"), Inbound: true}); simultaneous == nil {
				t.Error("a connection of 6 s gives way as if it were made at the same time")
			}
			// It lasted for a minute, whatever the clock says: its slate is clean.
			gone := at(140*time.Second, true)
			s.Remove(gone, n.ID(), CauseUnreachable)
			if other, wake := s.NextDial(gone); other != nil || wake.Sub(gone) != 2*time.Second {
				t.Errorf("dialed %v, wake after %v; want 2s", other, wake.Sub(gone))
			}
			if got := dial(t, s, at(143*time.Second, false)); got != n.ID() {
				t.Errorf("dial = %v, want the static node", got)
			}
		})
	}
}
