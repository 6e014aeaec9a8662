package p2p

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/enode"
	"parley/internal/nodedb"
	"parley/internal/peerset"
)

// keepEvery is how often what should survive a crash is written.
const keepEvery = 5 * time.Minute

// What is kept in the node database beside nodes, as JSON.
const (
	keepBans    = "bans"    // []Ban
	keepScores  = "scores"  // []peerset.Score
	keepAnchors = "anchors" // []string: nodes that were peers
)

// recall takes in what was kept before a restart. What cannot be read is left out.
// Caller holds mu.
func (s *Server) recall() {
	var (
		bans   []Ban
		scores []peerset.Score
		texts  []string
	)
	for name, v := range map[string]any{keepBans: &bans, keepScores: &scores, keepAnchors: &texts} {
		data := s.db.Note(name)
		if data == nil {
			continue
		}
		if err := json.Unmarshal(data, v); err != nil {
			s.log.Warn("Cannot read what the node database kept", "name", name, "err", err)
		}
	}
	now := time.Now()
	s.set.Restore(now, bans, scores)
	if s.cfg.NoDial {
		return
	}
	var anchors []*enode.Node
	for _, text := range texts {
		if n, err := enode.Parse(text); err == nil {
			anchors = append(anchors, n)
		}
	}
	s.set.SetAnchors(now, anchors)
}

// keep writes the named parts of what should survive a restart to the node
// database. It waits for the disk. Without a database there is nothing to keep.
func (s *Server) keep(names ...string) error {
	s.keeping.Lock() // so that nothing older comes after something newer
	defer s.keeping.Unlock()
	var errs []error
	for _, name := range names {
		v := s.toKeep(name)
		if v == nil {
			continue
		}
		data, err := json.Marshal(v)
		if err == nil {
			err = s.db.StoreNote(name, data)
		}
		if err != nil && !errors.Is(err, nodedb.ErrNoFile) {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Server) toKeep(name string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch name {
	case keepBans:
		return s.set.Bans(now)
	case keepScores:
		return s.set.Scores(now)
	}
	nodes := s.set.Anchors(now)
	if len(nodes) == 0 {
		return nil // those from before are better than none
	}
	texts := make([]string, len(nodes))
	for i, n := range nodes {
		texts[i] = n.String()
	}
	return texts
}

// keepLoop keeps everything now and then.
func (s *Server) keepLoop() {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			_ = s.keep(keepBans, keepScores, keepAnchors) // the database has logged it
		}
	}
}
