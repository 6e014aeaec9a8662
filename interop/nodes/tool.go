package nodes

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// toolTimeout bounds one run of a command-line tool.
const toolTimeout = 2 * time.Minute

// An Output is what a command-line tool has printed and its exit code.
type Output struct {
	Stdout, Stderr string
	Code           int
}

// Tool runs a command-line tool to its end. A tool that cannot be run, or that
// does not end, fails the test.
func Tool(t testing.TB, path string, args ...string) Output {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir}
	cmd.SysProcAttr = endWithParent()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && (!exited || ctx.Err() != nil) {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), errors.Join(err, ctx.Err()), stderr.String())
	}
	return Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}
