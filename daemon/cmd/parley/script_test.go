package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"parley/daemon/ipc"
	"parley/daemon/jsonrpc"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"parley": main, "bootnode": main})
}

// The scripts run the program as users do. Besides testscript's commands they have
//
//	exits CODE CMD…           run CMD and check its exit code
//	masked CMD…               run CMD and print its output without times, ports and ids; see masks
//	start NAME ARGS…          run "parley run ARGS…" in the background until it listens; its URL is $NAME
//	spawn NAME PATTERN ARGS…  run "parley ARGS…" in the background until it prints a line that matches; $NAME is the match in brackets
//	boot NAME CMD…            run CMD in the background until it is a bootnode; its URL is $NAME, its output NAME.out
//	logs NAME PATTERN         wait for a line of its log that matches
//	end NAME SIGNAL CODE      send the signal and check that it ends within 2 s with the code
//	hangup NAME               send it SIGHUP
//	log NAME PATTERN          check that its log, as far as it was read, has a line that matches
//	rpc DATADIR METHOD PARAMS print the result of a call over IPC
//	post NAME TOKENFILE BODY  print what the node's HTTP server answers; - sends no token
//	zone NAME FILE            serve a zone file; the name server's address is $NAME
//	nodes N FILE              write a nodes.json with N nodes
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			nodes := make(map[string]*process)
			env.Values[nodesKey{}] = nodes
			env.Defer(func() {
				for _, p := range nodes {
					p.cmd.Process.Kill()
					p.wait()
				}
			})
			env.Setenv("HOME", env.WorkDir+"/home")
			env.Setenv("GORACE", "atexit_sleep_ms=10") // not a second for each command
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"masked": masked,
			"start":  start,
			"spawn":  spawn,
			"logs":   logs,
			"end":    end,
			"log":    logged,
			"hangup": hangup,
			"rpc":    rpc,
			"post":   post,
			"boot":   boot,
			"zone":   serveZone,
			"nodes":  writeNodes,
		},
	})
}

type nodesKey struct{}

// A process is a node in the background.
type process struct {
	cmd   *exec.Cmd
	wait  func() error
	lines chan string // of its log; closed at the end
	log   []string    // those read from lines
}

func node(ts *testscript.TestScript, name string) *process {
	p := ts.Value(nodesKey{}).(map[string]*process)[name]
	if p == nil {
		ts.Fatalf("there is no node %s", name)
	}
	return p
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = e.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// start starts a node on the loopback interface that knows nobody outside.
func start(ts *testscript.TestScript, neg bool, args []string) {
	local := []string{"parley", "run", "--port", "0", "--listen.addr", "127.0.0.1", "--nat", "none", "--bootnodes", "", "--discovery.dns", ""}
	p := background(ts, args[0], false, append(local, args[1:]...))
	ts.Setenv(args[0], p.find(ts, `enode"?[=:]"?(enode://[^" ]*)`)[1])
}

// spawn runs a command of parley until it prints what is waited for.
func spawn(ts *testscript.TestScript, neg bool, args []string) {
	name, pattern := args[0], args[1]
	match := background(ts, name, true, append([]string{"parley"}, args[2:]...)).find(ts, pattern)
	if len(match) > 1 {
		ts.Setenv(name, match[1])
	}
}

// boot starts a bootnode.
func boot(ts *testscript.TestScript, neg bool, args []string) {
	background(ts, args[0], false, args[1:]).find(ts, "Bootnode up ")
	url, _, _ := strings.Cut(ts.ReadFile(args[0]+".out"), "\n")
	ts.Setenv(args[0], url)
}

// background starts a process whose standard output goes to the file NAME.out or,
// if mixed, to its log like the rest.
func background(ts *testscript.TestScript, name string, mixed bool, args []string) *process {
	path := ts.MkAbs(args[0])
	if !strings.Contains(args[0], "/") {
		found, err := exec.LookPath(args[0]) // testscript.Main has put it into PATH
		ts.Check(err)
		path = found
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	if mixed {
		cmd.Stdout = cmd.Stderr
	} else {
		stdout, err := os.Create(ts.MkAbs(name + ".out"))
		ts.Check(err)
		defer stdout.Close()
		cmd.Stdout = stdout
	}
	ts.Check(cmd.Start())
	p := &process{cmd: cmd, wait: sync.OnceValue(cmd.Wait), lines: make(chan string, 1000)}
	go func() {
		defer close(p.lines)
		for scan := bufio.NewScanner(stderr); scan.Scan(); {
			p.lines <- scan.Text()
		}
	}()
	ts.Value(nodesKey{}).(map[string]*process)[name] = p
	return p
}

func logs(ts *testscript.TestScript, neg bool, args []string) {
	node(ts, args[0]).find(ts, args[1])
}

func logged(ts *testscript.TestScript, neg bool, args []string) {
	log := strings.Join(node(ts, args[0]).log, "\n")
	if !regexp.MustCompile(args[1]).MatchString(log) {
		ts.Fatalf("the log of %s has no %q:\n%s", args[0], args[1], log)
	}
}

// find waits for a line that matches. Lines before it are skipped for good.
func (p *process) find(ts *testscript.TestScript, pattern string) []string {
	re := regexp.MustCompile(pattern)
	timeout := time.After(60 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				ts.Fatalf("the node ended before it logged %q:\n%s", pattern, strings.Join(p.log, "\n"))
			}
			p.log = append(p.log, line)
			if match := re.FindStringSubmatch(line); match != nil {
				return match
			}
		case <-timeout:
			ts.Fatalf("the node did not log %q:\n%s", pattern, strings.Join(p.log, "\n"))
		}
	}
}

func end(ts *testscript.TestScript, neg bool, args []string) {
	p := node(ts, args[0])
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}
	began := time.Now()
	ts.Check(p.cmd.Process.Signal(signals[args[1]]))
	for line := range p.lines {
		p.log = append(p.log, line)
	}
	p.wait()
	if code := strconv.Itoa(p.cmd.ProcessState.ExitCode()); code != args[2] {
		ts.Fatalf("%s ended with code %s, want %s:\n%s", args[0], code, args[2], strings.Join(p.log, "\n"))
	}
	if took := time.Since(began); took > 2*time.Second {
		ts.Fatalf("%s took %v to end", args[0], took)
	}
}

func hangup(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(node(ts, args[0]).cmd.Process.Signal(syscall.SIGHUP))
}

func rpc(ts *testscript.TestScript, neg bool, args []string) {
	conn, err := ipc.Dial(context.Background(), ts.MkAbs(args[0])+"/parley.ipc")
	ts.Check(err)
	client := jsonrpc.NewClient(conn)
	defer client.Close()
	var params []any
	for _, arg := range args[2:] {
		params = append(params, arg)
	}
	var result json.RawMessage
	err = client.Call(context.Background(), &result, args[1], params...)
	if (err != nil) != neg {
		ts.Fatalf("%s: %s %v", args[1], result, err)
	}
	if err != nil {
		io.WriteString(ts.Stderr(), err.Error()+"\n")
	}
	ts.Stdout().Write(append(result, '\n'))
}

func post(ts *testscript.TestScript, neg bool, args []string) {
	p := node(ts, args[0])
	url := ""
	for _, line := range p.log {
		if match := regexp.MustCompile(`url=(\S+)`).FindStringSubmatch(line); match != nil {
			url = match[1]
		}
	}
	req, err := http.NewRequest("POST", url, strings.NewReader(args[2]))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	if args[1] != "-" {
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[1])))
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	io.WriteString(ts.Stdout(), resp.Status+"\n"+string(text))
}
