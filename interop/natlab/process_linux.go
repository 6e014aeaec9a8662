package natlab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// killAfter is how long a program may take to end after it was asked to.
const killAfter = 10 * time.Second

// A process is a program in a namespace. It is ended by its id.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended

	mu    sync.Mutex
	lines []string // of standard output
	log   []string // of standard error
}

// start starts a program in a namespace and ends it with the test at the latest.
// If the test fails, the end of its log is shown.
func start(t testing.TB, namespace, name string, args ...string) *process {
	t.Helper()
	p := &process{ended: make(chan struct{})}
	// ip becomes the program: it has the id that is known here.
	p.cmd = exec.Command("ip", append([]string{"netns", "exec", namespace, name}, args...)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	complaints, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		var readers sync.WaitGroup
		readers.Go(func() { p.read(out, &p.lines) })
		readers.Go(func() { p.read(complaints, &p.log) })
		readers.Wait()
		_ = p.cmd.Wait() // how it ended is for stop to judge
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.stop() // the test has judged it, or failed before
		if t.Failed() {
			t.Logf("%s %s:\n%s", name, strings.Join(args, " "), p.tail(40))
		}
	})
	return p
}

// read collects lines until the program has closed its end.
func (p *process) read(from io.Reader, lines *[]string) {
	for scanner := bufio.NewScanner(from); scanner.Scan(); {
		p.mu.Lock()
		*lines = append(*lines, scanner.Text())
		p.mu.Unlock()
	}
}

// output returns the lines of standard output so far.
func (p *process) output() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines[:len(p.lines):len(p.lines)]
}

// tail returns the last lines that the program printed on either output.
func (p *process) tail(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(slices.Concat(p.lines[max(0, len(p.lines)-n):], p.log[max(0, len(p.log)-n):]), "\n")
}

// stop asks the program to end, waits for it, and kills it if it takes too long.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(killAfter):
		_ = p.cmd.Process.Kill() // fails only if it has ended
		<-p.ended
		return fmt.Errorf("natlab: %s did not end within %v", p.cmd, killAfter)
	}
}

// run runs a command to its end, with text as its standard input, and returns what
// it printed.
func run(text, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1") // apt starts no services then
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("natlab: %s %s: %w\n%s", name, strings.Join(args, " "), err, complaint.String())
	}
	return string(out), nil
}
