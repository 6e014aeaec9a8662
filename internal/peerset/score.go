package peerset

import (
	"math"
	"slices"
	"time"
)

const (
	// BanScore is the number of points at which a node is banned. What a protocol
	// takes for a single mistake that may happen should cost a tenth of it, what no
	// honest node ever does all of it.
	BanScore = 100

	// scoreHalfLife is how long it takes until points count half.
	scoreHalfLife = 30 * time.Minute

	// The first ban by score is short, as the fault may be ours; each further one
	// within forgiveAfter of the last is twice as long.
	firstBan     = time.Hour
	longestBan   = 7 * 24 * time.Hour
	forgiveAfter = 30 * 24 * time.Hour

	maxScores = 2048
)

// A Score is what a node has been penalised for.
type Score struct {
	ID     ID
	Points float64   // at At; they halve every 30 minutes
	At     time.Time //
	Bans   int       // how often in a row they led to a ban
	Until  time.Time // when the last of these bans ends; zero without one
}

// points returns the points that are left at the given time.
func (sc *Score) points(now time.Time) float64 {
	age := max(0, now.Sub(sc.At))
	return sc.Points * math.Exp2(-float64(age)/float64(scoreHalfLife))
}

// weight is by how much the node would be missed: bans count more than points.
func (sc *Score) weight(now time.Time) float64 {
	w := sc.points(now)
	if sc.Bans > 0 && now.Sub(sc.Until) < forgiveAfter {
		w += float64(sc.Bans) * BanScore
	}
	return w
}

// A scoreboard holds the scores of the nodes that were penalised.
type scoreboard struct{ of map[ID]*Score }

func newScoreboard() scoreboard { return scoreboard{of: make(map[ID]*Score)} }

func (b *scoreboard) forget(id ID) { delete(b.of, id) }

// get returns the score of id, made if need be: then the one of least weight goes
// if there are too many.
func (b *scoreboard) get(now time.Time, id ID) *Score {
	if sc := b.of[id]; sc != nil {
		return sc
	}
	if len(b.of) >= maxScores {
		var least *Score
		for _, sc := range b.of {
			if least == nil || sc.weight(now) < least.weight(now) ||
				sc.weight(now) == least.weight(now) && sc.ID.Compare(least.ID) < 0 {
				least = sc
			}
		}
		delete(b.of, least.ID)
	}
	sc := &Score{ID: id, At: now}
	b.of[id] = sc
	return sc
}

// Penalize adds points to the score of a node. When they reach BanScore the node
// is banned, for an hour at first and for twice as long each further time, and the
// points begin at zero again. It returns the ban; the owner disconnects the node.
//
// A trusted node is never banned so, and points that are not above zero do nothing.
func (s *Set) Penalize(now time.Time, id ID, points float64, why string) (Ban, bool) {
	if !(points > 0) || s.Trusted(id) {
		return Ban{}, false
	}
	sc := s.scores.get(now, id)
	sc.Points, sc.At = sc.points(now)+min(points, BanScore), now
	if sc.Points < BanScore {
		return Ban{}, false
	}
	if sc.Bans > 0 && now.Sub(sc.Until) >= forgiveAfter {
		sc.Bans = 0
	}
	sc.Points = 0
	sc.Bans++
	sc.Until = now.Add(min(firstBan<<min(sc.Bans-1, 16), longestBan))
	ban, err := Ban{ID: id, Until: sc.Until, Why: why, Earned: true}.check(now)
	if err != nil {
		return Ban{}, false
	}
	if old, ok := s.bans.findID(now, id); ok && (old.Until.IsZero() || old.Until.After(ban.Until)) {
		return old, true
	}
	s.makeRoomForEarned(now)
	s.bans.put(ban)
	return ban, true
}

// makeRoomForEarned lifts the ban by score that ends first if there are too many.
func (s *Set) makeRoomForEarned(now time.Time) {
	full := func() bool {
		return s.bans.earned >= maxEarned || len(s.bans.ids)+len(s.bans.nets) >= MaxBans
	}
	if !full() {
		return
	}
	if s.bans.sweep(now); !full() {
		return
	}
	var first *Ban
	for _, b := range s.bans.all() {
		if b.Earned && (first == nil || b.Until.Before(first.Until)) {
			first = &b
		}
	}
	if first != nil {
		s.bans.liftID(first.ID)
	}
}

// Points returns the points that a node has now.
func (s *Set) Points(now time.Time, id ID) float64 {
	if sc := s.scores.of[id]; sc != nil {
		return sc.points(now)
	}
	return 0
}

// Scores returns the scores that still say something, sorted by ID.
func (s *Set) Scores(now time.Time) []Score {
	var scores []Score
	for id, sc := range s.scores.of {
		if sc.weight(now) < 1 {
			delete(s.scores.of, id)
			continue
		}
		scores = append(scores, *sc)
	}
	slices.SortFunc(scores, func(a, b Score) int { return a.ID.Compare(b.ID) })
	return scores
}

// Restore takes in what Bans and Scores gave before a restart. What is over, what
// meets a trusted node and what is above the bounds is left out.
func (s *Set) Restore(now time.Time, bans []Ban, scores []Score) {
	for _, b := range bans {
		if b.Earned && s.bans.earned >= maxEarned {
			continue
		}
		_, _ = s.Ban(now, b) // an error leaves it out
	}
	for _, sc := range scores {
		if len(s.scores.of) >= maxScores || s.Trusted(sc.ID) || !(sc.Points >= 0) || sc.Points > BanScore || sc.At.After(now) {
			continue
		}
		s.scores.of[sc.ID] = &sc
	}
}
