package p2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/internal/simnet"
	"parley/rlp"
	"parley/rlpx"
)

// Decode takes exactly one value, copies what it decodes, and says which message
// was wrong; Reader reads the payload from its beginning each time.
func TestMsgDecode(t *testing.T) {
	type pair struct {
		Number uint64
		Text   []byte
	}
	m := Msg{Code: 2, Payload: []byte{0xc5, 0x07, 0x83, 'a', 'b', 'c'}}
	var v pair
	if err := m.Decode(&v); err != nil || v.Number != 7 || string(v.Text) != "abc" {
		t.Fatalf("Decode = %+v, %v; want 7 and abc", v, err)
	}
	for range 2 {
		if b, err := io.ReadAll(m.Reader()); err != nil || !bytes.Equal(b, m.Payload) {
			t.Errorf("Reader gives %x, %v; want %x", b, err, m.Payload)
		}
	}
	m.Payload[3] = 'x'
	if string(v.Text) != "abc" {
		t.Errorf("what was decoded changed to %q with the payload", v.Text)
	}
	for payload, want := range map[string]error{
		"":                   rlp.ErrTruncated,
		"\x07":               rlp.ErrExpectedList,
		"\xc1\x07":           rlp.ErrTooFewElements,
		"\xc3\x07\x80\x80":   rlp.ErrTooManyElements,
		"\xc2\x07\x80\x80":   rlp.ErrTrailing,
		"\xc3\x81\x07\x80":   rlp.ErrCanonical,
		"\xc9\x07\xff\xffab": rlp.ErrTruncated,
	} {
		m := Msg{Code: 0x1a, Payload: []byte(payload)}
		err := m.Decode(&v)
		if prefix := fmt.Sprintf("p2p: message 0x1a of %d bytes: ", len(payload)); !errors.Is(err, want) || !strings.HasPrefix(err.Error(), prefix) {
			t.Errorf("Decode of %x = %v; want %q and %v", payload, err, prefix, want)
		}
	}
}

// Release clears the payload, and any number of releases does no harm; it is not
// needed for messages that never came from a connection.
func TestMsgRelease(t *testing.T) {
	m := Msg{Code: 1, Payload: []byte{0x80}}
	same := m
	m.Release()
	m.Release()
	same.Release()
	if m.Payload != nil || m.Size() != 0 || m.Code != 1 {
		t.Errorf("after Release: %+v, want no payload and code 1", m)
	}
}

// Send, SendItems and ExpectMsg agree on what is on the wire; what is not as
// expected is ErrUnexpectedMsg, and what cannot be encoded is not sent.
func TestSendAndExpect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := MsgPipe()
		for _, c := range []struct {
			name string
			send func() error
			code uint64
			want any
			err  error
		}{
			{"Send", func() error { return Send(a, 3, []uint64{1, 2}) }, 3, []uint64{1, 2}, nil},
			{"SendItems", func() error { return SendItems(a, 4, uint64(1), "two", []uint64{3}) }, 4, rlp.Raw("\xc7\x01\x83two\xc1\x03"), nil},
			{"SendItems of nothing", func() error { return SendItems(a, 4) }, 4, rlp.Raw{0xc0}, nil},
			{"any payload", func() error { return Send(a, 0, "x") }, 0, nil, nil},
			{"other code", func() error { return Send(a, 3, "x") }, 4, "x", ErrUnexpectedMsg},
			{"other payload", func() error { return Send(a, 3, "x") }, 3, "y", ErrUnexpectedMsg},
			{"other type", func() error { return Send(a, 3, "x") }, 3, []string{"x"}, ErrUnexpectedMsg},
		} {
			sent := make(chan error, 1)
			go func() { sent <- c.send() }()
			if err := ExpectMsg(b, c.code, c.want); !errors.Is(err, c.err) {
				t.Errorf("%s: ExpectMsg = %v, want %v", c.name, err, c.err)
			}
			if err := <-sent; err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if err := Send(a, 3, -1); !errors.Is(err, rlp.ErrType) || !strings.HasPrefix(err.Error(), "p2p: send message 0x3: ") {
			t.Errorf("Send(-1) = %v, want ErrType with the code of the message", err)
		}
		a.Close()
		if err := ExpectMsg(b, 3, nil); !errors.Is(err, ErrPipeClosed) || !errors.Is(err, io.EOF) {
			t.Errorf("ExpectMsg after Close = %v, want ErrPipeClosed, which is io.EOF", err)
		}
	})
}

// WriteMsg on a MsgPipe takes until its own message was read; what the writer
// does with its buffer after that does not reach the reader.
func TestMsgPipeBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := MsgPipe()
		const writers = 5
		began := time.Now()
		took := make(chan time.Duration, writers)
		for i := range writers {
			go func() {
				payload := []byte{byte(i)}
				if err := a.WriteMsg(Msg{Code: uint64(i), Payload: payload}); err != nil {
					t.Error(err)
				}
				payload[0] = 0xff
				took <- time.Since(began)
			}()
		}
		seen := make(map[uint64]bool)
		for i := range writers {
			rest(time.Second) // virtual time
			if len(took) != i {
				t.Errorf("%d writers are back before message %d was read, want %d", len(took), i, i)
			}
			m, err := b.ReadMsg()
			if err != nil || len(m.Payload) != 1 || uint64(m.Payload[0]) != m.Code || seen[m.Code] {
				t.Fatalf("ReadMsg = %d %x, %v; want a new message with its code as payload", m.Code, m.Payload, err)
			}
			if m.ReceivedAt.IsZero() {
				t.Error("ReceivedAt is not set")
			}
			seen[m.Code] = true
			synctest.Wait() // its writer is back, and has changed its buffer
			if uint64(m.Payload[0]) != m.Code {
				t.Errorf("message %d changed to %x when its writer used the buffer again", m.Code, m.Payload)
			}
		}
		for i := range writers {
			if d, want := <-took, time.Duration(i+1)*time.Second; d != want {
				t.Errorf("writer %d was back after %v, want %v", i, d, want)
			}
		}
	})
}

// Close on either end wakes the readers and writers of both; a message that was
// not read is reported to its writer.
func TestMsgPipeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, closer := range []int{0, 1} {
			a, b := MsgPipe()
			errs := make(chan error, 4)
			go func() { _, err := a.ReadMsg(); errs <- err }()
			for range 2 { // one waits for its message to be read, one for its turn
				go func() { errs <- a.WriteMsg(Msg{}) }()
			}
			synctest.Wait()
			[]*MsgPipeRW{a, b}[closer].Close()
			_, err := b.ReadMsg()
			errs <- err
			for range 4 {
				if err := <-errs; !errors.Is(err, ErrPipeClosed) {
					t.Errorf("closed by end %d: %v, want ErrPipeClosed", closer, err)
				}
			}
			if err := b.WriteMsg(Msg{}); !errors.Is(err, ErrPipeClosed) {
				t.Errorf("WriteMsg after Close = %v, want ErrPipeClosed", err)
			}
			if err := errors.Join(a.Close(), b.Close()); err != nil {
				t.Errorf("closing again = %v", err)
			}
		}
	})
}

// A Peer made for a test has what it was given; Disconnect ends its context, and
// nothing of it needs a Server.
func TestNewPeer(t *testing.T) {
	node := nodeAt(3, privateAddr(3))
	p := NewPeer(node, "a\nname", []Cap{{"eth", 69}})
	if p.ID() != node.ID() || p.Node() != node || p.Name() != "a?name" || len(p.Caps()) != 1 || p.Inbound() || p.Static() || p.Trusted() {
		t.Errorf("NewPeer = %v %q %v", p, p.Name(), p.Caps())
	}
	if _, ok := p.Running("eth"); ok {
		t.Error("a protocol runs without a connection")
	}
	p.Log().Enabled(t.Context(), slog.LevelDebug)
	if err := p.Flush(t.Context()); err != nil || p.Info().ID != node.ID().String() {
		t.Errorf("Flush = %v, Info = %+v", err, p.Info())
	}
	if p.Context().Err() != nil {
		t.Error("the context has ended before Disconnect")
	}
	p.Disconnect(DiscUselessPeer)
	p.DisconnectError(DiscRequested, errors.New("again"))
	if !errors.Is(p.Context().Err(), context.Canceled) {
		t.Errorf("the context's error after Disconnect is %v", p.Context().Err())
	}
}

// poisoned starts a Server whose buffers are overwritten as they come back.
func (w *world) poisoned(n int, configure func(*Config)) *testServer {
	w.Helper()
	host := w.net.Host(privateAddr(n))
	listener, err := host.Listen(30303)
	if err != nil {
		w.Fatal(err)
	}
	s := &testServer{Server: &Server{Config: Config{
		PrivateKey: testKey(n), Listener: listener, Dialer: simDialer{host},
		Logger: slog.New(slog.DiscardHandler), Protocols: []Protocol{idleProtocol()},
	}}, host: host, w: w}
	configure(&s.Config)
	s.early = append(s.early, func(s *Server) error { s.bufs = rlpx.NewPoisonedBuffers(); return nil })
	if err := s.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(s.Stop)
	return s
}

// A buffer that was released is not read again, and one that was not is left
// alone: with buffers that are overwritten as they come back, messages of all
// sizes, kept or released, sent and broadcast, arrive as they were, and those
// that are kept stay so.
func TestReleasedBuffersAreNotRead(t *testing.T) {
	const messages = 400
	inWorld(t, func(w *world) {
		content := func(i int) []byte {
			size := i * 7 % 300
			if i%40 == 0 {
				size = i * 500
			}
			return rlp.AppendBytes(nil, bytes.Repeat([]byte{byte(i + 1)}, size))
		}
		var all sync.WaitGroup
		all.Add(2)
		b := w.poisoned(2, func(c *Config) {
			c.Protocols[0].Run = func(p *Peer, rw MsgReadWriter) error {
				defer all.Done()
				var kept []Msg
				for i := range messages {
					m, err := rw.ReadMsg()
					if err != nil {
						return err
					}
					if m.Code != uint64(i%4) || !bytes.Equal(m.Payload, content(i)) {
						t.Errorf("message %d is not what was sent", i)
					}
					if i%3 == 0 {
						kept = append(kept, m)
						continue
					}
					old := m.Payload[:min(4, m.Size())]
					m.Release()
					if i%100 == 1 && bytes.Equal(old, content(i)[:len(old)]) {
						t.Errorf("message %d can still be read after Release: the buffers are not poisoned", i)
					}
				}
				for i, m := range kept {
					if !bytes.Equal(m.Payload, content(3*i)) {
						t.Errorf("message %d changed after it was handed over", 3*i)
					}
				}
				return nil
			}
		})
		w.poisoned(1, func(c *Config) {
			c.StaticNodes = []*enode.Node{b.node()}
			c.Protocols[0].Run = func(p *Peer, rw MsgReadWriter) error {
				defer all.Done()
				for i := range messages {
					payload := content(i)
					if i%5 == 0 {
						p.Flush(p.Context()) // there is room
						if missed := p.srv.Broadcast(Outgoing{"idle", uint64(i % 4), payload}, []*Peer{p}); len(missed) > 0 {
							t.Errorf("message %d: %v", i, missed[0].Err)
						}
					} else if err := rw.WriteMsg(Msg{Code: uint64(i % 4), Payload: payload}); err != nil {
						t.Errorf("message %d: %v", i, err)
					}
					clear(payload)
				}
				for {
					if _, err := rw.ReadMsg(); err != nil {
						return err
					}
				}
			}
		})
		all.Wait()
	})
}

// ReadMsg hands over a message with its time; WriteMsg refuses codes beyond the
// protocol's length and lets the connection live.
func TestProtocolReadsAndWrites(t *testing.T) {
	inWorld(t, func(w *world) {
		wrote := make(chan error, 1)
		at := make(chan time.Time, 1)
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(p *Peer, rw MsgReadWriter) error {
				m, err := rw.ReadMsg()
				if err != nil {
					return err
				}
				rest(time.Second) // virtual time
				at <- m.ReceivedAt
				wrote <- rw.WriteMsg(Msg{Code: 4, Payload: []byte{0xc0}})
				Send(rw, 3, "still there")
				_, err = rw.ReadMsg()
				return err
			}
		})
		x := s.stranger(2).join()
		began := time.Now()
		x.send(baseLength, []byte{0xc0})
		if d := (<-at).Sub(began); d != 10*time.Millisecond {
			t.Errorf("received %v after it was sent, want 10ms", d)
		}
		if err := <-wrote; err == nil || !strings.Contains(err.Error(), "code 0x4 is not below the length 0x4 of idle/1") {
			t.Errorf("WriteMsg with code 4 = %v, want a refusal", err)
		}
		if m, err := x.conn.ReadMsg(); err != nil || m.Code != baseLength+3 {
			t.Errorf("ReadMsg = %#x, %v; want code %#x", m.Code, err, baseLength+3)
		}
		x.fd.(*simnet.Conn).Close()
	})
}
