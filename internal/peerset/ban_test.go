package peerset

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// Somebody banned is refused at every gate, with what is banned, until when and why,
// and comes back when the ban is over.
func TestBanAtEveryGate(t *testing.T) {
	n := madeNode(1, "80.1.2.3:30303")
	for _, b := range []Ban{
		{ID: n.ID()},
		{Net: netip.MustParsePrefix("80.1.2.3/32")},
		{Net: netip.MustParsePrefix("80.1.99.0/16")},
		{Net: netip.MustParsePrefix("::ffff:80.1.2.0/120")},
	} {
		s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
		add(t, s, at, n.ID(), "80.1.2.3:1", true)
		add(t, s, at, id(9), "81.1.2.3:1", true)
		b.Until, b.Why = at.Add(time.Hour), "it cheats"
		met, err := s.Ban(at, b)
		if err != nil || !slices.Equal(met, []ID{n.ID()}) {
			t.Errorf("Ban(%v) = %v, %v; want the peer", b, met, err)
		}
		s.Remove(at, n.ID(), CauseEnded)

		c := Conn{ID: n.ID(), Addr: addrPort("80.1.2.3:5"), Inbound: true}
		gates := map[string]func(now time.Time) error{
			"Admit": func(now time.Time) error { return s.Admit(now, c) },
			"Offer": func(now time.Time) error { return s.Offer(now, Candidate{Node: n, Source: SourceV4}) },
		}
		if b.Net.IsValid() {
			gates["Accept"] = func(now time.Time) error {
				e, _, err := s.Accept(now, c.Addr, Opinion{})
				s.Leave(e.Ticket)
				return err
			}
		}
		for name, gate := range gates {
			err := gate(at.Add(time.Hour - time.Second))
			banned, ok := errors.AsType[*BanError](err)
			if !ok || !errors.Is(err, ErrBanned) || GateOf(err) != GateBan || banned.Why != "it cheats" ||
				!strings.HasSuffix(err.Error(), "is banned until 1970-01-12T14:46:40Z: it cheats") {
				t.Errorf("%s of somebody banned by %v = %v", name, b.Target(), err)
			}
		}
		if st := s.Explain(at, n.ID()); b.ID == n.ID() && (st.Ban == nil || st.Ban.Why != "it cheats") {
			t.Errorf("Explain tells of the ban %v", st.Ban)
		}
		if got := len(s.Bans(at)); got != 1 {
			t.Errorf("%d bans, want 1", got)
		}
		for name, gate := range gates {
			if err := gate(at.Add(time.Hour)); err != nil {
				t.Errorf("%s after the ban = %v", name, err)
			}
		}
		if got := len(s.Bans(at.Add(time.Hour))); got != 0 {
			t.Errorf("%d bans after the end, want none", got)
		}
	}
}

// A candidate and a static node that are banned while they wait are not dialed; the
// static one is again when the ban is over.
func TestBanWhileWaiting(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	static, other := madeNode(1, "80.1.2.3:30303"), madeNode(2, "80.1.2.4:30303")
	s.AddStatic(at, static)
	if err := s.Offer(at, Candidate{Node: other, Source: SourceV4}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ban(at, Ban{Net: netip.MustParsePrefix("80.1.2.0/24"), Until: at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.NextDial(at); n != nil {
		t.Fatalf("NextDial = %v, which is banned", n)
	}
	for _, n := range []ID{static.ID(), other.ID()} {
		if vs := s.Explain(at, n).Verdicts; len(vs) != 1 || vs[0].Gate != GateBan {
			t.Errorf("verdicts = %v, want the ban", vs)
		}
	}
	s = newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	s.AddStatic(at, static)
	s.Ban(at, Ban{ID: static.ID(), Until: at.Add(time.Hour)})
	wantWake(t, s, at, time.Hour)
	dial(t, s, at.Add(time.Hour))
}

// A trusted node is not met by bans: not by ID, which is an error, not by network,
// not by score; trusting a node lifts its ban.
func TestTrustedIsNotBanned(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	n := madeNode(1, "80.1.2.3:30303")
	if _, err := s.Ban(at, Ban{ID: n.ID()}); err != nil {
		t.Fatal(err)
	}
	if err := s.Trust(n); err != nil {
		t.Fatal(err)
	}
	c := Conn{ID: n.ID(), Addr: addrPort("80.1.2.3:1"), Inbound: true}
	if err := s.Admit(at, c); err != nil {
		t.Errorf("Admit of a node that was banned and is trusted = %v", err)
	}
	if _, err := s.Ban(at, Ban{ID: n.ID()}); !errors.Is(err, ErrTrusted) {
		t.Errorf("Ban of a trusted node = %v, want ErrTrusted", err)
	}
	if met, err := s.Ban(at, Ban{Net: netip.MustParsePrefix("80.0.0.0/8")}); err != nil || len(met) != 0 {
		t.Errorf("Ban of its network = %v, %v", met, err)
	}
	if _, gate, err := s.Accept(at, c.Addr, Opinion{}); err != nil {
		t.Errorf("Accept from the address of a trusted node = %s, %v", gate, err)
	}
	if err := s.Admit(at, c); err != nil {
		t.Errorf("Admit of a trusted node in a banned network = %v", err)
	}
	if err := s.Admit(at, Conn{ID: id(7), Addr: c.Addr, Inbound: true}); !errors.Is(err, ErrBanned) {
		t.Errorf("Admit of somebody else at its address = %v, want ErrBanned", err)
	}
	if ban, ok := s.Penalize(at, n.ID(), 1000, "test"); ok {
		t.Errorf("Penalize of a trusted node bans it: %v", ban)
	}
}

// Bans that make no sense are refused, and there are no more than MaxBans.
func TestBanBounds(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	for _, b := range []Ban{
		{},
		{ID: id(1), Net: netip.MustParsePrefix("80.0.0.0/8")},
		{ID: id(1), Until: at},
		{Net: netip.PrefixFrom(netip.MustParseAddr("::ffff:80.0.0.0"), 90)},
	} {
		if _, err := s.Ban(at, b); !errors.Is(err, ErrBadBan) {
			t.Errorf("Ban(%v) = %v, want ErrBadBan", b, err)
		}
	}
	made := func(i int) ID { return ID{0: 1, 30: byte(i >> 8), 31: byte(i)} }
	for i := range maxEarned + 10 {
		s.Penalize(at.Add(time.Duration(i)*time.Millisecond), made(i), BanScore, "test")
	}
	if s.bans.earned != maxEarned {
		t.Errorf("%d bans by score, want %d", s.bans.earned, maxEarned)
	}
	if err := s.Admit(at, Conn{ID: made(0), Inbound: true}); err != nil {
		t.Errorf("the ban that ends first is still in force: %v", err)
	}
	n := 0
	for i := range 2 * MaxBans {
		if _, err := s.Ban(at, Ban{ID: ID{0: 2, 30: byte(i >> 8), 31: byte(i)}, Until: at.Add(time.Hour)}); err == nil {
			n++
		} else if !errors.Is(err, ErrTooManyBans) {
			t.Fatal(err)
		}
	}
	if n != MaxBans-maxEarned {
		t.Errorf("%d bans of the operator, want %d", n, MaxBans-maxEarned)
	}
	checkSet(t, s)
	if _, err := s.Ban(at.Add(2*time.Hour), Ban{ID: id(1)}); err != nil {
		t.Errorf("Ban when the others are over = %v", err)
	}
}

// The list is sorted, and what it gives can be taken in again.
func TestBansSurvive(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	for _, b := range []Ban{
		{Net: netip.MustParsePrefix("2a00::/32")},
		{ID: id(9), Until: at.Add(time.Hour), Why: "b"},
		{Net: netip.MustParsePrefix("80.0.0.0/8"), Why: "a"},
		{Net: netip.MustParsePrefix("80.0.0.0/16")},
		{ID: id(1)},
	} {
		if _, err := s.Ban(at, b); err != nil {
			t.Fatal(err)
		}
	}
	s.Penalize(at, id(50), 30, "test")
	s.Penalize(at, id(60), 100, "test")
	bans, scores := s.Bans(at), s.Scores(at)
	text := ""
	for _, b := range bans {
		text += fmt.Sprintf("%.4s ", b.Target()[max(0, len(b.Target())-4):])
	}
	if want := "0001 0009 003c .0/8 0/16 :/32 "; text != want {
		t.Errorf("bans of …%s, want …%s", text, want)
	}

	again := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	again.Restore(at, bans, scores)
	if !reflect.DeepEqual(again.Bans(at), bans) || !reflect.DeepEqual(again.Scores(at), scores) {
		t.Errorf("restored: %v, %v; want %v, %v", again.Bans(at), again.Scores(at), bans, scores)
	}
	checkSet(t, again)
	later := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	later.Restore(at.Add(90*time.Minute), bans, scores)
	if n := len(later.Bans(at.Add(90 * time.Minute))); n != len(bans)-2 {
		t.Errorf("%d bans after an hour and a half, want %d", n, len(bans)-2)
	}
	if !again.Unban(id(9), netip.Prefix{}) || again.Unban(id(9), netip.Prefix{}) ||
		!again.Unban(ID{}, netip.MustParsePrefix("80.0.1.2/16")) || again.Unban(ID{}, netip.MustParsePrefix("80.0.0.0/24")) {
		t.Error("Unban does not tell what it lifted")
	}
}

// Points halve in half an hour; at 100 the node is banned for an hour, the next time
// for two, up to a week, and after a month the slate is clean.
func TestPenalize(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	if _, ok := s.Penalize(at, id(1), 60, "test"); ok {
		t.Error("60 points ban")
	}
	for _, points := range []float64{0, -50} {
		s.Penalize(at, id(1), points, "test")
	}
	if got := s.Points(at.Add(scoreHalfLife), id(1)); got != 30 {
		t.Errorf("%v points after half an hour, want 30", got)
	}
	if _, ok := s.Penalize(at.Add(scoreHalfLife), id(1), 60, "test"); ok {
		t.Error("90 points ban")
	}
	now := at.Add(scoreHalfLife)
	for i, want := range []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 32 * time.Hour, 64 * time.Hour, 128 * time.Hour, longestBan, longestBan} {
		ban, ok := s.Penalize(now, id(1), 1e9, "it cheats")
		if !ok || ban.Until.Sub(now) != want || !ban.Earned || ban.Why != "it cheats" {
			t.Errorf("ban %d = %+v, %v; want %v", i+1, ban, ok, want)
		}
		now = ban.Until
		if err := s.Admit(now, Conn{ID: id(1), Inbound: true}); err != nil {
			t.Fatalf("Admit at the end of ban %d = %v", i+1, err)
		}
	}
	now = now.Add(forgiveAfter)
	if ban, _ := s.Penalize(now, id(1), 100, "test"); ban.Until.Sub(now) != time.Hour {
		t.Errorf("the ban after a month is for %v, want an hour", ban.Until.Sub(now))
	}
	if _, err := s.Ban(now, Ban{ID: id(2)}); err != nil {
		t.Fatal(err)
	}
	if ban, ok := s.Penalize(now, id(2), 100, "test"); !ok || ban.Earned {
		t.Errorf("a ban by score takes the place of the operator's: %+v", ban)
	}
}

// Whoever makes up IDs cannot make the scores of others be forgotten that weigh more.
func TestScoresAreBounded(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	s.Penalize(at, id(1), 90, "test")
	s.Penalize(at, id(2), 100, "test")
	for i := range 2 * maxScores {
		s.Penalize(at, ID{0: 1, 29: byte(i >> 16), 30: byte(i >> 8), 31: byte(i)}, 1, "test")
	}
	if n := len(s.scores.of); n != maxScores {
		t.Errorf("%d scores, want %d", n, maxScores)
	}
	if s.Points(at, id(1)) != 90 || s.scores.of[id(2)].Bans != 1 {
		t.Error("a score that weighs more is forgotten")
	}
	if n := len(s.Scores(at.Add(24 * time.Hour))); n != 1 {
		t.Errorf("%d scores say something after a day, want that of the ban", n)
	}
}
