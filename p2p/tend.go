package p2p

import (
	"errors"
	"sync"
	"time"

	"parley/enode"
)

// maxMemory bounds the bytes that are held for all peers: messages that came and
// wait for their protocol, the parts of messages that are still coming, and
// messages to be sent.
const maxMemory = 256 << 20

var (
	errHandlerStalled = errors.New("its protocol took no message for 30 s")
	errNoPong         = errors.New("no pong for 30 s")
	errMemory         = errors.New("it holds the most of the memory for messages, which is used up")
)

// tendPeers does what is due by time for every peer, from one timer.
func (s *Server) tendPeers() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	short := 0 // ticks in a row for which memory was used up
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		peers := s.snapshot()
		for _, p := range peers {
			p.tend(now)
		}
		if s.bufs.InUse() < maxMemory {
			short = 0
		} else if short++; short > 1 {
			dropWorst(peers)
		}
		s.memory.look()
	}
}

// noteLatency tells the peer set how near a peer is.
func (s *Server) noteLatency(id enode.ID, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set.SetLatency(id, d)
}

// dropWorst ends the connection that holds the most.
func dropWorst(peers []*Peer) {
	var worst *Peer
	most := -1
	for _, p := range peers {
		if held := p.in.queued() + p.out.held(); held > most {
			worst, most = p, held
		}
	}
	if worst != nil {
		worst.DisconnectError(DiscUselessPeer, errMemory)
	}
}

// memory is where readers wait while too much is held for all peers.
type memory struct {
	mu     sync.Mutex
	freed  sync.Cond
	closed bool
}

func (m *memory) init() { m.freed.L = &m.mu }

// look lets the readers look again.
func (m *memory) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.freed.Broadcast()
}

func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.freed.Broadcast()
}

// waitForMemory blocks a reader while too much is held. It returns false if the
// connection ended meanwhile.
func (s *Server) waitForMemory(p *Peer) bool {
	if s.bufs.InUse() < maxMemory {
		return true
	}
	m := &s.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	for s.bufs.InUse() >= maxMemory && !m.closed && !p.over() {
		m.freed.Wait()
	}
	return !p.over()
}

// over reports whether somebody has ended the connection.
func (p *Peer) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended != nil
}
