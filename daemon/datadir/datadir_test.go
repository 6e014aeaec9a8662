//go:build unix

package datadir

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const keyText = "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291" // of EIP-778's example

// TestMain lets the test binary be the second process: with this variable set it
// opens the directory and holds it until its standard input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DATADIR_TEST_HOLD"); dir != "" {
		if _, err := Open(dir); err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString("held\n")
		bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hold starts a second process on dir and returns its first line and what ends it.
func hold(t *testing.T, dir string) (line string, pid int, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DATADIR_TEST_HOLD="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() { stdin.Close(); cmd.Wait() })
	t.Cleanup(end)
	line, _ = bufio.NewReader(stdout).ReadString('\n')
	return strings.TrimSpace(line), cmd.Process.Pid, end
}

// The second process on a directory fails and names the first; when that has
// ended, however it did, the directory is free (I7).
func TestI7TwoProcesses(t *testing.T) {
	dir := t.TempDir()
	line, pid, end := hold(t, dir)
	if line != "held" {
		t.Fatalf("first process: %s", line)
	}
	_, err := Open(dir)
	if e, ok := errors.AsType[*InUseError](err); !ok || e.PID != pid || e.Dir != dir {
		t.Fatalf("Open = %v, want an InUseError with process %d", err, pid)
	}
	want := "datadir: " + dir + " is in use by process " + strconv.Itoa(pid) + ": stop that one, or give this one its own with --datadir"
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	end()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if line, _, _ := hold(t, dir); !strings.Contains(line, "in use by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("second process: %s", line)
	}
	d.Close()
}

// A damaged key file is an error that tells what is wrong; it stays as it is, and
// nothing of it is repeated (I5).
func TestI5DamagedKey(t *testing.T) {
	const order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
	for name, tt := range map[string]struct{ text, want string }{
		"empty":           {"", "empty"},
		"newlines only":   {"\n\n", "empty"},
		"63 hex":          {keyText[:63], "63"},
		"65 hex":          {keyText + "0", "65"},
		"0x":              {"0x" + keyText, "0x"},
		"torn":            {keyText[:17], "17"},
		"zeros of a tear": {keyText[:32] + strings.Repeat("\x00", 32), "digit"},
		"not hex":         {strings.Replace(keyText, "7", "g", 1), "digit"},
		"zero":            {strings.Repeat("0", 64), "zero"},
		"N":               {order, "order"},
		"above N":         {strings.Repeat("f", 64), "order"},
		"3 newlines":      {keyText + "\n\n\n", "newline"},
		"two keys":        {keyText + "\n" + keyText, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			os.WriteFile(d.KeyFile(), []byte(tt.text), 0o600)
			key, made, err := d.NodeKey()
			if err == nil || made || key != nil {
				t.Fatalf("NodeKey = %v, made %v, %v; want an error", key, made, err)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), d.KeyFile()) {
				t.Errorf("error %q does not tell %q and the file", err, tt.want)
			}
			if len(tt.text) > 8 && strings.Contains(err.Error(), tt.text[:8]) && tt.text[:8] != "00000000" {
				t.Errorf("error %q repeats the key", err)
			}
			if text, _ := os.ReadFile(d.KeyFile()); string(text) != tt.text {
				t.Errorf("the file has %q now", text)
			}
		})
	}
}

// A key that others can read is refused, with what to do (I5).
func TestI5Mode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o604, 0o660, 0o666, 0o601} {
		path := filepath.Join(t.TempDir(), "key")
		os.WriteFile(path, []byte(keyText), 0o600)
		os.Chmod(path, mode)
		if _, err := ReadKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %v: %v, want a refusal", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		path := filepath.Join(t.TempDir(), "key")
		os.WriteFile(path, []byte(keyText+"\n"), 0o600)
		os.Chmod(path, mode)
		if _, err := ReadKey(path); err != nil {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	for name, make := range map[string]func(string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":      func(path string) error { return exec.Command("mkfifo", "-m", "600", path).Run() },
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKey(path); err == nil || !strings.Contains(err.Error(), "is not a file") {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
}

// The first start makes a key, mode 0600 whatever the umask, and later starts have
// the same; the directory is the owner's only (I5).
func TestI5NewKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "down")
	var ids []string
	for i := range 3 {
		d, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		key, made, err := d.NodeKey()
		if err != nil || made != (i == 0) {
			t.Fatalf("start %d: made %v, %v", i, made, err)
		}
		pub := key.Public()
		ids = append(ids, string(pub[:]))
		if info, _ := os.Stat(d.KeyFile()); info.Mode() != 0o600 || info.Size() != 65 {
			t.Errorf("key file: mode %v, %d bytes; want 0600 and 65", info.Mode(), info.Size())
		}
		if info, _ := os.Stat(filepath.Dir(d.KeyFile())); info.Mode().Perm() != 0o700 {
			t.Errorf("directory has mode %v", info.Mode())
		}
		d.Close()
	}
	if ids[0] != ids[1] || ids[1] != ids[2] {
		t.Error("the identity changed")
	}
	if entries, _ := os.ReadDir(filepath.Join(dir, "parley")); len(entries) != 2 {
		t.Errorf("files %v, want LOCK and nodekey only", entries)
	}
}

// Of many writers of one new file exactly one wins, and what is there is whole
// and its own (I5).
func TestI5WriteNewRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	const writers = 50
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() { errs[i] = WriteNew(path, []byte(strings.Repeat(strconv.Itoa(i%10), 64))) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("writers %d and %d both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, fs.ErrExist):
			t.Errorf("writer %d: %v, want %v", i, err, fs.ErrExist)
		}
	}
	if text, err := os.ReadFile(path); winner < 0 || string(text) != strings.Repeat(strconv.Itoa(winner%10), 64) {
		t.Errorf("winner %d, file %q, %v", winner, text, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left, want 1", len(entries))
	}
}

// A token is made once; one that is too short or readable by others is refused.
func TestToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	first, err := Token(path)
	if err != nil || len(first) != 64 {
		t.Fatalf("Token = %q, %v; want 64 digits", first, err)
	}
	if info, _ := os.Stat(path); info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if again, err := Token(path); again != first || err != nil {
		t.Errorf("Token again = %q, %v; want %q", again, err, first)
	}
	os.Chmod(path, 0o644)
	if _, err := Token(path); err == nil {
		t.Error("a token that others can read was accepted")
	}
	for _, bad := range []string{"", "short", strings.Repeat("x", 31), strings.Repeat("x", 40) + "\n" + strings.Repeat("y", 40), strings.Repeat("é", 40)} {
		path := filepath.Join(t.TempDir(), "token")
		os.WriteFile(path, []byte(bad), 0o600)
		if _, err := Token(path); err == nil {
			t.Errorf("token %q was accepted", bad)
		}
	}
}

// A bare name of a socket lies in the directory, a path is taken as it is.
func TestSocket(t *testing.T) {
	for name, want := range map[string]string{
		"parley.ipc": "/data/parley.ipc", "/run/p.ipc": "/run/p.ipc", "./p.ipc": "./p.ipc", "sub/p.ipc": "sub/p.ipc",
	} {
		if got := Socket("/data", name); got != want {
			t.Errorf("Socket(/data, %s) = %s, want %s", name, got, want)
		}
	}
}
