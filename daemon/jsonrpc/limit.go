package jsonrpc

import (
	"net"
	"sync"
)

// A limitListener does not accept while its limit of connections is open. Each
// of them has deadlines, so the next client waits for a bounded time.
type limitListener struct {
	net.Listener
	mu   sync.Mutex // guards the fields below
	cond *sync.Cond // a connection or the listener was closed
	open int
	done bool
}

func newLimitListener(l net.Listener) *limitListener {
	limited := &limitListener{Listener: l}
	limited.cond = sync.NewCond(&limited.mu)
	return limited
}

// Accept waits for a place, then for a client.
func (l *limitListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	for l.open == MaxConns && !l.done {
		l.cond.Wait()
	}
	l.open++
	l.mu.Unlock()
	conn, err := l.Listener.Accept()
	if err != nil {
		l.leave()
		return nil, err
	}
	return &limitConn{Conn: conn, leave: sync.OnceFunc(l.leave)}, nil
}

// Close closes the listener and wakes an Accept that waits for a place.
func (l *limitListener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
	l.cond.Broadcast()
	return err
}

func (l *limitListener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	l.cond.Broadcast()
}

// A limitConn gives its place back when it is closed.
type limitConn struct {
	net.Conn
	leave func()
}

func (c *limitConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
