package discover

import (
	"net/netip"
	"time"

	"parley/internal/discv4"
	"parley/internal/discv5"
	"parley/internal/netaddr"
)

// minWait is the least time between now and a wake-up. What is due within it is
// done together.
const minWait = time.Millisecond

// in runs f where it may call the engines, and does what comes of it. It returns
// false, without running f, if the Service has ended. F must call neither in nor look.
func (s *Service) in(f func(now time.Time)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosing() {
		return false
	}
	now := time.Now() // with the lock held, so that time never goes back for the engines
	f(now)
	s.flush()
	s.setAlarm(now)
	return true
}

// look runs f where it may read the engines, whether the Service has ended or not.
func (s *Service) look(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// clockLoop advances the engines whenever they want it.
func (s *Service) clockLoop() {
	defer s.timer.Stop()
	for {
		select {
		case <-s.timer.C:
			s.in(func(now time.Time) {
				s.alarm = time.Time{}
				s.advance(now)
			})
		case <-s.closing:
			return
		}
	}
}

// setAlarm sets the timer to when an engine wants to advance. A timer that rings
// before that is left alone: to set it for each packet would cost more than to find
// nothing to do once, and packets that keep coming would put it off for ever.
func (s *Service) setAlarm(now time.Time) {
	wake := s.wake()
	if wake.IsZero() {
		return
	}
	wait := max(wake.Sub(now), minWait)
	if at := now.Add(wait); s.alarm.IsZero() || at.Before(s.alarm) {
		s.alarm = at
		s.timer.Reset(wait)
	}
}

// admit hands packets to the engines. It returns how many of discovery v4 are worth
// opening.
func (s *Service) admit(now time.Time, packets []packet) (admitted int) {
	before := s.noWay
	for i := range packets {
		p := &packets[i]
		s.noWay.heard(p.from.Addr())
		switch p.kind {
		case kindV5:
			if s.v5.Receive(now, p.from, p.data) {
				s.came(now, p.from)
			}
		case kindV4:
			if s.v4.Admit(now, p.from, p.data) == nil {
				admitted++
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
	return admitted
}

// receiveOpened hands the packets that were opened to discovery v4.
func (s *Service) receiveOpened(now time.Time, packets []packet) {
	for i := range packets {
		switch p := &packets[i]; {
		case p.kind != kindV4:
		case p.v4 != nil:
			s.v4.Receive(now, p.from, p.v4)
			s.came(now, p.from)
			p.v4 = nil
		default:
			s.v4.Refuse(p.drop)
		}
	}
}

// strangerEvery is how often the owner is told that a stranger came.
const strangerEvery = time.Minute

// came takes note of a packet for this node from somebody who was sent nothing. It
// is called before the answer goes out.
func (s *Service) came(now time.Time, from netip.AddrPort) {
	addr := netaddr.Normalize(from.Addr())
	family := 0
	if addr.Is6() {
		family = 1
	}
	if now.Sub(s.cameLast[family]) < strangerEvery || !s.holes.Stranger(now, addr) {
		return
	}
	s.cameLast[family] = now
	s.news.came(addr)
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
	if len(ps) > 0 {
		now := time.Now()
		for i := range ps {
			s.holes.Sent(now, ps[i].to.Addr())
		}
	}
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
