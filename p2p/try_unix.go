//go:build unix

package p2p

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// An attempt is one write that does not wait.
type attempt struct {
	data []byte
	n    int
	err  error
	call func(fd uintptr) bool // write; kept, so that an attempt allocates nothing
}

func (a *attempt) init() { a.call = a.write }

// write writes once. It returns true: what did not fit is not waited for.
func (a *attempt) write(fd uintptr) bool {
	for {
		a.n, a.err = syscall.Write(int(fd), a.data)
		if a.err != syscall.EINTR {
			return true
		}
	}
}

// try writes what the system takes at once and returns how much that was. It is
// for the one who may write now. On connections other than *net.TCPConn, whose own
// Write would be passed over, it writes nothing.
func (s *stream) try(a *attempt, b []byte) (int, error) {
	tcp, ok := s.Conn.(*net.TCPConn)
	if !ok {
		return 0, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	a.data, a.n, a.err = b, 0, nil
	err = raw.Write(a.call)
	a.data = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(a.err, syscall.EAGAIN):
		return 0, nil
	case a.err != nil:
		return 0, &net.OpError{Op: "write", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: os.NewSyscallError("write", a.err)}
	}
	s.meter.out.Add(uint64(a.n))
	return a.n, nil
}
