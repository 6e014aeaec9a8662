package eth

import (
	"fmt"
	"sync"

	"parley/enode"
	"parley/enr"
	"parley/p2p"
)

// MaxMessageSize bounds every message, in bytes without compression.
// https://github.com/ethereum/devp2p/blob/master/caps/eth.md#basic-operation
const MaxMessageSize = 10 << 20

// A Service runs the eth protocol with the peers of one p2p.Server. Its methods
// are safe for concurrent use.
type Service struct {
	cfg   Config
	forks *forkChain // nil with a fixed fork id or in the mirror mode

	mu       sync.Mutex // guards the fields below
	head     Head
	earliest uint64
	peers    map[enode.ID]*Peer // those that were added
	count    counters
}

// New returns a Service. Its error lists every mistake in the configuration.
func New(cfg Config) (*Service, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg.withDefaults(), peers: make(map[enode.ID]*Peer)}
	s.count.refused = make(map[string]uint64)
	s.head, s.earliest = s.cfg.Head, s.cfg.Earliest
	if !s.cfg.Mirror && s.cfg.ForkID == nil {
		s.forks = s.cfg.Forks.chain(s.cfg.Genesis)
	}
	return s, nil
}

// Protocols returns the protocols for p2p.Config, one for each version, highest
// first.
func (s *Service) Protocols() []p2p.Protocol {
	var protocols []p2p.Protocol
	for _, v := range s.cfg.Versions {
		protocols = append(protocols, p2p.Protocol{
			Name:       "eth",
			Version:    v,
			Length:     Length(v),
			Run:        func(peer *p2p.Peer, rw p2p.MsgReadWriter) error { return s.run(peer, rw, v) },
			NodeInfo:   func() any { return s.NodeInfo() },
			PeerInfo:   s.peerInfo,
			Filter:     s.filter,
			MaxMsgSize: MaxMessageSize,
		})
	}
	// The entry is the same for all versions, and a record has it once.
	if len(protocols) > 0 && !s.cfg.Mirror {
		protocols[0].Attributes = []enr.Entry{s.Entry()}
	}
	return protocols
}

// Entry returns the "eth" entry for the local node's record. In the mirror mode
// there is none, and the result is the zero Entry.
func (s *Service) Entry() Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Entry{ForkID: s.forkID()}
}

// SetHead tells the Service the latest block. It reports whether the fork id
// changed; then the program puts Entry into the local node's record. Peers are
// not told; BroadcastRange does that.
func (s *Service) SetHead(head Head) (forked bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setRange(s.earliest, head)
}

// SetRange is SetHead, and sets the number of the earliest full block too.
func (s *Service) SetRange(earliest uint64, head Head) (forked bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setRange(earliest, head)
}

func (s *Service) setRange(earliest uint64, head Head) (forked bool, err error) {
	if s.cfg.Mirror {
		return false, fmt.Errorf("%w: there is no chain to have a head", ErrMirror)
	}
	if head.Number == 0 && head.Hash.IsZero() {
		head.Hash = s.cfg.Genesis
	}
	if err := checkHead(head, earliest); err != nil {
		return false, fmt.Errorf("eth: %w", err)
	}
	before := s.forkID()
	s.earliest, s.head = earliest, head
	return s.forkID() != before, nil
}

// A Broadcaster sends one message to several peers without blocking, as
// *p2p.Server does.
type Broadcaster interface {
	Broadcast(p2p.Outgoing, []*p2p.Peer) []p2p.Missed
}

// BroadcastRange sends a BlockRangeUpdate with the current range to all peers
// that know the message, eth/69 and later, and returns those that were skipped.
// Others expect it about every two minutes at most. In the mirror mode the range
// never changes, and nothing is sent.
func (s *Service) BroadcastRange(b Broadcaster) []p2p.Missed {
	if s.cfg.Mirror {
		return nil
	}
	s.mu.Lock()
	payload, _ := s.blockRange().AppendRLP(nil) // cannot fail
	var peers []*p2p.Peer
	for _, p := range s.peers {
		if p.version >= 69 {
			peers = append(peers, p.conn)
		}
	}
	s.mu.Unlock()
	return b.Broadcast(p2p.Outgoing{Protocol: "eth", Code: BlockRangeUpdateMsg, Payload: payload}, peers)
}

// forkID is our fork id. The caller holds s.mu.
func (s *Service) forkID() ForkID {
	switch {
	case s.cfg.ForkID != nil:
		return *s.cfg.ForkID
	case s.forks != nil:
		return s.forks.id(s.head)
	}
	return ForkID{}
}

// blockRange is our range. The caller holds s.mu.
func (s *Service) blockRange() BlockRange {
	return BlockRange{Earliest: s.earliest, Latest: s.head.Number, LatestHash: s.head.Hash}
}

// checkFork checks a remote fork id against our chain and head.
func (s *Service) checkFork(remote ForkID) error {
	s.mu.Lock()
	head := s.head
	s.mu.Unlock()
	if s.cfg.ForkID != nil {
		return s.cfg.ForkID.Check(head, remote)
	}
	return s.forks.check(head, remote)
}

// filter refuses candidates for dialing whose record says that they do not speak
// eth or, in the configured mode, are on another chain. A node without a record
// gets the benefit of the doubt.
func (s *Service) filter(n *enode.Node) error {
	if n.Record() == nil {
		return nil
	}
	e, err := loadEntry(n.Record())
	if err != nil || s.cfg.Mirror {
		return err
	}
	return s.checkFork(e.ForkID)
}
