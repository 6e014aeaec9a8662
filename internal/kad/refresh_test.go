package kad

import (
	"slices"
	"testing"
	"time"

	"parley/enode"

	"pgregory.net/rapid"
)

// refreshes lets the table ask for refreshes up to a time and returns when each
// began, in seconds, and the distance of its target.
func refreshes(t *testing.T, table *Table, end time.Duration, each func(now time.Time, n int)) (times, distances []int) {
	t.Helper()
	for now := at; !now.After(at.Add(end)); {
		target, wake := table.NextRefresh(now)
		if !wake.IsZero() {
			if !wake.After(now) {
				t.Fatalf("at %v the table asks to be woken at %v", now.Sub(at), wake.Sub(at))
			}
			now = wake
			continue
		}
		times = append(times, int(now.Sub(at)/time.Second))
		distances = append(distances, enode.LogDistance(self, target))
		if each != nil {
			each(now, len(times))
		}
	}
	return times, distances
}

// When refreshes follow each other. With enough nodes those of the own ID come
// after pauses that double, and the others every three minutes.
func TestNextRefreshPause(t *testing.T) {
	nodes := slices.Concat(nodesAt(256, 16), nodesAt(255, 16), nodesAt(254, 16))
	for _, c := range []struct {
		name string
		live int // nodes live at the start
		each func(table *Table, now time.Time, n int)
		end  time.Duration
		want []int // seconds
	}{
		{"nobody there", 0, nil, 3 * time.Minute, []int{0, 5, 15, 35, 65, 95, 125, 155}},
		{"few, and no more are found", 3, nil, 10 * time.Minute, []int{0, 5, 15, 35, 75, 155, 315, 495}},
		{"one too few", 47, nil, 10 * time.Minute, []int{0, 5, 15, 35, 75, 155, 315, 495}},
		{"enough", 48, nil, 10 * time.Minute, []int{0, 5, 15, 35, 75, 155, 180, 315, 360, 495, 540}},
		{"each finds another", 3, func(table *Table, now time.Time, n int) { table.Verified(now, nodes[3+n]) }, 30 * time.Second, []int{0, 5, 10, 15, 20, 25, 30}},
		{"the fourth finds enough", 3, func(table *Table, now time.Time, n int) {
			if n == 4 {
				for _, n := range nodes {
					table.Verified(now, n)
				}
			}
		}, 10 * time.Minute, []int{0, 5, 15, 35, 35, 55, 95, 175, 215, 335, 395, 575, 575}},
		{"the seventh loses all", 48, func(table *Table, now time.Time, n int) {
			if n == 7 {
				for _, n := range nodes {
					table.Remove(now, n.ID())
				}
			}
		}, 8 * time.Minute, []int{0, 5, 15, 35, 75, 155, 180, 185, 195, 215, 245, 275, 305, 335, 365, 395, 425, 455}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable(Config{})
			verified(table, nodes[:c.live]...)
			got, _ := refreshes(t, table, c.end, func(now time.Time, n int) {
				if c.each != nil {
					c.each(table, now, n)
				}
			})
			if !slices.Equal(got, c.want) {
				t.Errorf("refreshes at %v s, want %v", got, c.want)
			}
		})
	}
}

// The own ID is looked up first, then each bucket in its turn, the farthest
// first: those with nodes and, for the own ID, the one below.
func TestNextRefreshTargets(t *testing.T) {
	table := newTable(Config{})
	_, got := refreshes(t, table, 20*time.Second, nil)
	if want := []int{0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("an empty table looks for %v, want its own ID, %v", got, want)
	}
	table = newTable(Config{RefreshFast: 3 * time.Minute})
	verified(table, slices.Concat(nodesAt(256, 16), nodesAt(255, 16), nodesAt(253, 2))...)
	_, got = refreshes(t, table, 33*time.Minute, nil)
	if want := []int{0, 256, 255, 254, 253, 0, 256, 255, 254, 253, 0, 256}; !slices.Equal(got, want) {
		t.Errorf("looked for IDs at the distances %v, want %v", got, want)
	}
	// A bucket that was never refreshed is first in its turn. 252 was, in that of the
	// own ID.
	verified(table, nodesAt(250, 1)...)
	now := at.Add(time.Hour)
	for i, want := range []int{251, 250, 0, 255, 254} {
		target, wake := table.NextRefresh(now)
		if got := enode.LogDistance(self, target); !wake.IsZero() || got != want {
			t.Errorf("refresh %d is at distance %d, wake %v; want %d", i, got, wake, want)
		}
		now = now.Add(4 * time.Minute)
	}
}

// A random ID at a distance is at that distance, and every bit below is random.
func TestRandomAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := enode.ID(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "self"))
		table := New(own, Config{}, newRand(1))
		d := rapid.IntRange(1, 256).Draw(t, "distance")
		if got := enode.LogDistance(own, table.randomAt(d)); got != d {
			t.Fatalf("the distance is %d, want %d", got, d)
		}
	})
	table := newTable(Config{})
	for _, d := range []int{2, 8, 9, 137, 255, 256} {
		ones := make(map[int]int)
		const rounds = 400
		for range rounds {
			id := table.randomAt(d)
			for bit := range d - 1 {
				ones[bit] += int(id[31-bit/8] >> (bit % 8) & 1)
			}
		}
		for bit := range d - 1 {
			if n := ones[bit]; n < rounds/4 || n > rounds*3/4 {
				t.Errorf("at distance %d, bit %d was set %d times of %d", d, bit, n, rounds)
			}
		}
	}
}
