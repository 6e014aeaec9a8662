package nodes

import (
	"cmp"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Parley is a running `parley run`.
type Parley struct{ *Node }

// ParleyOptions says how a parley is started.
type ParleyOptions struct {
	Path    string // of the program
	Logs    string // directory for the logs of failed tests
	Name    string // of the node in this test; empty means parley
	Network *Network

	Bootnodes []string // URLs
	Args      []string // more options

	// Namespace is the network namespace to run in, for which the test has to be
	// root. There the node listens on all addresses and knows no limits; Args say
	// at which port, and NAT how it learns where it is. Empty means that of the test.
	Namespace string
	NAT       string // empty means none
}

// StartParley starts a parley on a network, or in mirror mode if there is none
// in the options. Without a namespace it sends nothing but to 127.0.0.0/8.
func StartParley(t testing.TB, o ParleyOptions) *Parley {
	t.Helper()
	if o.Name == "" {
		o.Name = "parley"
	}
	dir := newDir(t, o.Name)
	socket := filepath.Join(dir, "parley.ipc")
	args := []string{
		"run", "--datadir", filepath.Join(dir, "data"), "--ipcpath", socket,
		"--bootnodes", strings.Join(o.Bootnodes, ","), "--discovery.dns", "",
		"--nat", cmp.Or(o.NAT, "none"),
	}
	if o.Namespace == "" {
		args = append(args, "--listen.addr", "127.0.0.1", "--port", "0", "--netrestrict", "127.0.0.0/8")
	}
	if o.Network != nil {
		args = append(args,
			"--networkid", strconv.FormatUint(o.Network.ID, 10),
			"--eth.genesis", o.Network.GenesisHash,
			"--eth.forkid", o.Network.ForkID)
	} else {
		args = append(args, "--network", "any")
	}
	if o.Namespace != "" {
		// ip becomes the program, which is ended by its id as ever.
		args = append([]string{"netns", "exec", o.Namespace, o.Path}, args...)
		o.Path = "ip"
	}
	return &Parley{start(t, o.Logs, o.Name, dir, socket, o.Path, append(args, o.Args...)...)}
}

// Crash kills the program, which has no time to tell anybody or to write anything,
// and starts it again with the same files and key, without bootnodes, and at another
// port, so that nobody finds it before it has looked for others.
func (p *Parley) Crash() {
	p.t.Helper()
	p.rpc.Close()
	p.proc.kill()
	p.again("--bootnodes", "", "--port", "0")
}

// Explain returns what the node knows about the node with an ID.
func (p *Parley) Explain(id string) Explanation {
	p.t.Helper()
	var e Explanation
	p.Call(&e, "p2p_explain", id)
	return e
}
