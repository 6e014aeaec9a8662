package programs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// nameServerPackages has a DNS server, and what gives it a network of its own.
var nameServerPackages = []string{"knot", "util-linux", "iproute2"}

// NameServer returns the path of knotd, the daemon of Knot DNS. If it or one of the
// tools for namespaces is missing they are installed with apt-get, which needs
// root or sudo.
func (s *Set) NameServer() (string, error) { return s.nameServer() }

func (s *Set) findNameServer() (string, error) {
	missing := func() error {
		for _, name := range []string{"knotd", "unshare", "nsenter", "ip"} {
			if _, err := system(name); err != nil {
				return err
			}
		}
		return nil
	}
	if missing() != nil {
		fmt.Fprintf(s.notes, "interop: installing %v with apt-get\n", nameServerPackages)
		if err := apt(nameServerPackages); err != nil {
			return "", err
		}
	}
	if err := missing(); err != nil {
		return "", err
	}
	return system("knotd")
}

// apt installs packages of the system.
func apt(packages []string) error {
	var root []string
	if os.Geteuid() != 0 {
		root = []string{"sudo", "-n"}
	}
	for _, args := range [][]string{
		{"apt-get", "update", "-q"},
		append([]string{"apt-get", "install", "-q", "-y", "--no-install-recommends"}, packages...),
	} {
		args = append(root[:len(root):len(root)], args...)
		if _, err := run("", []string{"DEBIAN_FRONTEND=noninteractive"}, args[0], args[1:]...); err != nil {
			return fmt.Errorf("%w\nInstall %v by hand", err, packages)
		}
	}
	return nil
}

// system returns the path of a program of the system. Those for administrators are
// not in everyone's search path.
func system(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("programs: %s is not installed", name)
}
