// Package nodes starts nodes of several programs for tests, each on 127.0.0.1
// with ports of its own, asks them over their IPC sockets and ends them.
//
// What cannot be done fails the test, with the end of the node's log. A test may
// run many nodes, and many tests may run at once.
package nodes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
)

const (
	// startTimeout bounds the time until a node answers on its socket. Geth
	// takes a second if the machine has nothing else to do.
	startTimeout = 60 * time.Second

	// callTimeout bounds one call of a node's API.
	callTimeout = 20 * time.Second
)

// A Node is a running node with its IPC socket. It ends with the test.
type Node struct {
	Name   string // of the node in this test, such as geth-1
	Socket string // path of its IPC socket
	Info          // as of its start

	t    testing.TB
	dir  string   // its files
	path string   // of the program
	args []string // its command line
	proc *process
	rpc  *rpc.Client
}

// newDir makes the directory of a node. Its path is short, because a socket in it
// must fit into 104 bytes.
func newDir(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "parley-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// start runs a program as a node in dir and waits until it answers on the socket.
// Its port is the one after "--port", or any if that is 0.
func start(t testing.TB, logs, name, dir, socket, path string, args ...string) *Node {
	t.Helper()
	n := &Node{Name: name, Socket: socket, t: t, dir: dir, path: path, args: args}
	n.run()
	t.Cleanup(func() {
		if n.rpc != nil {
			n.rpc.Close()
		}
		_, _ = n.proc.stop() // the test is failing or over
		if t.Failed() {
			n.keepLog(logs)
		}
	})
	return n
}

// run starts the program and waits until it answers.
func (n *Node) run() {
	n.t.Helper()
	var err error
	n.Info = Info{}
	if n.proc, err = startProcess(n.dir, n.path, n.args...); err != nil {
		n.t.Fatalf("%s: start: %v", n.Name, err)
	}
	deadline := time.Now().Add(startTimeout)
	for n.rpc = nil; ; {
		if n.rpc == nil {
			ctx, cancel := context.WithDeadline(context.Background(), deadline)
			n.rpc, err = rpc.DialIPC(ctx, n.Socket)
			cancel()
		}
		if n.rpc != nil {
			if err = n.TryCall(&n.Info, "admin_nodeInfo"); err == nil && n.Ports.Listener != 0 {
				return
			}
		}
		select {
		case <-n.proc.ended:
			err = fmt.Errorf("ended: %w", n.proc.err)
		case <-time.After(20 * time.Millisecond):
			if time.Now().Before(deadline) {
				continue
			}
		}
		_, _ = n.proc.stop() // the test is failing or over
		n.t.Fatalf("%s: does not answer on %s: %v\n%s", n.Name, n.Socket, err, tail(n.proc.log(), logTail))
	}
}

// Restart ends the program and starts it again with the same files, key and
// port.
func (n *Node) Restart() {
	n.t.Helper()
	n.rpc.Close()
	if _, err := n.proc.stop(); err != nil {
		n.t.Fatalf("%s: stop: %v", n.Name, err)
	}
	n.again("--port", strconv.Itoa(n.Ports.Listener))
}

// again starts the program with the files and key that it had, and with other
// values for some of its options.
func (n *Node) again(options ...string) {
	n.t.Helper()
	n.args = slices.Clone(n.args)
	for o := range slices.Chunk(options, 2) {
		n.args[slices.Index(n.args, o[0])+1] = o[1]
	}
	n.run()
}

// keepLog copies the node's log to where it outlives the test, and shows its end.
func (n *Node) keepLog(logs string) {
	dir := filepath.Join(logs, filepath.FromSlash(n.t.Name()))
	file := filepath.Join(dir, n.Name+".txt")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(n.proc.log()), 0o644)
	}
	if err != nil {
		n.t.Logf("%s: log not kept: %v", n.Name, err)
		return
	}
	n.t.Logf("%s: log kept in %s, which ends:\n%s", n.Name, file, tail(n.proc.log(), logTail))
}

// URL returns the enode URL at which the other nodes of a test reach the node. A
// node that does not know its address may show another one.
func (n *Node) URL() string {
	key, _, _ := strings.Cut(strings.TrimPrefix(n.Enode, "enode://"), "@")
	return fmt.Sprintf("enode://%s@127.0.0.1:%d", key, n.Ports.Listener)
}

// TryCall calls a method of the node's API; result is a pointer, or nil.
func (n *Node) TryCall(result any, method string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := n.rpc.CallContext(ctx, result, method, args...); err != nil {
		return fmt.Errorf("%s: %s: %w", n.Name, method, err)
	}
	return nil
}

// Call is TryCall; an error fails the test.
func (n *Node) Call(result any, method string, args ...any) {
	n.t.Helper()
	if err := n.TryCall(result, method, args...); err != nil {
		n.t.Fatal(err)
	}
}

// Peers returns what admin_peers says.
func (n *Node) Peers() []Peer {
	n.t.Helper()
	var peers []Peer
	n.Call(&peers, "admin_peers")
	return peers
}

// EthPeer returns the peer with an ID if the node shows it and its Status exchange
// is done.
func (n *Node) EthPeer(id string) (Peer, Eth, bool) {
	n.t.Helper()
	for _, p := range n.Peers() {
		if e, ok := p.Eth(); ok && p.ID == id {
			return p, e, true
		}
	}
	return Peer{}, Eth{}, false
}

// AddPeer has the node keep a connection to the node at an enode URL.
func (n *Node) AddPeer(enode string) { n.t.Helper(); n.do("admin_addPeer", enode) }

// RemovePeer has the node end its connection to the node at an enode URL and dial
// it no more.
func (n *Node) RemovePeer(enode string) { n.t.Helper(); n.do("admin_removePeer", enode) }

// do calls a method whose result is true.
func (n *Node) do(method string, args ...any) {
	n.t.Helper()
	var done bool
	n.Call(&done, method, args...)
	if !done {
		n.t.Fatalf("%s: %s = false, want true", n.Name, method)
	}
}

// PID returns the id of the node's process.
func (n *Node) PID() int { return n.proc.cmd.Process.Pid }

// Signal sends a signal to the node's process.
func (n *Node) Signal(s os.Signal) {
	n.t.Helper()
	if err := n.proc.cmd.Process.Signal(s); err != nil {
		n.t.Fatalf("%s: %v: %v", n.Name, s, err)
	}
}

// Stop asks the program to end and waits for that. It returns the time it took, and
// an error unless the exit code was 0.
func (n *Node) Stop() (time.Duration, error) { return n.proc.stop() }

// Interrupt is Stop by the signal that a terminal's Ctrl-C sends.
func (n *Node) Interrupt() (time.Duration, error) { return n.proc.end(os.Interrupt) }
