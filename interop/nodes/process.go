package nodes

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// killAfter is how long a program may take to end after it was asked to, before
// it is killed.
const killAfter = 20 * time.Second

// logTail is how many bytes of a program's log an error or a failed test shows.
const logTail = 4 << 10

// A process is a running program. It is ended by its id, never by its name.
type process struct {
	cmd     *exec.Cmd
	logFile string // standard output and error

	ended chan struct{} // closed when the program has ended; err is set then
	err   error
}

// startProcess starts a program whose files all lie in dir: that is its working
// directory, its home and the place of its log, log.txt. Of the environment it gets
// only the search path, so that no setting of the person running the tests
// changes them.
func startProcess(dir, path string, args ...string) (*process, error) {
	p := &process{logFile: dir + "/log.txt", ended: make(chan struct{})}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has its own descriptor
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = dir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = endWithParent()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// stop asks the program to end, kills it if it does not, and returns when it has
// ended, with the time that took. The error is nil if it ended by itself with
// exit code 0.
func (p *process) stop() (time.Duration, error) { return p.end(syscall.SIGTERM) }

// end is stop with a signal.
func (p *process) end(by os.Signal) (time.Duration, error) {
	asked := time.Now()
	if err := p.cmd.Process.Signal(by); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	select {
	case <-p.ended:
		return time.Since(asked), p.err
	case <-time.After(killAfter):
		p.kill()
		return time.Since(asked), fmt.Errorf("killed, because it did not end within %v", killAfter)
	}
}

// kill ends the program at once, and returns when it has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only if it has ended
	<-p.ended
}

// log returns what the program has printed so far.
func (p *process) log() string {
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// tail returns the last whole lines of a text, at most n bytes.
func tail(text string, n int) string {
	text = strings.TrimSpace(text)
	if len(text) <= n {
		return text
	}
	text = text[len(text)-n:]
	_, rest, _ := strings.Cut(text, "\n")
	return "…\n" + rest
}
