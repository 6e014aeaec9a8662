package nodes

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A NameServer is a running Knot DNS. It is alone in a network namespace, at port 53
// of 127.0.0.1 where the system's resolver asks, and at NameServerAddr. Programs
// that are to use it run there too and reach nothing else.
type NameServer struct {
	dir  string
	proc *process
}

// NameServerAddr is where a NameServer can be asked besides the port of DNS.
const NameServerAddr = "127.0.0.1:5300"

// knotConfig is the server's configuration; %[1]s is its directory, %[2]s the zone.
const knotConfig = `server:
    rundir: "%[1]s"
    listen: [ 127.0.0.1@53, 127.0.0.1@5300 ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "%[1]s/db"
log:
  - target: stderr
    any: info
zone:
  - domain: "%[2]s"
    file: "%[1]s/zone.txt"
`

// knotScript gives the server its loopback interface and those in its mount
// namespace a resolv.conf that names it.
const knotScript = `PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && mount --bind "$1/resolv.conf" /etc/resolv.conf && exec "$0" -c "$1/knot.conf"`

// StartNameServer starts the server with a zone file, whose records at the head of
// the zone, SOA and NS, are added here.
func StartNameServer(t testing.TB, knotd, zone, file string) *NameServer {
	t.Helper()
	const head = "$ORIGIN %s.\n@ 60 IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60\n@ 60 IN NS ns.invalid.\n"
	s := &NameServer{dir: newDir(t, "knot")}
	for name, text := range map[string]string{
		"knot.conf":   fmt.Sprintf(knotConfig, s.dir, zone),
		"zone.txt":    fmt.Sprintf(head, zone) + file,
		"resolv.conf": "nameserver 127.0.0.1\n",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--net", "--mount"}
	if os.Geteuid() != 0 {
		args = append(args, "--map-root-user") // of a new user namespace
	}
	args = append(args, "sh", "-c", knotScript, knotd, s.dir)
	var err error
	if s.proc, err = startProcess(s.dir, "unshare", args...); err != nil {
		t.Fatalf("name server: %v", err)
	}
	t.Cleanup(func() {
		if _, err := s.proc.stop(); err != nil {
			t.Errorf("name server: %v", err)
		}
		if t.Failed() {
			t.Logf("log of the name server:\n%s", tail(s.proc.log(), logTail))
		}
	})
	Wait(t, startTimeout, "the name server has started", func() bool {
		select {
		case <-s.proc.ended:
			t.Fatalf("name server: ended: %v\n%s", s.proc.err, tail(s.proc.log(), logTail))
		default:
		}
		return strings.Contains(s.proc.log(), "server started")
	})
	if loaded := fmt.Sprintf("[%s.] loaded, serial", zone); !strings.Contains(s.proc.log(), loaded) {
		t.Fatalf("name server: the zone is not loaded:\n%s", tail(s.proc.log(), logTail))
	}
	return s
}

// Tool is [Tool] where the server is. The system's resolver is the server if
// resolver is set; else it is what it is elsewhere, and cannot be reached. File
// names must be absolute.
func (s *NameServer) Tool(t testing.TB, resolver bool, path string, args ...string) Output {
	t.Helper()
	enter := []string{"--target", strconv.Itoa(s.proc.cmd.Process.Pid), "--net"}
	if resolver {
		enter = append(enter, "--mount")
	}
	if os.Geteuid() != 0 {
		enter = append(enter, "--user", "--preserve-credentials")
	}
	return Tool(t, "nsenter", append(append(enter, path), args...)...)
}
