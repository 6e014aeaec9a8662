package jsonrpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Serve accepts stream clients on l until ctx ends, then closes l and every
// connection and returns when all of them have ended. Clients beyond MaxConns
// are closed at once: the operator's next command must not wait for a place.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()

	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err != nil:
			// A failed accept is one client's loss, unless the listener is gone.
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			s.log.Warn("IPC accept failed", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		if !s.enterConn() {
			conn.Close()
			continue
		}
		wg.Go(func() {
			defer s.leaveConn()
			if err := s.ServeConn(ctx, conn); err != nil {
				s.log.Debug("IPC client dropped", "err", err)
			}
		})
	}
}

// acceptPause is the time between two attempts to accept when the system has run
// out of something.
const acceptPause = 100 * time.Millisecond

// ServeConn answers one stream client, which may call every namespace, until it
// hangs up (nil), breaks a limit, or ctx ends. It closes conn.
//
// Requests are answered one after the other, in their order.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	closed := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		closed()
		conn.Close()
	}()

	w := &streamWriter{conn: conn, turn: make(chan struct{}, 1), ctx: ctx}
	subs := &subscriptions{ctx: ctx, send: w.write, end: cancel, live: make(map[string]context.CancelFunc)}
	defer subs.wg.Wait()
	defer cancel(nil)

	client := &session{server: s, subs: subs}
	r := bufio.NewReader(conn)
	for {
		err := s.serveNext(ctx, client, r, conn, w)
		subs.start()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			if cause := context.Cause(ctx); cause != context.Canceled {
				return cause
			}
			return nil
		case err == io.EOF:
			return nil
		default:
			return err
		}
	}
}

// serveNext reads one request or batch and answers it. A client may be silent
// for as long as it likes between requests, but not inside of one.
func (s *Server) serveNext(ctx context.Context, client *session, r *bufio.Reader, conn net.Conn, w *streamWriter) error {
	conn.SetReadDeadline(time.Time{})
	if _, err := skipSpace(r); err != nil {
		return err
	}
	if err := r.UnreadByte(); err != nil {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(CallTimeout))
	raw, err := readValue(r)
	if err != nil {
		// Where the next request begins is not known any more.
		if e := refusal(err); e != nil {
			return errors.Join(err, w.write(appendAnswer(nil, null, nil, e)))
		}
		return err
	}
	if reply, _ := client.answer(ctx, raw); len(reply) > 0 {
		return w.write(reply)
	}
	return nil
}

// refusal is the answer to a request that readValue refused, or nil if the
// connection failed.
func refusal(err error) *Error {
	switch err {
	case errTooLarge, errTooMany:
		return &Error{CodeInvalidRequest, err.Error()}
	case errTooDeep, errNoObject, io.ErrUnexpectedEOF:
		return &Error{CodeParse, "parse error: " + err.Error()}
	}
	return nil
}

// A streamWriter writes whole messages, from several goroutines.
type streamWriter struct {
	conn net.Conn
	turn chan struct{}   // holds one value while somebody writes; unlike a mutex it can be waited for until ctx ends
	ctx  context.Context // of the connection
}

// write sends one message and a line feed, which nobody needs but people with
// netcat are glad of.
func (w *streamWriter) write(text []byte) error {
	select {
	case w.turn <- struct{}{}:
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	defer func() { <-w.turn }()
	w.conn.SetWriteDeadline(time.Now().Add(WriteTimeout))
	_, err := w.conn.Write(append(text, '\n'))
	return err
}

// enterConn takes one of the Server's places for stream clients.
func (s *Server) enterConn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == MaxConns {
		return false
	}
	s.conns++
	return true
}

func (s *Server) leaveConn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
}
