package eth

import (
	"encoding/json"
	"math/big"

	"parley/enode"
)

// PeerInfo is what admin_peers shows of a session. Its JSON form has the block
// range from eth/69 on, and difficulty and head in eth/68.
type PeerInfo struct {
	Version uint
	Range   BlockRange

	// Difficulty is known in eth/68 only.
	Difficulty *big.Int
}

// MarshalJSON returns the form of the version.
func (i PeerInfo) MarshalJSON() ([]byte, error) {
	if i.Version < 69 {
		return json.Marshal(struct {
			Version    uint     `json:"version"`
			Difficulty *big.Int `json:"difficulty"`
			Head       Hash     `json:"head"`
		}{i.Version, i.Difficulty, i.Range.LatestHash})
	}
	return json.Marshal(struct {
		Version         uint   `json:"version"`
		EarliestBlock   uint64 `json:"earliestBlock"`
		LatestBlock     uint64 `json:"latestBlock"`
		LatestBlockHash Hash   `json:"latestBlockHash"`
	}{i.Version, i.Range.Earliest, i.Range.Latest, i.Range.LatestHash})
}

// NodeInfo is what the Service tells of itself. Its JSON form, shown by
// admin_nodeInfo, has the keys that a node without a chain can fill.
type NodeInfo struct {
	Network uint64 `json:"network"`
	Genesis Hash   `json:"genesis"`
	Head    Hash   `json:"head"`

	ForkID        ForkID `json:"-"`
	EarliestBlock uint64 `json:"-"`
	LatestBlock   uint64 `json:"-"`
	Mirror        bool   `json:"-"` // then all of the above are zero
}

// NodeInfo returns what the Service tells of itself.
func (s *Service) NodeInfo() NodeInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return NodeInfo{
		Network:       s.cfg.Network,
		Genesis:       s.cfg.Genesis,
		ForkID:        s.forkID(),
		EarliestBlock: s.earliest,
		LatestBlock:   s.head.Number,
		Head:          s.head.Hash,
		Mirror:        s.cfg.Mirror,
	}
}

// Peer returns the session with a node, if there is one.
func (s *Service) Peer(id enode.ID) (*Peer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.peers[id]
	return p, ok
}

// Peers returns the sessions, in no order.
func (s *Service) Peers() []*Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	peers := make([]*Peer, 0, len(s.peers))
	for _, p := range s.peers {
		peers = append(peers, p)
	}
	return peers
}

// peerInfo is p2p.Protocol.PeerInfo: nil until Status was exchanged.
func (s *Service) peerInfo(id enode.ID) any {
	p, ok := s.Peer(id)
	if !ok {
		return nil
	}
	return PeerInfo{Version: p.version, Range: p.BlockRange(), Difficulty: p.status.TotalDifficulty}
}
