package natlab

import (
	"encoding/json"
	"iter"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/enode"
	"parley/interop/nodes"
	"parley/interop/programs"
)

// A Runner is a `parley run` in the lab.
type Runner struct {
	*nodes.Parley
	t    testing.TB
	port int
}

var installed = sync.OnceValues(func() (*programs.Set, error) { return programs.Open(os.Stderr) })

// parleyPath returns the path of parley, built from this work tree, and where logs
// of failed tests are kept.
func parleyPath(t testing.TB) (path, logs string) {
	t.Helper()
	set, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	if path, err = set.Parley(); err != nil {
		t.Fatal(err)
	}
	return path, set.LogDir()
}

// RunInside starts a parley behind the gateway, with a method of --nat, that
// listens on a port.
func (l *Lab) RunInside(t testing.TB, method string, port int) *Runner {
	t.Helper()
	return startParley(t, l.lan, "inside-"+strconv.Itoa(port), method, port)
}

// RunOutside starts a parley outside, which knows nobody.
func (l *Lab) RunOutside(t testing.TB) *Runner {
	t.Helper()
	return startParley(t, l.wan, "outside", "none", 30303)
}

func startParley(t testing.TB, namespace, name, method string, port int) *Runner {
	t.Helper()
	path, logs := parleyPath(t)
	network := nodes.Private()
	return &Runner{t: t, port: port, Parley: nodes.StartParley(t, nodes.ParleyOptions{
		Path: path, Logs: logs, Name: name, Network: &network, Namespace: namespace, NAT: method,
		Args: []string{"--port", strconv.Itoa(port)},
	})}
}

// Record returns the node's record as admin_nodeInfo tells it now.
func (r *Runner) Record() *enode.Node {
	r.t.Helper()
	var info nodes.Info
	r.Call(&info, "admin_nodeInfo")
	n, err := enode.Parse(info.ENR)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// WaitRecord waits until the node's record names the endpoints, of each family one
// or none, for TCP and for UDP, and returns it.
func (r *Runner) WaitRecord(within time.Duration, what string, want ...netip.AddrPort) (n *enode.Node) {
	r.t.Helper()
	took := nodes.Wait(r.t, within, what, func() bool {
		n = r.Record()
		for _, at := range want {
			if !has(n.TCPEndpoints, at) || !has(n.UDPEndpoints, at) {
				return false
			}
		}
		return true
	})
	r.t.Logf("%s: after %v", what, took.Round(10*time.Millisecond))
	return n
}

func has(endpoints func() iter.Seq[netip.AddrPort], at netip.AddrPort) bool {
	for e := range endpoints() {
		if e == at {
			return true
		}
	}
	return false
}

// At returns the enode URL of the node at an endpoint.
func (r *Runner) At(endpoint netip.AddrPort) string {
	key, _, _ := strings.Cut(strings.TrimPrefix(r.Enode, "enode://"), "@")
	return "enode://" + key + "@" + endpoint.String()
}

// The questions that Ask knows: over RLPx until Hello, and by discovery.
const (
	overRLPx = "ping"
	byV4     = "discv4 ping"
	byV5     = "discv5 ping"
)

// Ask asks the node at a URL from outside, and returns the questions that had no
// answer. Who is asked over RLPx accepts no other connection from there for 30 s.
func (l *Lab) Ask(url string, questions ...string) (failed []string) {
	l.t.Helper()
	return ask(l.t, l.wan, url, questions)
}

// ask asks a node from a namespace.
func ask(t testing.TB, namespace, url string, questions []string) (failed []string) {
	t.Helper()
	path, _ := parleyPath(t)
	for _, command := range questions {
		args := append([]string{"netns", "exec", namespace, path}, strings.Fields(command)...)
		out, err := run("", "ip", append(args, "--json", "--timeout", "3s", url)...)
		var answer struct{ OK bool }
		if err != nil || json.Unmarshal([]byte(out), &answer) != nil || !answer.OK {
			failed = append(failed, command)
		}
	}
	return failed
}
