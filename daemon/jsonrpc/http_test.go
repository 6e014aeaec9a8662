package jsonrpc

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	testToken = "0123456789abcdef0123456789abcdef"
	testCall  = `{"jsonrpc":"2.0","id":1,"method":"net_version"}`
)

// serveHTTP serves on a port of the loopback interface and returns its address.
func serveHTTP(t *testing.T, o HTTPOptions) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := newTestServer().NewHTTPServer(o).Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return l.Addr().String()
}

// exchange sends raw bytes to addr and returns the response.
func exchange(t *testing.T, addr, request string) (status int, header http.Header, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, request) // the server may answer before it has read everything
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no response: %v", err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text)
}

// post writes a POST request with the given header lines and body.
func post(host string, body string, header ...string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n%s",
		host, len(body), strings.Join(append(header, ""), "\r\n"), body)
}

const jsonType = "Content-Type: application/json"

// The token is asked for, and only the right one opens (J1).
func TestJ1Token(t *testing.T) {
	addr := serveHTTP(t, HTTPOptions{Namespaces: []string{"net"}, Token: testToken})
	const (
		// {"alg":"none"} and {"alg":"HS256"}, each with an iat of long ago.
		algNone = "eyJhbGciOiJub25lIn0.eyJpYXQiOjF9."
		expired = "eyJhbGciOiJIUzI1NiJ9.eyJpYXQiOjF9.zjCx6oGFF0mqMvJz2tNnMHZzYkbRBnBO0b8RjOWnhbk"
	)
	for _, tt := range []struct {
		name, authorization string
		status              int
	}{
		{"right", "Authorization: Bearer " + testToken, 200},
		{"lower case scheme", "Authorization: bearer " + testToken, 200},
		{"none", "X-Nothing: 1", 401},
		{"empty", "Authorization: Bearer ", 401},
		{"wrong", "Authorization: Bearer " + strings.Repeat("0", 32), 401},
		{"prefix", "Authorization: Bearer " + testToken[:31], 401},
		{"longer", "Authorization: Bearer " + testToken + "0", 401},
		{"basic", "Authorization: Basic " + testToken, 401},
		{"no scheme", "Authorization: " + testToken, 401},
		{"twice", "Authorization: Bearer " + testToken + "\r\nAuthorization: Bearer " + testToken, 401},
		{"alg none", "Authorization: Bearer " + algNone, 401},
		{"expired", "Authorization: Bearer " + expired, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, header, body := exchange(t, addr, post(addr, testCall, jsonType, tt.authorization))
			if status != tt.status {
				t.Fatalf("status %d, want %d: %s", status, tt.status, body)
			}
			if status == 401 && (header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(body, "result")) {
				t.Errorf("refused with %v %q", header, body)
			}
		})
	}
}

// A request must be addressed to us and, if it comes from a web page, to a page
// that is listed (J2).
func TestJ2HostAndOrigin(t *testing.T) {
	addr := serveHTTP(t, HTTPOptions{
		Namespaces: []string{"net"}, Hosts: []string{"localhost", "Node.Example"}, Origins: []string{"https://good.example"},
	})
	starred := serveHTTP(t, HTTPOptions{Namespaces: []string{"net"}, Hosts: []string{"*"}, Origins: []string{"*"}})
	_, port, _ := net.SplitHostPort(addr)
	for _, tt := range []struct {
		name, addr, host, origin string
		status                   int
	}{
		{"own address", addr, addr, "", 200},
		{"own address, other port", addr, "127.0.0.1:1", "", 200},
		{"own address without port", addr, "127.0.0.1", "", 200},
		{"listed", addr, "localhost:" + port, "", 200},
		{"listed, other case", addr, "NODE.example", "", 200},
		{"evil.com", addr, "evil.com", "", 403},
		{"suffix of a listed one", addr, "evil.localhost", "", 403},
		{"prefix of a listed one", addr, "localhost.evil.com", "", 403},
		{"raw IP", addr, "93.184.216.34", "", 403},
		{"other loopback", addr, "127.0.0.2:" + port, "", 403},
		{"IPv6 loopback", addr, "[::1]:" + port, "", 403},
		{"mapped own address", addr, "[::ffff:127.0.0.1]:" + port, "", 200},
		{"empty", addr, "", "", 403},
		{"port only", addr, ":" + port, "", 403},
		{"any host", starred, "evil.com", "", 200},
		{"any host, empty", starred, "", "", 403},

		{"listed origin", addr, addr, "https://good.example", 200},
		{"other origin", addr, addr, "https://evil.example", 403},
		{"other scheme", addr, addr, "http://good.example", 403},
		{"other port", addr, addr, "https://good.example:8443", 403},
		{"null", addr, addr, "null", 403},
		{"any origin", starred, addr, "https://evil.example", 200},
		{"any origin, null", starred, addr, "null", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := []string{jsonType}
			if tt.origin != "" {
				lines = append(lines, "Origin: "+tt.origin)
			}
			status, header, body := exchange(t, tt.addr, post(tt.host, testCall, lines...))
			if status != tt.status {
				t.Fatalf("status %d, want %d: %s", status, tt.status, body)
			}
			want := ""
			if status == 200 {
				want = tt.origin
			}
			if got := header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("Access-Control-Allow-Origin = %q, want %q", got, want)
			}
		})
	}
	t.Run("HTTP/1.0 without Host", func(t *testing.T) {
		request := fmt.Sprintf("POST / HTTP/1.0\r\nContent-Length: %d\r\n%s\r\n\r\n%s", len(testCall), jsonType, testCall)
		if status, _, _ := exchange(t, addr, request); status != 403 {
			t.Errorf("status %d, want 403", status)
		}
	})
}

// Preflights are answered for listed origins, and need no token (J2).
func TestJ2Preflight(t *testing.T) {
	addr := serveHTTP(t, HTTPOptions{Origins: []string{"https://good.example"}, Token: testToken})
	for origin, want := range map[string]int{"https://good.example": 204, "https://evil.example": 403, "null": 403, "": 403} {
		line := ""
		if origin != "" {
			line = "Origin: " + origin + "\r\n"
		}
		status, header, _ := exchange(t, addr, "OPTIONS / HTTP/1.1\r\nHost: "+addr+"\r\n"+line+"Access-Control-Request-Method: POST\r\n\r\n")
		if status != want {
			t.Errorf("preflight from %q: status %d, want %d", origin, status, want)
		}
		if got := header.Get("Access-Control-Allow-Headers"); (got == "Content-Type, Authorization") != (want == 204) {
			t.Errorf("preflight from %q: Access-Control-Allow-Headers = %q", origin, got)
		}
	}
}

// Requests that are too much in any respect are refused, at the price of what
// was read of them (J3).
func TestJ3Body(t *testing.T) {
	addr := serveHTTP(t, HTTPOptions{Namespaces: []string{"net"}})
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.CopyN(z, zeros{}, 64<<20)
	z.Close()
	batch := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(testCall+",", n), ",") + "]" }
	chunk := "10000\r\n" + strings.Repeat(" ", 0x10000) + "\r\n"
	for _, tt := range []struct {
		name, request string
		status        int
		body          string
	}{
		{"5 MiB", post(addr, testCall+strings.Repeat(" ", MaxBody-len(testCall)-1), jsonType), 200, `"result":"1"`},
		{"5 MiB+1", post(addr, testCall+strings.Repeat(" ", MaxBody-len(testCall)+1), jsonType), 413, "larger than 5 MiB"},
		{"claims 2^62", "POST / HTTP/1.1\r\nHost: " + addr + "\r\n" + jsonType + "\r\nContent-Length: 4611686018427387904\r\n\r\n", 413, "larger than 5 MiB"},
		{"chunked endless string", "POST / HTTP/1.1\r\nHost: " + addr + "\r\n" + jsonType + "\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"2\r\n{\"\r\n" + strings.Repeat(chunk, 100), 413, "larger than 5 MiB"},
		{"chunked endless space", "POST / HTTP/1.1\r\nHost: " + addr + "\r\n" + jsonType + "\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"2\r\n{}\r\n" + strings.Repeat(chunk, 100), 413, "larger than 5 MiB"},
		{"gzip bomb", post(addr, zipped.String(), jsonType, "Content-Encoding: gzip"), 415, "as it is"},
		{"identity", post(addr, testCall, jsonType, "Content-Encoding: identity"), 415, "as it is"},
		{"batch of 100", post(addr, batch(100), jsonType), 200, `"result":"1"`},
		{"batch of 101", post(addr, batch(101), jsonType), 400, "more than 100"},
		{"batch of 10^5", post(addr, "["+strings.Repeat("1,", 100_000)+"1]", jsonType), 400, "more than 100"},
		{"depth 10^5", post(addr, strings.Repeat("[", 100_000), jsonType), 400, "nested deeper"},
		{"depth 10^5 in params", post(addr, `{"jsonrpc":"2.0","id":1,"method":"net_version","params":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+"}", jsonType), 400, "nested deeper"},
		{"two requests", post(addr, testCall+testCall, jsonType), 400, "not exactly one"},
		{"no request", post(addr, "", jsonType), 400, "not exactly one"},
		{"half a request", post(addr, testCall[:20], jsonType), 400, "unexpected EOF"},
		{"not JSON", post(addr, "{nope}", jsonType), 400, "-32700"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, _, body := exchange(t, addr, tt.request)
			if status != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("status %d %.200q, want %d with %q", status, body, tt.status, tt.body)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A browser sends text/plain and forms anywhere without asking; they are refused
// before the body is looked at (J4).
func TestJ4ContentType(t *testing.T) {
	addr := serveHTTP(t, HTTPOptions{Namespaces: []string{"net"}})
	for contentType, want := range map[string]int{
		"application/json":                  200,
		"application/json; charset=utf-8":   200,
		"Application/JSON":                  200,
		"text/plain":                        415,
		"text/plain; application/json":      415,
		"application/x-www-form-urlencoded": 415,
		"multipart/form-data; boundary=x":   415,
		"application/jsonp":                 415,
		"":                                  415,
	} {
		if status, _, _ := exchange(t, addr, post(addr, testCall, "Content-Type: "+contentType)); status != want {
			t.Errorf("%q: status %d, want %d", contentType, status, want)
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "HEAD", "TRACE"} {
		if status, _, _ := exchange(t, addr, method+" / HTTP/1.1\r\nHost: "+addr+"\r\n"+jsonType+"\r\nContent-Length: 0\r\n\r\n"); status != 405 {
			t.Errorf("%s: status %d, want 405", method, status)
		}
	}
	if status, _, _ := exchange(t, addr, "POST /admin HTTP/1.1\r\nHost: "+addr+"\r\n"+jsonType+"\r\nContent-Length: 0\r\n\r\n"); status != 404 {
		t.Errorf("POST /admin: status %d, want 404", status)
	}
}

// A pipeListener hands out the far ends of in-memory connections, so that
// deadlines run on synctest's clock.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// A body that comes a byte a second is answered 408 after 30 s, not after 30 s
// for each byte (J3).
func TestJ3SlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { newTestServer().NewHTTPServer(HTTPOptions{Hosts: []string{"localhost"}}).Serve(ctx, l) })
		defer wg.Wait()
		defer cancel()

		conn := l.dial()
		defer conn.Close()
		start := time.Now()
		wg.Go(func() {
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\n"+jsonType+"\r\nContent-Length: 1000\r\n\r\n")
			for {
				<-time.After(time.Second) // virtual: the client's pace
				if _, err := io.WriteString(conn, " "); err != nil {
					return
				}
			}
		})
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); resp.StatusCode != 408 || took != CallTimeout {
			t.Errorf("status %d after %v, want 408 after %v", resp.StatusCode, took, CallTimeout)
		}
		conn.Close()
	})
}

// A header that does not end is cut off after 10 s.
func TestSlowHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { newTestServer().NewHTTPServer(HTTPOptions{}).Serve(ctx, l) })
		defer wg.Wait()
		defer cancel()

		conn := l.dial()
		defer conn.Close()
		start := time.Now()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: ")
		io.Copy(io.Discard, conn)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("closed after %v, want 10s", took)
		}
	})
}

// Connections beyond the limit wait for a place, and get one when another ends;
// closing one twice gives one place back.
func TestHTTPConnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newPipeListener()
		l := newLimitListener(inner)
		accepted := make(chan net.Conn, MaxConns+2)
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				accepted <- conn
			}
		})
		dialed := make(chan net.Conn, MaxConns+3)
		for range MaxConns + 2 {
			wg.Go(func() { dialed <- inner.dial() })
		}
		for _, want := range []int{MaxConns, 1, 1} {
			synctest.Wait()
			if len(accepted) != want {
				t.Fatalf("%d connections accepted, want %d", len(accepted), want)
			}
			for range want - 1 {
				<-accepted
			}
			conn := <-accepted
			conn.Close()
			conn.Close()
		}
		l.Close()
		wg.Wait()
		close(dialed)
		for conn := range dialed {
			conn.Close()
		}
	})
}
