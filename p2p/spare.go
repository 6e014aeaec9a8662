package p2p

import (
	"errors"
	"os"
	"syscall"
	"time"
)

const (
	// turnAwayTime is how long the listener waits for another connection to turn
	// away, maxTurnedAway how many it turns away before it rests.
	turnAwayTime  = time.Millisecond
	maxTurnedAway = 64
)

// A spare is a file descriptor held back for the time when the process has no
// other left. A connection cannot even be refused without one: it would wait in
// the system's queue, and its other side for an answer.
type spare struct{ file *os.File }

// hold takes a file descriptor, if there is one and none is held yet. It reports
// whether one is held.
func (s *spare) hold() bool {
	if s.file == nil {
		s.file, _ = os.Open(os.DevNull) // tried again later
	}
	return s.file != nil
}

// release gives the file descriptor back and reports whether there was one.
func (s *spare) release() bool {
	if s.file == nil {
		return false
	}
	s.file.Close()
	s.file = nil
	return true
}

// outOfFiles reports whether there are no file descriptors.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// turnAway closes the connections that wait to be accepted while there is no file
// descriptor for them but the spare one. If another one was freed meanwhile, the
// connection is let in.
func (s *Server) turnAway(sp *spare) {
	l, ok := s.listener.(interface{ SetDeadline(time.Time) error })
	if !ok || !sp.release() {
		return
	}
	defer sp.hold()
	defer l.SetDeadline(time.Time{}) //nolint:errcheck // fails only on a closed listener, as Accept will
	if l.SetDeadline(time.Now().Add(turnAwayTime)) != nil {
		return
	}
	for range maxTurnedAway {
		fd, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.count.accepted.Add(1)
		if sp.hold() {
			s.receive(fd)
			return
		}
		fd.Close()
		s.mu.Lock()
		s.set.Count(GateQuota)
		s.mu.Unlock()
	}
}
