package kad

import (
	"fmt"
	"testing"
	"time"

	"parley/enode"
)

// A driver answers the checks that a table asks for, up to a time.
type driver struct {
	table  *Table
	now    time.Time
	dead   map[enode.ID]bool // who does not answer
	checks map[enode.ID]int  // how often each was checked
	first  map[enode.ID]time.Duration
}

func drive(table *Table) *driver {
	return &driver{table: table, now: at, dead: make(map[enode.ID]bool), checks: make(map[enode.ID]int), first: make(map[enode.ID]time.Duration)}
}

// until lets the time pass, and fails if the table asks for a check without the
// time moving on or breaks its invariants.
func (d *driver) until(t *testing.T, end time.Duration) {
	t.Helper()
	for steps := 0; ; steps++ {
		n, wake := d.table.NextCheck(d.now)
		if n == nil {
			if wake.IsZero() || wake.After(at.Add(end)) {
				d.now = at.Add(end)
				return
			}
			if !wake.After(d.now) {
				t.Fatalf("at %v the table asks to be woken at %v", d.now.Sub(at), wake.Sub(at))
			}
			d.now = wake
			continue
		}
		if !wake.IsZero() {
			t.Fatalf("NextCheck returned a node and a time")
		}
		if d.checks[n.ID()]++; d.checks[n.ID()] == 1 {
			d.first[n.ID()] = d.now.Sub(at)
		}
		d.table.Checked(d.now, n.ID(), !d.dead[n.ID()], nil)
		check(t, d.table)
	}
}

// Each node that gets a place is checked within 10 seconds, but not in the first
// one, even if the table fills at once, and no two checks come within 20 ms.
func TestNextCheckFirst(t *testing.T) {
	table := newTable(Config{})
	for i := range 40_000 {
		table.Seen(at, node(i, apart(i)))
	}
	all, _ := table.Len()
	if all < 180 {
		t.Fatalf("the table has %d nodes, want 180 or more", all)
	}
	last := at.Add(-time.Second)
	checked := make(map[enode.ID]bool)
	for now := at; ; {
		n, wake := table.NextCheck(now)
		if n == nil {
			if wake.Sub(at) > 10*time.Second {
				break
			}
			now = wake
			continue
		}
		if now.Sub(last) < 20*time.Millisecond {
			t.Errorf("checks at %v and %v are too near", last.Sub(at), now.Sub(at))
		}
		if now.Sub(at) < time.Second {
			t.Errorf("a node is checked %v after it was heard of", now.Sub(at))
		}
		last = now
		checked[n.ID()] = true
		table.Checked(now, n.ID(), true, nil)
	}
	if len(checked) != all {
		t.Errorf("%d of %d nodes were checked within 10s", len(checked), all)
	}
	wantLen(t, table, all, all)
}

// The longer a node is live, the less often it is checked.
func TestNextCheckAdapts(t *testing.T) {
	table := newTable(Config{})
	n := nodesAt(256, 1)[0]
	seen(t, table, n)
	d := drive(table)
	for _, c := range []struct {
		end         time.Duration
		least, most int // checks since the start
	}{
		{time.Minute, 3, 6},
		{15 * time.Minute, 6, 14},
		{24 * time.Hour, 6 + 95*3/4, 14 + 95*4/3},
	} {
		d.until(t, c.end)
		if got := d.checks[n.ID()]; got < c.least || got > c.most {
			t.Errorf("%d checks in %v, want %d to %d", got, c.end, c.least, c.most)
		}
	}
	// When it fails it is checked soon again, and when it answers its age counts.
	d.dead[n.ID()] = true
	before, start := d.checks[n.ID()], d.now
	for d.checks[n.ID()] < before+3 {
		d.until(t, d.now.Sub(at)+time.Second)
	}
	if took := d.now.Sub(start); took > 20*time.Minute {
		t.Errorf("three checks of a node that fails took %v", took)
	}
	d.dead[n.ID()] = false
	d.until(t, d.now.Sub(at)+5*time.Second)
	wantLen(t, table, 1, 1)
	before = d.checks[n.ID()]
	d.until(t, d.now.Sub(at)+10*time.Minute)
	if got := d.checks[n.ID()] - before; got > 1 {
		t.Errorf("%d checks in 10m of a node that was live for a day, want at most 1", got)
	}
}

// A node that answers of itself is not checked. If what it answers are no PINGs it
// is checked once, in its first two seconds.
func TestVerifiedPutsOffTheCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(*Table, time.Time, *enode.Node)
		want   int
	}{
		{"PING", (*Table).Verified, 0},
		{"other requests", (*Table).Answered, 1},
	} {
		table := newTable(Config{})
		n := nodesAt(256, 1)[0]
		c.answer(table, at, n)
		var checked []int
		for s := range 3600 {
			now := at.Add(time.Duration(s) * time.Second)
			c.answer(table, now, n)
			if got, _ := table.NextCheck(now); got != nil {
				table.Checked(now, n.ID(), true, nil)
				checked = append(checked, s)
			}
		}
		if len(checked) != c.want || c.want > 0 && checked[0] > 2 {
			t.Errorf("a node that answers %s in each second is checked in %v, want %d checks, in the first two seconds", c.name, checked, c.want)
		}
	}
}

// How many checks in a row a node may miss, and what becomes of it then.
func TestPatience(t *testing.T) {
	for _, c := range []struct {
		name    string
		live    bool
		passed  int // checks passed before
		waiting bool
		want    []string // after each check that is missed
	}{
		{"never proved itself", false, 0, false, []string{"unverified", ""}},
		{"never proved itself, another waits", false, 0, true, []string{"unverified", ""}},
		{"just proved itself", true, 0, false, []string{"live", "live", "live", "stale", "stale"}},
		{"just proved itself, another waits", true, 0, true, []string{"live", "live", "live", ""}},
		{"long known", true, 8, false, []string{"live", "live", "live", "live", "live", "stale", "stale"}},
		{"long known, another waits", true, 8, true, []string{"live", "live", "live", "live", "live", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable(Config{})
			nodes := nodesAt(256, 3)
			n, other := nodes[0], nodes[1]
			if c.live {
				table.Verified(at, n)
			} else {
				seen(t, table, n)
			}
			if c.waiting {
				fillAround(t, table, n)
				table.Seen(at, other)
				wantWhere(t, table, "waiting", other)
			}
			now := at
			next := func(ok bool) {
				for {
					got, wake := table.NextCheck(now)
					switch {
					case got == nil:
						now = wake
						continue
					case got.ID() != n.ID():
						table.Checked(now, got.ID(), true, nil)
						continue
					}
					table.Checked(now, n.ID(), ok, nil)
					return
				}
			}
			for range c.passed {
				next(true)
			}
			for i, want := range c.want {
				next(false)
				if got := where(table, n.ID()); got != want {
					t.Fatalf("after %d missed checks it is %q, want %q", i+1, got, want)
				}
				check(t, table)
			}
			if c.waiting {
				wantWhere(t, table, "unverified", other)
			}
		})
	}
}

// fillAround fills the bucket of n with live nodes.
func fillAround(t *testing.T, table *Table, n *enode.Node) {
	t.Helper()
	for _, k := range keysAt(enode.LogDistance(self, n.ID()), 60)[40:55] {
		table.Verified(at, node(k, apart(k)))
	}
	if all, live := table.Len(); all != BucketSize || live < 15 {
		t.Fatalf("the bucket has %d nodes, %d live", all, live)
	}
}

// When the network fails for less than an hour the table keeps its nodes, tells
// nobody of them, begins lookups with them, and has all of them back within a
// minute. After an hour they are forgotten.
func TestStale(t *testing.T) {
	for _, c := range []struct {
		outage time.Duration
		back   int
	}{{10 * time.Minute, 48}, {55 * time.Minute, 48}, {75 * time.Minute, 0}} {
		t.Run(c.outage.String(), func(t *testing.T) {
			table := newTable(Config{})
			nodes := append(append(nodesAt(256, 16), nodesAt(255, 16)...), nodesAt(254, 16)...)
			verified(table, nodes...)
			d := drive(table)
			d.until(t, time.Hour)
			wantLen(t, table, 48, 48)
			for _, n := range nodes {
				d.dead[n.ID()] = true
			}
			before := total(d.checks)
			// Lookups go on, and their failures bring the checks forward.
			for _, n := range nodes {
				table.Failed(d.now, n.ID())
			}
			d.until(t, time.Hour+c.outage)
			if all, live := table.Len(); all != c.back || live != 0 {
				t.Fatalf("%d nodes, %d live after the outage, want %d, none live", all, live, c.back)
			}
			if got := len(table.Closest(self, 100, true)); got != 0 {
				t.Errorf("%d stale nodes are told", got)
			}
			if got := len(table.Closest(self, 100, false)); got != c.back {
				t.Errorf("%d nodes to begin a lookup with, want %d", got, c.back)
			}
			if got, most := total(d.checks)-before, 48*(6+int(c.outage.Seconds())/20); got > most {
				t.Errorf("%d checks during the outage, want %d at most", got, most)
			}
			clear(d.dead)
			d.until(t, time.Hour+c.outage+time.Minute)
			wantLen(t, table, c.back, c.back)
		})
	}
}

func total(counts map[enode.ID]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// A stale node gives way to anybody.
func TestStaleGivesWay(t *testing.T) {
	table := newTable(Config{})
	nodes := nodesAt(256, 17)
	verified(table, nodes[:16]...)
	d := drive(table)
	d.dead[nodes[5].ID()] = true
	d.until(t, 10*time.Minute)
	wantWhere(t, table, "stale", nodes[5])
	if !table.Seen(d.now, nodes[16]) {
		t.Error("a new node did not get the place of one that is gone")
	}
	wantWhere(t, table, "", nodes[5])
	wantLen(t, table, 16, 15)
	check(t, table)
}

// Failed brings the check of a live node forward, and counts against one that
// never proved itself.
func TestFailed(t *testing.T) {
	table := newTable(Config{})
	n := nodesAt(256, 1)[0]
	table.Verified(at, n)
	table.Failed(at, n.ID())
	for range 10 {
		table.Failed(at, n.ID())
	}
	wantLen(t, table, 1, 1)
	if _, wake := table.NextCheck(at); wake.Sub(at) > promoted {
		t.Errorf("the check is %v after the failure, want at most %v", wake.Sub(at), promoted)
	}
	table.Failed(at, nodesAt(255, 1)[0].ID()) // who is that?

	table = newTable(Config{})
	seen(t, table, n)
	table.Failed(at, n.ID())
	wantWhere(t, table, "unverified", n)
	table.Failed(at, n.ID())
	wantWhere(t, table, "", n)
	check(t, table)
}

// An outcome counts once, only if it was asked for, and only for the endpoint
// that was asked. One that never comes does not stop the checks.
func TestChecked(t *testing.T) {
	table := newTable(Config{})
	old, moved := signed(t, 1, 1, at4("80.1.1.1:1")...), signed(t, 1, 2, at4("80.2.2.2:1")...)
	id := old.ID()
	table.Checked(at, id, true, nil)
	seen(t, table, old)
	table.Checked(at, id, true, nil)
	wantLen(t, table, 1, 0) // nobody asked

	now := at.Add(2 * time.Second)
	if n, _ := table.NextCheck(now); n != old {
		t.Fatalf("NextCheck = %v, want the node", n)
	}
	if n, wake := table.NextCheck(now); n != nil || wake.Sub(now) != lost {
		t.Fatalf("NextCheck during a check = %v, in %v; want none in %v", n, wake.Sub(now), lost)
	}
	if n, _ := table.NextCheck(now.Add(lost)); n != old {
		t.Fatal("a check without outcome is not repeated")
	}
	table.Seen(now.Add(lost), moved)
	table.Checked(now.Add(lost), id, true, nil)
	wantWhere(t, table, "unverified", moved) // the old endpoint answered
	now = now.Add(lost + time.Second)
	if n, _ := table.NextCheck(now); n != moved {
		t.Fatalf("NextCheck = %v, want the node where it is now", n)
	}
	table.Checked(now, id, true, signed(t, 2, 9, at4("80.2.2.2:1")...)) // somebody else's record
	if n, _ := table.Get(id); n != moved {
		t.Error("the record of another node was taken")
	}
	wantWhere(t, table, "live", moved)
	table.Checked(now, id, false, nil)
	table.Checked(now, id, false, nil)
	table.Checked(now, id, false, nil)
	wantWhere(t, table, "live", moved) // told once too often
	check(t, table)
}

// L1: at a loss of 10 % each way no node that is there loses its place in a day, though
// others wait for it; at 30 % some do, and nearly all places stay live.
func TestL1Loss(t *testing.T) {
	for _, c := range []struct {
		loss float64
		most int
	}{{0.01, 0}, {0.10, 0}, {0.30, 128}} {
		t.Run(fmt.Sprint(c.loss), func(t *testing.T) {
			table := newTable(Config{})
			nodes := append(nodesAt(256, 26), nodesAt(255, 26)...)
			for _, n := range nodes {
				table.Verified(at, n)
			}
			gone, checks := 0, 0
			for now := at; now.Sub(at) < 24*time.Hour; {
				n, wake := table.NextCheck(now)
				if n == nil {
					now = wake
					continue
				}
				checks++
				ok := table.rng.Float64() > c.loss      // the question arrives
				ok = ok && table.rng.Float64() > c.loss // and so does the answer
				before := where(table, n.ID())
				table.Checked(now, n.ID(), ok, nil)
				if before == "live" && where(table, n.ID()) != "live" {
					gone++
				}
				check(t, table)
			}
			t.Logf("%d places lost in %d checks", gone, checks)
			if gone > c.most {
				t.Errorf("%d places lost in %d checks, want at most %d", gone, checks, c.most)
			}
			if all, live := table.Len(); all < 30 || live < 28 {
				t.Errorf("%d nodes at the end, %d live, want 30 and 28 at least", all, live)
			}
		})
	}
}
