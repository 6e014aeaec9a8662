package natlab

import (
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/interop/nodes"
)

// Addresses of the lab.
const (
	Inside4  = "192.168.77.2"
	Inside6  = "2a0e:77::2"
	Gateway4 = "192.168.77.1"
	External = "25.25.25.1" // of the gateway at first
)

// soon is how long a program may take to be ready.
const soon = 20 * time.Second

// A Lab is four namespaces: programs run in lan, the gateway in gw, what is outside
// in wan, and another host beside lan.
type Lab struct {
	t            testing.TB
	lan, gw, wan string // names of the namespaces
	neighbour    string // of another host inside
	dir          string // files of the gateway
	external     string // its address outside
	gateway      *process
}

// Open builds the namespaces and starts the gateway and three STUN servers. The
// test's end takes everything down.
func Open(t testing.TB) *Lab {
	t.Helper()
	namespace := namespaces(t)
	l := &Lab{
		t: t, lan: namespace("lan"), gw: namespace("gw"), wan: namespace("wan"), neighbour: namespace("next"),
		dir: t.TempDir(), external: External,
	}
	l.do("ip", "-n", l.gw, "link", "add", "home", "type", "bridge")
	for i, n := range []string{l.lan, l.neighbour} {
		port := fmt.Sprintf("port%d", i+1)
		l.do("ip", "link", "add", "inside", "netns", n, "type", "veth", "peer", "name", port, "netns", l.gw)
		l.do("ip", "-n", l.gw, "link", "set", port, "master", "home", "up")
	}
	l.do("ip", "link", "add", "outside", "netns", l.wan, "type", "veth", "peer", "name", "line", "netns", l.gw)
	for _, a := range []struct{ namespace, device, addrs string }{
		{l.lan, "inside", Inside4 + "/24 " + Inside6 + "/64"},
		{l.neighbour, "inside", "192.168.77.3/24"},
		{l.gw, "home", Gateway4 + "/24 2a0e:77::1/64 fe80::1/64"},
		{l.gw, "line", External + "/24 2a0e:25::1/64"},
		{l.wan, "outside", "25.25.25.2/24 25.25.25.3/24 25.25.25.4/24 2a0e:25::2/64"},
	} {
		for _, addr := range strings.Fields(a.addrs) {
			args := []string{"-n", a.namespace, "addr", "add", addr, "dev", a.device}
			if strings.Contains(addr, ":") {
				args = append(args, "nodad") // there is nobody else
			}
			l.do("ip", args...)
		}
		l.do("ip", "-n", a.namespace, "link", "set", a.device, "up")
	}
	l.SetRoute(true)
	l.do("ip", "-n", l.neighbour, "route", "add", "default", "via", Gateway4)
	l.do("ip", "-n", l.lan, "-6", "route", "add", "default", "via", "fe80::1", "dev", "inside")
	l.do("ip", "-n", l.wan, "-6", "route", "add", "2a0e:77::/64", "via", "2a0e:25::1")
	l.do("ip", "netns", "exec", l.gw, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	l.StartGateway()
	for _, addr := range []string{"25.25.25.2", "25.25.25.3", "25.25.25.4"} {
		l.startSTUN(addr)
	}
	return l
}

// namespaces returns what makes namespaces for a test. They are deleted after all
// that the test started later has ended.
func namespaces(t testing.TB) func(name string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("natlab: network namespaces need root: sudo make interop-nat")
	}
	install(t)
	sweep(t)
	return func(name string) string {
		t.Helper()
		// Tests run side by side, and their names differ.
		name = fmt.Sprintf("natlab-%d-%08x-%s", os.Getpid(), crc32.ChecksumIEEE([]byte(t.Name())), name)
		if _, err := run("", "ip", "netns", "add", name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := run("", "ip", "netns", "del", name); err != nil {
				t.Error(err)
			}
		})
		// Nobody else can have an address, so none is waited for.
		if _, err := run("", "ip", "netns", "exec", name, "sysctl", "-qw",
			"net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0"); err != nil {
			t.Fatal(err)
		}
		if _, err := run("", "ip", "-n", name, "link", "set", "lo", "up"); err != nil {
			t.Fatal(err)
		}
		return name
	}
}

// do runs a command that has to succeed.
func (l *Lab) do(name string, args ...string) string {
	l.t.Helper()
	out, err := run("", name, args...)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// SetRoute gives the inside a default route for IPv4, or takes it away.
func (l *Lab) SetRoute(on bool) {
	l.t.Helper()
	verb := "del"
	if on {
		verb = "add"
	}
	l.do("ip", "-n", l.lan, "route", verb, "default", "via", Gateway4)
}

// install installs what is missing, once.
func install(t testing.TB) {
	t.Helper()
	for _, program := range []string{"ip", "nft", "miniupnpd", "turnserver"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		t.Log("natlab: installing miniupnpd, coturn, nftables and iproute2")
		if _, err := run("", "apt-get", "update", "-q"); err != nil {
			t.Fatal(err)
		}
		if _, err := run("", "apt-get", "install", "-q", "-y", "--no-install-recommends",
			"miniupnpd", "miniupnpd-nftables", "coturn", "nftables", "iproute2", "procps"); err != nil {
			t.Fatal(err)
		}
		return
	}
}

// sweep deletes the namespaces of test processes that were killed, and their files.
func sweep(t testing.TB) {
	t.Helper()
	list, err := filepath.Glob("/run/netns/natlab-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range list {
		name := filepath.Base(path)
		pid, err := strconv.Atoi(strings.Split(name, "-")[1])
		if err != nil {
			continue
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
			continue
		}
		if _, err := run("", "ip", "netns", "del", name); err != nil {
			t.Fatal(err)
		}
		os.RemoveAll(filepath.Join("/etc/netns", name))
	}
}

// startSTUN starts a STUN server outside.
func (l *Lab) startSTUN(addr string) {
	l.t.Helper()
	p := start(l.t, l.wan, "turnserver", "-n", "--stun-only", "--no-cli", "--no-tls", "--no-dtls",
		"-L", addr, "-p", "3478", "--log-file", "stdout", "--pidfile", filepath.Join(l.dir, "turn-"+addr),
		"--userdb", filepath.Join(l.dir, "turndb-"+addr))
	nodes.Wait(l.t, soon, "the STUN server listens at "+addr, func() bool {
		select {
		case <-p.ended:
			l.t.Fatalf("turnserver has ended:\n%s", p.tail(20))
		default:
		}
		return strings.Contains(l.do("ip", "netns", "exec", l.wan, "ss", "-uln"), addr+":3478")
	})
}
