package eth

import "maps"

// Stats are a Service's counters since New. All but Peers only grow.
type Stats struct {
	Peers map[uint]int // sessions by version, now

	Sessions uint64            // sessions that got past Status
	Refused  map[string]uint64 // the others, by cause: timeout, version, network, genesis, forkid, range, malformed, peer

	TransactionMessages uint64 // Transactions
	Transactions        uint64 // in them
	Announcements       uint64 // NewPooledTransactionHashes
	Announced           uint64 // transactions in them
	LargeAnnouncements  uint64 // of more than MaxAnnouncement transactions
	RangeUpdates        uint64 // BlockRangeUpdate
	Obsolete            uint64 // NewBlock, NewBlockHashes

	Answered    map[string]uint64 // requests that got their empty answer, by name
	Answers     uint64            // to requests of ours
	Unsolicited uint64            // answers that nobody waited for: late, doubled, made up
}

// counters are what Stats shows. Guarded by Service.mu.
type counters struct {
	Stats    // without its maps
	refused  map[string]uint64
	answered [len(messages)]uint64
}

// Stats returns a copy of the counters.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.count.Stats
	st.Peers = make(map[uint]int)
	for _, p := range s.peers {
		st.Peers[p.version]++
	}
	st.Refused = maps.Clone(s.count.refused)
	st.Answered = make(map[string]uint64)
	for code, n := range s.count.answered {
		if n > 0 {
			st.Answered[messages[code].Name] = n
		}
	}
	return st
}

// tally applies one change to the counters.
func (s *Service) tally(change func(*counters)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.count)
}
