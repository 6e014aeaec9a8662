package natlab

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/interop/nodes"
)

// A Program is what stands behind the gateway and is under test.
type Program struct {
	t       testing.TB
	process *process
	state   func() State // what it says now
}

// StartProbe starts the command natprobe inside, which uses package nat and nothing
// else, with a method as of --nat. It listens on a port.
func StartProbe(l *Lab, t testing.TB, method string, port int) *Program {
	t.Helper()
	p := start(t, l.lan, probe(t), "-nat", method, "-port", strconv.Itoa(port), "-seed", "of the lab")
	return &Program{t: t, process: p, state: func() (s State) {
		if lines := p.output(); len(lines) > 0 {
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}}
}

// Wait waits until the program says what is claimed, and returns that.
func (p *Program) Wait(within time.Duration, what string, claim func(State) bool) (s State) {
	p.t.Helper()
	took := nodes.Wait(p.t, within, what, func() bool {
		s = p.state()
		return claim(s)
	})
	p.t.Logf("%s: after %v", what, took.Round(10*time.Millisecond))
	return s
}

// Says reports whether the program's log has a text in it.
func (p *Program) Says(text string) bool { return strings.Contains(p.process.tail(1000), text) }

// Stop ends the program and waits for it.
func (p *Program) Stop() {
	p.t.Helper()
	if err := p.process.stop(); err != nil {
		p.t.Fatal(err)
	}
}

// Kill ends the program without letting it do anything more.
func (p *Program) Kill() {
	p.t.Helper()
	if err := p.process.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.process.ended
}

// Call connects from outside to endpoints, as TCP and as UDP, and reports which
// answer.
func (l *Lab) Call(tcp, udp string) (overTCP, overUDP bool) {
	l.t.Helper()
	var answer struct{ TCP, UDP bool }
	out := l.do("ip", "netns", "exec", l.wan, probe(l.t), "-call", tcp, "-calludp", udp)
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		l.t.Fatal(err)
	}
	return answer.TCP, answer.UDP
}

// built is the path of natprobe, once it is built.
var built = sync.OnceValues(func() (string, error) {
	out, err := run("", "go", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	file := filepath.Join(filepath.Dir(strings.TrimSpace(out)), "bin", "natprobe")
	_, err = run("", "go", "build", "-o", file, "parley/interop/natlab/cmd/natprobe")
	return file, err
})

// probe returns the path of natprobe, built from this work tree.
func probe(t testing.TB) string {
	t.Helper()
	file, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return file
}
