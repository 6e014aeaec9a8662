package discover

import (
	"net/netip"
	"time"

	"parley/internal/discv4"
	"parley/internal/discv5"
)

// minWait is the least time between now and a wake-up. What is due within it is
// done together.
const minWait = time.Millisecond

// loop owns the engines: nobody else calls them while it runs.
func (s *Service) loop() {
	defer close(s.done)
	defer close(s.sealed)
	defer s.sockets.close()

	timer := time.NewTimer(0) // the first call of Advance starts the engines
	defer timer.Stop()
	for {
		var b *batch
		select {
		case b = <-s.arrived:
			if !s.receive(time.Now(), b) {
				b = nil // the opener has it
			}
		case b = <-s.opened:
			s.receiveOpened(time.Now(), b)
		case f := <-s.do:
			f(time.Now())
		case <-timer.C:
			s.advance(time.Now())
		case <-s.closing:
			return
		}
		s.flush()
		if b != nil {
			b.socket.free <- b // never full
		}
		if wake := s.wake(); !wake.IsZero() {
			timer.Reset(max(time.Until(wake), minWait))
		}
	}
}

// receive hands the packets of a batch to the engines. It returns false if the
// batch is with the opener now, because packets of discovery v4 in it are worth
// opening.
func (s *Service) receive(now time.Time, b *batch) bool {
	wanted := false
	before := s.noWay
	for i := range b.packets[:b.n] {
		p := &b.packets[i]
		s.noWay.heard(p.from.Addr())
		switch p.kind {
		case kindV5:
			s.v5.Receive(now, p.from, p.data)
		case kindV4:
			if s.v4.Admit(now, p.from, p.data) == nil {
				wanted = true
			} else {
				p.kind = kindNone // the engine counted it
			}
		case kindNone:
			if s.v4 != nil {
				s.v4.Refuse(p.drop)
			}
		}
	}
	s.avoid(before)
	if wanted {
		s.sealed <- b // never full
	}
	return !wanted
}

// receiveOpened hands the packets of a batch that the opener opened to discovery
// v4.
func (s *Service) receiveOpened(now time.Time, b *batch) {
	for i := range b.packets[:b.n] {
		switch p := &b.packets[i]; {
		case p.kind != kindV4:
		case p.v4 != nil:
			s.v4.Receive(now, p.from, p.v4)
			p.v4 = nil
		default:
			s.v4.Refuse(p.drop)
		}
	}
}

func (s *Service) advance(now time.Time) {
	if s.v4 != nil {
		s.v4.Advance(now)
	}
	if s.v5 != nil {
		s.v5.Advance(now)
	}
}

// wake returns when an engine wants to advance, or the zero time.
func (s *Service) wake() (wake time.Time) {
	if s.v4 != nil {
		wake = s.v4.Wake()
	}
	if s.v5 != nil {
		if at := s.v5.Wake(); wake.IsZero() || !at.IsZero() && at.Before(wake) {
			wake = at
		}
	}
	return wake
}

// flush does what the engines want done, and is the only place that does: packets
// out, callers woken, talk requests to their handlers, news to the owner.
func (s *Service) flush() {
	for again := true; again; {
		again = false
		var out4 discv4.Output
		var out5 discv5.Output
		if s.v4 != nil {
			out4 = s.v4.Take()
		}
		if s.v5 != nil {
			out5 = s.v5.Take()
		}
		s.out = s.out[:0]
		for _, p := range out4.Packets {
			s.out = append(s.out, outgoing{p.To, p.Data})
		}
		for _, p := range out5.Packets {
			s.out = append(s.out, outgoing{p.To, p.Data})
		}
		s.write(s.out)
		s.news.add(out4, out5) // before the answers they came with are seen
		for _, r := range out4.Done {
			s.finish(callKey{discV4, uint64(r.Call)}, outcome{
				node: r.Node, nodes: r.Nodes, rtt: r.RTT, seq: r.Seq, err: translate(r.Err),
			})
		}
		for _, r := range out5.Done {
			s.finish(callKey{discV5, uint64(r.Call)}, outcome{
				node: r.Node, nodes: r.Nodes, rtt: r.RTT, seq: r.Seq, endpoint: r.Endpoint, talk: r.Talk, err: translate(r.Err),
			})
		}
		for _, t := range out5.Talks {
			if !s.talks.dispatch(t) {
				// The engine need not remember it any longer. That nobody waits
				// for the answer any more is no matter.
				_ = s.v5.Answer(time.Now(), t, nil)
				again = true
			}
		}
	}
}

// write sends packets through the socket of their family, in runs.
func (s *Service) write(ps []outgoing) {
	for len(ps) > 0 {
		to := s.sockets.of(ps[0].to.Addr())
		n := 1
		for n < len(ps) && s.sockets.of(ps[n].to.Addr()) == to {
			n++
		}
		if to == nil {
			s.writeErrors.Add(uint64(n))
		} else {
			to.write(ps[:n], s.unsent)
		}
		ps = ps[n:]
	}
	clear(s.out) // the packets are the collector's
}

// unsent notes that a packet could not be sent.
func (s *Service) unsent(to netip.AddrPort, err error) {
	s.writeErrors.Add(1)
	before := s.noWay
	s.noWay.refused(to.Addr(), err)
	s.avoid(before)
	if time.Since(s.writeLogged) >= time.Second && !s.isClosing() {
		s.writeLogged = time.Now()
		s.log.Debug("Cannot send packets", "to", to, "err", err)
	}
}
