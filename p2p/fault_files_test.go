//go:build linux || darwin

package p2p

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/rlpx"
)

// childFiles is set to the number of file descriptors that the test binary is to
// have as a server in a process of its own.
const childFiles = "PARLEY_P2P_TEST_FILES"

// A report is what the child tells of itself.
type report struct {
	Peers    int
	Refused  uint64  // for want of room
	Accepts  int64   // calls of Accept
	Warnings int     // lines of log
	Seconds  float64 // since its start
}

// A countingListener counts the calls of Accept.
type countingListener struct {
	*net.TCPListener
	calls atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	l.calls.Add(1)
	return l.TCPListener.Accept()
}

// TestChild is the server of other tests: it prints its address, then a report for
// each line that it reads, and ends with its input. Otherwise it does nothing.
func TestChild(t *testing.T) {
	files, err := strconv.ParseUint(os.Getenv(childFiles), 10, 32)
	if err != nil {
		return
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: files}); err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log, l, began := new(lines), &countingListener{TCPListener: tcp.(*net.TCPListener)}, time.Now()
	s := &Server{Config: Config{
		PrivateKey: testKey(1), MaxPeers: 1000, NoDial: true, Listener: l, DiscAddr: "127.0.0.1:0",
		NodeDatabase: filepath.Join(t.TempDir(), "nodes.db"), Logger: slog.New(log), Protocols: []Protocol{idleProtocol()},
	}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	out := json.NewEncoder(os.Stdout)
	out.Encode(s.Addr().String())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		st := s.Stats()
		log.mu.Lock()
		out.Encode(report{st.Peers, st.Refused[GateQuota], l.calls.Load(), len(log.text), time.Since(began).Seconds()})
		log.mu.Unlock()
	}
}

// A child is a server in a process of its own with few file descriptors.
type child struct {
	t    *testing.T
	in   io.WriteCloser
	out  *json.Decoder
	addr string
}

func startChild(t *testing.T, files int) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", childFiles, files), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, in: in, out: json.NewDecoder(stdout)}
	t.Cleanup(func() {
		in.Close()
		rest, _ := io.ReadAll(io.MultiReader(c.out.Buffered(), stdout))
		if err := cmd.Wait(); err != nil || !strings.Contains(string(rest), "PASS") {
			t.Errorf("the server ended with %v:\n%s", err, rest)
		}
	})
	if err := c.out.Decode(&c.addr); err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	return c
}

func (c *child) report() (r report) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		c.t.Fatal(err)
	}
	if err := c.out.Decode(&r); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// join makes a peer of a new connection with the n-th key.
func (c *child) join(n int) (*rlpx.Conn, error) {
	fd, err := net.Dial("tcp", c.addr)
	if err != nil {
		return nil, err
	}
	fd.SetDeadline(time.Now().Add(20 * time.Second)) // comes only if nobody answers
	key := testKey(n)
	conn, err := rlpx.Initiate(fd, key, testKey(1).Public(), nil)
	if err != nil {
		fd.Close()
		return nil, err
	}
	hello := &Hello{Version: 5, Name: "stranger", Caps: []Cap{{"idle", 1}}, PublicKey: key.Public()}
	payload, err := hello.append(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := conn.WriteMsg(codeHello, payload); err != nil {
		conn.Close()
		return nil, err
	}
	m, err := conn.ReadMsg()
	if err != nil || m.Code != codeHello {
		conn.Close()
		return nil, fmt.Errorf("message %#x instead of Hello, %w", m.Code, err)
	}
	fd.SetDeadline(time.Time{})
	conn.SetSnappy(true)
	return conn, nil
}

// A9: a server with 64 file descriptors, at the accept call. That somebody is let in
// within a second after one was freed is in TestA9AcceptErrors.
func TestA9FewFiles(t *testing.T) { fewFiles(t, 64) }

// L7: a server with 256 file descriptors and one processor.
func TestL7FewFiles(t *testing.T) { fewFiles(t, 256) }

// fewFiles tests a server that has few file descriptors. It has as many peers as it
// has file descriptors for. Whoever comes then is turned away, without a busy loop
// and with at most one line of log a second; when peers leave others take their
// places, and those that stayed are served all the while.
func fewFiles(t *testing.T, files int) {
	server := startChild(t, files)
	attempts := files + 24
	var all sync.WaitGroup
	var mu sync.Mutex
	var peers []*rlpx.Conn
	defer func() {
		for _, conn := range peers {
			conn.Close()
		}
	}()
	turned, next := 0, make(chan int)
	for range 24 {
		all.Go(func() {
			for n := range next {
				conn, err := server.join(1000 + n)
				mu.Lock()
				switch {
				case err == nil:
					peers = append(peers, conn)
				case errors.Is(err, os.ErrDeadlineExceeded):
					t.Errorf("attempt %d was neither let in nor turned away", n)
				default:
					turned++
				}
				mu.Unlock()
			}
		})
	}
	for n := range attempts {
		next <- n
	}
	close(next)
	all.Wait()
	full := server.report()
	t.Logf("%d of %d attempts are peers, %d were turned away; %+v", len(peers), attempts, turned, full)
	if len(peers) < files-32 || len(peers) >= files || full.Refused == 0 {
		t.Errorf("%d peers, %d refused; want a few less than %d peers, and refusals", len(peers), full.Refused, files)
	}
	if full.Warnings == 0 || float64(full.Warnings) > full.Seconds+1 {
		t.Errorf("%d lines of log in %.1f s, want one a second at most", full.Warnings, full.Seconds)
	}
	if most := int64(attempts + 40 + 4*int(full.Seconds)); full.Accepts > most {
		t.Errorf("Accept was called %d times for %d connections in %.1f s, want at most %d", full.Accepts, attempts, full.Seconds, most)
	}

	const leave = 20
	for _, conn := range peers[:leave] {
		conn.Close()
	}
	peers = peers[leave:]
	for n, again := 0, 0; again < leave; n++ {
		if n > 100*attempts {
			t.Fatalf("after %d left only %d could come", leave, again)
		}
		if conn, err := server.join(5000 + n); err == nil {
			peers = append(peers, conn)
			again++
		}
	}
	if err := peers[0].WriteMsg(codePing, emptyList[:]); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := peers[0].ReadMsg()
		if err != nil {
			t.Fatalf("a peer that stayed is not answered: %v", err)
		}
		if m.Code == codePong {
			break
		}
	}
}
