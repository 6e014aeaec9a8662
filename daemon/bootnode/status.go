package bootnode

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"parley/discover"
)

// status returns what a status line says: how many nodes of each table are live, and
// the packets of each kind since the last line, most frequent first.
func status(table discover.Table, before, now discover.Stats) []any {
	live4, live5 := table.Live()
	attrs := []any{
		"v4", fmt.Sprintf("%d/%d", live4, size(table.V4)),
		"v5", fmt.Sprintf("%d/%d", live5, size(table.V5)),
	}
	if s := now.V5; s != nil {
		attrs = append(attrs, "sessions", s.Sessions)
	}
	was, is := packets(before), packets(now)
	for i, name := range [...]string{"in4", "out4", "dropped4", "in5", "out5", "dropped5"} {
		if text := growth(was[i], is[i]); text != "" {
			attrs = append(attrs, name, text)
		}
	}
	return attrs
}

// packets returns what is counted of packets by kind or reason: received, sent and
// dropped of v4, and the same of v5.
func packets(s discover.Stats) (c [6]map[string]uint64) {
	if s.V4 != nil {
		c[0], c[1], c[2] = s.V4.Received, s.V4.Sent, s.V4.Dropped
	}
	if s.V5 != nil {
		c[3] = withChallenges(s.V5.MessagesIn, s.V5.ChallengesIn)
		c[4] = withChallenges(s.V5.MessagesOut, s.V5.ChallengesOut)
		c[5] = s.V5.Dropped
	}
	return c
}

// withChallenges adds the packets of v5 that are no messages.
func withChallenges(messages map[string]uint64, n uint64) map[string]uint64 {
	all := map[string]uint64{"WHOAREYOU": n}
	maps.Copy(all, messages)
	return all
}

// growth tells what was added to counters, the most first, as "PING 12 PONG 3".
func growth(before, now map[string]uint64) string {
	added := make(map[string]uint64)
	for name, n := range now {
		if n -= before[name]; n > 0 {
			added[name] = n
		}
	}
	names := slices.SortedFunc(maps.Keys(added), func(a, b string) int {
		return cmp.Or(cmp.Compare(added[b], added[a]), strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprint(name, " ", added[name])
	}
	return strings.Join(names, ", ")
}

// size returns how many nodes are in the buckets of a table.
func size(buckets []discover.Bucket) (n int) {
	for _, b := range buckets {
		n += len(b.Entries)
	}
	return n
}
