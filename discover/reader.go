package discover

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"parley/internal/discv4"
	"parley/internal/discv5"
)

// A kind is what a packet claims to be by its first bytes.
type kind uint8

const (
	kindNone kind = iota // of neither protocol; v4 knows why
	kindV4
	kindV5
)

const (
	// errorsAtOnce is how many errors in a row the reader takes without rest.
	errorsAtOnce = 16

	// errorPause is how long it rests after each further one, so that a socket
	// with an error that stays costs no CPU.
	errorPause = 5 * time.Millisecond
)

// readLoop reads one socket until it is closed, and has the engines act on what
// it reads.
func (s *Service) readLoop(from *socket) {
	var demux *discv5.Demux
	if s.v5 != nil {
		demux = discv5.NewDemux(s.id, s.cfg.ProtocolID)
	}
	var logged time.Time
	row := 0 // errors in a row
	for {
		packets, err := from.read()
		if err == nil {
			row = 0
			for i := range packets {
				packets[i].sort(demux, s.v4 != nil)
			}
			s.receive(packets)
			continue
		}
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || s.isClosing() {
			s.fail(err)
			return
		}
		// Whatever it was: a packet that does not fit its buffer, an ICMP
		// message, no memory. Giving up would leave a node that looks alive
		// and hears nothing.
		row++
		s.readErrors.Add(1)
		if time.Since(logged) >= time.Second {
			s.log.Warn("Cannot read packets", "err", err)
			logged = time.Now()
		}
		if !s.rest(row, err) {
			return
		}
	}
}

// rest waits for as long as the given error, one of so many in a row, makes it
// necessary. It returns false if the Service is closing.
func (s *Service) rest(row int, err error) bool {
	pause := errorPause
	if usedUp(err) {
		row /= 64
		pause = time.Millisecond
	}
	if row <= errorsAtOnce {
		return true
	}
	select {
	case <-time.After(pause):
		return true
	case <-s.closing:
		return false
	}
}

// usedUp reports whether an error belongs to one packet and goes away with it. To
// rest after those would let strangers make us deaf.
func usedUp(err error) bool {
	const (
		wsaeMsgSize   = syscall.Errno(10040) // Windows: a packet larger than the buffer
		wsaeNetReset  = syscall.Errno(10052) // Windows: ICMP, time exceeded
		wsaeConnReset = syscall.Errno(10054) // Windows: ICMP, port unreachable
	)
	for _, e := range [...]error{wsaeMsgSize, wsaeNetReset, wsaeConnReset, syscall.EMSGSIZE, syscall.ECONNREFUSED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// sort tells what a packet claims to be: v5 first, at the cost of one AES block,
// then v4, at the cost of one hash.
func (p *packet) sort(demux *discv5.Demux, v4 bool) {
	switch {
	case demux != nil && (!v4 || demux.Match(p.data)):
		p.kind = kindV5
	case v4:
		p.kind = kindV4
		if p.drop = discv4.Check(p.data); p.drop != nil {
			p.kind = kindNone
		}
	}
}

// receive has the engines act on packets. What discovery v4 admits is opened
// without the lock: to recover a signature is most of what that protocol costs, and
// nothing else has to wait for it.
func (s *Service) receive(packets []packet) {
	var admitted int
	s.in(func(now time.Time) { admitted = s.admit(now, packets) })
	if admitted == 0 {
		return
	}
	for i := range packets {
		if p := &packets[i]; p.kind == kindV4 {
			p.v4, p.drop = discv4.Open(p.data)
		}
	}
	s.in(func(now time.Time) { s.receiveOpened(now, packets) })
}
