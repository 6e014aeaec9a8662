package nodes

import (
	"path/filepath"
	"strconv"
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
	Args    []string // more options
}

// StartParley starts a parley on a network, or in mirror mode if there is none
// in the options.
func StartParley(t testing.TB, o ParleyOptions) *Parley {
	t.Helper()
	if o.Name == "" {
		o.Name = "parley"
	}
	dir := newDir(t, o.Name)
	socket := filepath.Join(dir, "parley.ipc")
	args := []string{
		"run", "--datadir", filepath.Join(dir, "data"), "--ipcpath", socket,
		"--listen.addr", "127.0.0.1", "--port", "0", "--netrestrict", "127.0.0.0/8",
		"--nat", "none", "--bootnodes", "", "--discovery.dns", "",
	}
	if o.Network != nil {
		args = append(args,
			"--networkid", strconv.FormatUint(o.Network.ID, 10),
			"--eth.genesis", o.Network.GenesisHash,
			"--eth.forkid", o.Network.ForkID)
	} else {
		args = append(args, "--network", "any")
	}
	return &Parley{start(t, o.Logs, o.Name, dir, socket, o.Path, append(args, o.Args...)...)}
}

// Explain returns what the node knows about the node with an ID.
func (p *Parley) Explain(id string) Explanation {
	p.t.Helper()
	var e Explanation
	p.Call(&e, "p2p_explain", id)
	return e
}
