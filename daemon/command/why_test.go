package command

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"parley/daemon/admin"
)

const nodeURL = "enode://ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f@10.0.0.7:30303"

const nodeID = "a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7"

// The story of a node names it, tells what each gate said, oldest first, and ends
// with what to do.
func TestTell(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 1, 19, 0, time.Local)
	next := now.Add(18 * time.Second)
	x := &admin.Explanation{
		ID: nodeID, Enode: nodeURL, Static: true, Failures: 6, NextDial: &next, Now: now, Source: "static", Gate: "protocol", Points: 12.5,
		Verdicts: []admin.Verdict{
			{Time: now.Add(-time.Hour), First: now.Add(-time.Hour), Gate: "dial", Remote: "10.0.0.7:30303", Error: "connection refused", Count: 1},
			{Time: now.Add(-30 * time.Minute), Gate: "hello", Inbound: true, Remote: "10.0.0.7:51000", Error: "useless peer", Count: 1},
			{Time: now.Add(-20 * time.Minute), Gate: "quota", Inbound: true, Remote: "10.0.0.7:51001", Error: "too many peers", Count: 1},
			{Time: now.Add(-12 * time.Second), First: now.Add(-192 * time.Second), Gate: "protocol", Remote: "10.0.0.7:30303",
				Detail: "Geth/v1.17.10", Error: "eth: genesis mismatch: ours 0x41c2…, theirs 0x9a1f…", Count: 6},
		},
		Advice: "Compare network ID, genesis and fork ID of the two sides.",
	}
	const want = `node a448f24c6d18e575   10.0.0.7:30303   static   not connected   last tried 12s ago   next try in 18s
 11:01:19 dial  10.0.0.7:30303
          ✗ connection refused
 11:31:19 they connected → rlpx ok → hello  10.0.0.7:51000
          ✗ useless peer
 11:41:19 they connected → quota  10.0.0.7:51001
          ✗ too many peers
 12:01:07 dial ok → rlpx ok → hello ok → protocol  10.0.0.7:30303  Geth/v1.17.10
          ✗ eth: genesis mismatch: ours 0x41c2…, theirs 0x9a1f…  (6 times in 3m)
 kept out at: protocol (what a protocol made of it)
 held against it: 12.5 of the 100 points that lead to a ban; half of them go every 30 minutes
 → Compare network ID, genesis and fork ID of the two sides.
`
	var b strings.Builder
	if err := tell(&b, x); err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, &b, want)
	}
}

// Where there is no story, that is told.
func TestTellNothing(t *testing.T) {
	end := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		x    admin.Explanation
		want string
	}{
		{admin.Explanation{ID: nodeID}, "node a448f24c6d18e575   not connected\n nothing has happened with it yet\n"},
		{admin.Explanation{ID: nodeID, Connected: true, Trusted: true}, "node a448f24c6d18e575   trusted   connected\n it is a peer, and nothing was ever held against it\n"},
		{admin.Explanation{ID: nodeID, Source: "discv4"}, "node a448f24c6d18e575   from discv4   not connected\n nothing has happened with it yet\n"},
		{admin.Explanation{ID: nodeID, Gate: "ban", Ban: &admin.Ban{Node: nodeID, Earned: true, Until: &end, Why: "spam"}},
			"node a448f24c6d18e575   banned   not connected\n banned until 2026-11-01T12:00:00Z by what it did: spam\n nothing has happened with it yet\n kept out at: ban (the bans here)\n"},
		{admin.Explanation{ID: nodeID, Ban: &admin.Ban{Net: "10.0.0.0/8"}},
			"node a448f24c6d18e575   banned   not connected\n banned until it is lifted by the operator (10.0.0.0/8)\n nothing has happened with it yet\n"},
		{admin.Explanation{ID: nodeID, Dialing: true}, "node a448f24c6d18e575   not connected   being dialed now\n nothing has happened with it yet\n"},
	} {
		var b strings.Builder
		if err := tell(&b, &tt.x); err != nil || b.String() != tt.want {
			t.Errorf("%v %q, want %q", err, &b, tt.want)
		}
	}
}

// Nothing that others chose gets to the terminal as it is.
func TestTellHostile(t *testing.T) {
	const bad = "a\x1b[2J\nfake line\u202e\xff"
	x := &admin.Explanation{ID: bad, Enode: bad, Advice: bad, Source: bad, Gate: bad, Ban: &admin.Ban{Net: bad, Why: bad},
		Verdicts: []admin.Verdict{{Gate: bad, Remote: bad, Detail: bad, Error: bad, Count: 1}}}
	var b strings.Builder
	if err := tell(&b, x); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); strings.ContainsAny(text, "\x1b\u202e") || !utf8.ValidString(text) || strings.Count(text, "\n") != 6 {
		t.Errorf("%q", text)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", time.Hour: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v) = %s, want %s", d, got, want)
		}
	}
}
