package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience bounds the whole test, the build included.
const patience = 2 * time.Minute

// A node is a running chat process.
type node struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

// start runs the program. It is killed when the test or its time is over.
func (p program) start(args ...string) *node {
	p.t.Helper()
	n := &node{t: p.t, name: fmt.Sprint("chat ", args), cmd: exec.CommandContext(p.ctx, p.path, args...)}
	in, err := n.cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	n.in, n.out, n.cmd.Stderr = in, bufio.NewScanner(out), os.Stderr
	if err := n.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { n.cmd.Process.Kill(); n.cmd.Wait() })
	return n
}

// next returns the next line that the process prints, whatever it is.
func (n *node) next() string {
	n.t.Helper()
	if !n.out.Scan() {
		n.t.Fatalf("%s: output ended: %v", n.name, n.out.Err())
	}
	return n.out.Text()
}

// expect reads one line, which must be want.
func (n *node) expect(want string) {
	n.t.Helper()
	if got := n.next(); got != want {
		n.t.Fatalf("%s printed %q, want %q", n.name, got, want)
	}
}

// say types a line.
func (n *node) say(line string) {
	n.t.Helper()
	if _, err := io.WriteString(n.in, line+"\n"); err != nil {
		n.t.Fatal(err)
	}
}

// ended waits for the process, which must end with status 0.
func (n *node) ended() {
	n.t.Helper()
	if err := n.cmd.Wait(); err != nil {
		n.t.Errorf("%s: %v", n.name, err)
	}
}

type program struct {
	t    *testing.T
	ctx  context.Context
	path string
}

func build(t *testing.T) program {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	p := program{t, ctx, filepath.Join(t.TempDir(), "chat.exe")}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", p.path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return p
}

func TestChat(t *testing.T) {
	chat := build(t)
	t.Run("two processes", func(t *testing.T) { chat.in(t).converse() })
	t.Run("mistakes", func(t *testing.T) { chat.in(t).mistakes() })
}

func (p program) in(t *testing.T) program { p.t = t; return p }

// Two processes hear each other; what one of them says cannot do anything to the
// other's terminal; and each learns that the other left.
func (p program) converse() {
	t := p.t
	alice := p.start()
	url := alice.next()
	if !strings.HasPrefix(url, "enode://") {
		t.Fatalf("the first line is %q, want an enode URL", url)
	}
	bob := p.start("-peer", url)
	if got := bob.next(); !strings.HasPrefix(got, "enode://") || got == url {
		t.Fatalf("the second node prints %q, want an enode URL of its own", got)
	}

	aliceID, bobID := joined(bob), joined(alice)
	if aliceID == bobID {
		t.Fatalf("both nodes have the ID %s", aliceID)
	}
	alice.say("hello, bob")
	bob.expect(aliceID + ": hello, bob")
	bob.say("hello, \x1b[31malice\x1b[0m \u202e✓")
	alice.expect(bobID + ": hello, ?[31malice?[0m ?✓")
	alice.say(strings.Repeat("x", 5000))
	alice.expect("* not sent: the line is too long")

	// The end of the input ends one, an interrupt the other.
	bob.say("bye")
	bob.in.Close()
	alice.expect(bobID + ": bye")
	alice.expect("* " + bobID + " left")
	bob.expect("* " + aliceID + " left")
	bob.ended()
	if err := alice.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	alice.ended()
}

// joined returns the ID of the peer that the node greets next.
func joined(n *node) string {
	n.t.Helper()
	id, ok := strings.CutSuffix(n.next(), " joined")
	id, star := strings.CutPrefix(id, "* ")
	if !ok || !star || len(id) != 16 {
		n.t.Fatalf("%s: no peer has joined: %q", n.name, id)
	}
	return id
}

// A mistake on the command line ends the program with a sentence about it.
func (p program) mistakes() {
	t := p.t
	for _, test := range []struct{ flag, value, want string }{
		{"-peer", "enode://1234@127.0.0.1:1", "public key"},
		{"-nodekey", filepath.Join(t.TempDir(), "none"), "none"},
		{"-listen", "nowhere", "nowhere"},
	} {
		out, err := exec.CommandContext(p.ctx, p.path, test.flag, test.value).CombinedOutput()
		if err == nil || !strings.Contains(string(out), test.want) {
			t.Errorf("chat %s %s: %v, %q; want an error about %q", test.flag, test.value, err, out, test.want)
		}
	}
}
