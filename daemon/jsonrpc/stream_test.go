package jsonrpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// startStream serves one stream client, and returns its end and what ServeConn
// returns. It must run in a synctest bubble, so that nothing is left behind.
func startStream(t *testing.T, s *Server) (net.Conn, <-chan error) {
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- s.ServeConn(t.Context(), far) }()
	return near, ended
}

// registerTicks adds the subscription test/ticks: an event every second, of the
// given size, until ctx ends.
func registerTicks(s *Server, size int) {
	s.RegisterSubscription("test", "ticks", func(ctx context.Context) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) {
			for {
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return
				}
				if !yield(strings.Repeat("x", size), nil) {
					return
				}
			}
		}
	})
}

// Requests need no line feeds between them, nor do they have to arrive in one
// piece; each is answered in its turn.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, ended := startStream(t, newTestServer())
		go func() {
			for _, part := range []string{testCall + testCall, "\n\n", testCall[:10], testCall[10:], "[" + testCall + "]"} {
				io.WriteString(conn, part)
				<-time.After(20 * time.Second) // slower than that between requests is fine
			}
		}()
		r := bufio.NewReader(conn)
		const answer = `{"jsonrpc":"2.0","id":1,"result":"1"}`
		for i, want := range []string{answer, answer, answer, "[" + answer + "]"} {
			if line, err := r.ReadString('\n'); line != want+"\n" {
				t.Fatalf("answer %d = %q, %v; want %q", i, line, err, want)
			}
		}
		<-time.After(24 * time.Hour)
		select {
		case err := <-ended:
			t.Fatalf("an idle client was dropped: %v", err)
		default:
		}
		conn.Close()
		if err := <-ended; err != nil {
			t.Errorf("ServeConn = %v after the client hung up", err)
		}
	})
}

// A client that breaks a limit is told so and dropped, one that stops inside of a
// request after 30 s.
func TestStreamLimits(t *testing.T) {
	for _, tt := range []struct {
		name, request, answer string
		after                 time.Duration
	}{
		{"depth", strings.Repeat("[", 1000), `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: jsonrpc: request is nested deeper than 32 levels"}}` + "\n", 0},
		{"batch", "[" + strings.Repeat("1,", 1000), `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"jsonrpc: batch has more than 100 calls"}}` + "\n", 0},
		{"size", `{"` + strings.Repeat("x", MaxBody), `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"jsonrpc: request is larger than 5 MiB"}}` + "\n", 0},
		{"text", "hello", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: jsonrpc: request is neither an object nor an array"}}` + "\n", 0},
		{"silence", `{"jsonrpc"`, "", CallTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, ended := startStream(t, newTestServer())
				start := time.Now()
				go io.WriteString(conn, tt.request)
				answer, _ := io.ReadAll(conn)
				if string(answer) != tt.answer {
					t.Errorf("answer %q, want %q", answer, tt.answer)
				}
				if err := <-ended; err == nil || time.Since(start) != tt.after {
					t.Errorf("dropped after %v with %v, want %v", time.Since(start), err, tt.after)
				}
				conn.Close()
			})
		})
	}
}

// A subscriber gets its id first, then the events, until it has enough.
func TestSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer()
		registerTicks(s, 3)
		conn, ended := startStream(t, s)
		r := json.NewDecoder(conn)
		var id string
		ask := func(method, param string, result any) *Error {
			request, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": []string{param}})
			go conn.Write(request)
			var answer response
			if err := r.Decode(&answer); err != nil {
				t.Fatal(err)
			}
			if answer.Error == nil {
				json.Unmarshal(answer.Result, result)
			}
			return answer.Error
		}
		if err := ask("test_subscribe", "ticks", &id); err != nil || len(id) != 34 || id[:2] != "0x" {
			t.Fatalf("test_subscribe = %q, %v; want 0x and 32 digits", id, err)
		}
		start := time.Now()
		for i := range 3 {
			var text json.RawMessage
			if err := r.Decode(&text); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(`{"jsonrpc":"2.0","method":"test_subscription","params":{"subscription":%q,"result":"xxx"}}`, id)
			if string(text) != want || time.Since(start) != time.Duration(i+1)*time.Second {
				t.Errorf("after %v: %s, want %s", time.Since(start), text, want)
			}
		}
		var done bool
		if err := ask("test_unsubscribe", id, &done); err != nil || !done {
			t.Errorf("test_unsubscribe = %v, %v", done, err)
		}
		if err := ask("test_unsubscribe", id, &done); err == nil || err.Message != "subscription not found" {
			t.Errorf("second test_unsubscribe: %v, want not found", err)
		}
		if err := ask("test_subscribe", "nothing", &id); err == nil || err.Code != CodeNoMethod {
			t.Errorf("test_subscribe of nothing: %v, want code %d", err, CodeNoMethod)
		}
		conn.Close()
		<-ended
		if s.subscribers != 0 {
			t.Errorf("%d subscribers are left", s.subscribers)
		}
	})
}

// Of 10,000 subscriptions 64 are granted. A client that does not read them is
// dropped 5 s after its connection is full, and its places are free again (J7).
func TestJ7Subscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer()
		registerTicks(s, 1000)
		conn, ended := startStream(t, s)
		const tries = 10_000
		go func() {
			for range tries {
				io.WriteString(conn, `{"jsonrpc":"2.0","id":1,"method":"test_subscribe","params":["ticks"]}`)
			}
		}()
		r := json.NewDecoder(conn)
		granted, refused := 0, 0
		for range tries {
			var answer response
			if err := r.Decode(&answer); err != nil {
				t.Fatal(err)
			}
			if answer.Error == nil {
				granted++
			} else if answer.Error.Message == "there are 64 subscriptions already" {
				refused++
			}
		}
		if granted != MaxSubscribers || refused != tries-MaxSubscribers {
			t.Errorf("%d granted and %d refused, want %d and %d", granted, refused, MaxSubscribers, tries-MaxSubscribers)
		}

		// From here on nothing is read. The first tick is due in a second, and a
		// pipe holds nothing.
		start := time.Now()
		if err := <-ended; err == nil || time.Since(start) != time.Second+WriteTimeout {
			t.Errorf("dropped after %v with %v, want %v", time.Since(start), err, time.Second+WriteTimeout)
		}
		conn.Close()
		if s.subscribers != 0 {
			t.Errorf("%d subscribers are left", s.subscribers)
		}
	})
}

// A subscription that has lost events ends the connection: the client must
// learn that its picture is wrong.
func TestSubscriptionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer()
		lost := errors.New("events lost")
		s.RegisterSubscription("test", "ticks", func(context.Context) iter.Seq2[any, error] {
			return func(yield func(any, error) bool) {
				_ = yield(1, nil) && yield(nil, lost)
			}
		})
		conn, ended := startStream(t, s)
		go io.WriteString(conn, `{"jsonrpc":"2.0","id":1,"method":"test_subscribe","params":["ticks"]}`)
		text, _ := io.ReadAll(conn)
		if lines := strings.Count(string(text), "\n"); lines != 2 {
			t.Errorf("%d lines before the end, want the id and one event", lines)
		}
		if err := <-ended; !errors.Is(err, lost) {
			t.Errorf("ServeConn = %v, want %v", err, lost)
		}
		conn.Close()
	})
}

// 128 stream clients are served, the next is closed at once, and when one has
// gone there is a place again.
func TestStreamConnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(slog.New(slog.DiscardHandler))
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Serve(ctx, l) })
		var conns []net.Conn
		for range MaxConns {
			conns = append(conns, l.dial())
		}
		call := func(conn net.Conn) error {
			var modules map[string]string
			return NewClient(conn).Call(t.Context(), &modules, "rpc_modules")
		}
		if err := call(conns[MaxConns-1]); err != nil {
			t.Errorf("client %d: %v", MaxConns, err)
		}
		extra := l.dial()
		if err := call(extra); err == nil {
			t.Errorf("client %d was served", MaxConns+1)
		}
		conns[0].Close()
		synctest.Wait()
		conns[0] = l.dial()
		if err := call(conns[0]); err != nil {
			t.Errorf("after one has gone: %v", err)
		}
		cancel()
		wg.Wait()
		if s.conns != 0 {
			t.Errorf("%d connections are left", s.conns)
		}
		for _, conn := range append(conns, extra) {
			conn.Close()
		}
	})
}

// A Client gets results, errors with their code, and the end of its context.
func TestClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, ended := startStream(t, newTestServer())
		client := NewClient(conn)
		var version string
		if err := client.Call(t.Context(), &version, "net_version"); err != nil || version != "1" {
			t.Errorf("net_version = %q, %v", version, err)
		}
		err := client.Call(t.Context(), &version, "test_fail")
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeServer || e.Message != "it failed" {
			t.Errorf("test_fail: %v", err)
		}
		client.Close()
		<-ended

		near, far := net.Pipe() // nobody answers
		defer far.Close()
		go io.Copy(io.Discard, far)
		client = NewClient(near)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := client.Call(ctx, &version, "net_version"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != CallTimeout {
			t.Errorf("a call without answer: %v after %v, want a timeout after %v", err, time.Since(start), CallTimeout)
		}
		client.Close()
	})
}
