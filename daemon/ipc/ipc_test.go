//go:build linux

package ipc

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// socketPath returns a path that is short enough for a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// echo accepts connections and sends back what they send, until l is closed.
func echo(t *testing.T, l net.Listener) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.Copy(conn, conn)
			conn.Close()
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
}

// says returns what comes back for a word.
func says(t *testing.T, path string) (string, error) {
	t.Helper()
	conn, err := Dial(t.Context(), path)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	io.WriteString(conn, "word")
	conn.(*net.UnixConn).CloseWrite()
	text, err := io.ReadAll(conn)
	return string(text), err
}

// The socket has mode 0600 while umask is 0, and never any other: a watcher that
// looks all the time sees nothing else (J5).
func TestJ5Mode(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Dir(socketPath(t))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	seen := make(map[fs.FileMode]int)
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if info, err := os.Lstat(filepath.Join(dir, "s")); err == nil {
				seen[info.Mode()]++
			}
		}
	})
	const tries = 200
	for range tries {
		l, err := Listen(filepath.Join(dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(l.Path()); err != nil || info.Mode() != fs.ModeSocket|0o600 {
			t.Fatalf("mode %v, %v; want %v", info.Mode(), err, fs.ModeSocket|0o600)
		}
		l.Close()
	}
	close(stop)
	wg.Wait()
	if len(seen) > 1 || seen[fs.ModeSocket|0o600] == 0 {
		t.Errorf("modes seen in %d tries: %v, want only %v", tries, seen, fs.ModeSocket|0o600)
	}
}

// What is in the socket's place is removed only if it is a socket on which nobody
// answers (J5).
func TestJ5Place(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		path := socketPath(t)
		os.WriteFile(path, []byte("mine"), 0o600)
		_, err := Listen(path)
		if err == nil || !strings.Contains(err.Error(), "there is a file in its place") {
			t.Errorf("Listen: %v", err)
		}
		if text, _ := os.ReadFile(path); string(text) != "mine" {
			t.Errorf("the file has %q now", text)
		}
	})
	t.Run("directory", func(t *testing.T) {
		path := socketPath(t)
		os.Mkdir(path, 0o700)
		if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "there is a directory in its place") {
			t.Errorf("Listen: %v", err)
		}
	})
	for name, target := range map[string]string{"link to a file": "file", "link to nothing": "nothing", "link to a stale socket": "stale"} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			dir := filepath.Dir(path)
			os.WriteFile(filepath.Join(dir, "file"), []byte("mine"), 0o600)
			makeStale(t, filepath.Join(dir, "stale"))
			os.Symlink(filepath.Join(dir, target), path)
			_, err := Listen(path)
			if err == nil || !strings.Contains(err.Error(), "there is a symbolic link in its place") {
				t.Errorf("Listen: %v", err)
			}
			if to, err := os.Readlink(path); err != nil || to != filepath.Join(dir, target) {
				t.Errorf("the link leads to %q now, %v", to, err)
			}
			if _, err := os.Lstat(filepath.Join(dir, "nothing")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something was made behind the link: %v", err)
			}
		})
	}
	t.Run("living socket", func(t *testing.T) {
		path := socketPath(t)
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, l)
		if _, err := Listen(path); !errors.Is(err, ErrInUse) {
			t.Errorf("second Listen: %v, want %v", err, ErrInUse)
		}
		if text, err := says(t, path); text != "word" {
			t.Errorf("the first is gone: %q, %v", text, err)
		}
	})
	t.Run("stale socket", func(t *testing.T) {
		path := socketPath(t)
		makeStale(t, path)
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, l)
		if text, err := says(t, path); text != "word" {
			t.Errorf("says %q, %v", text, err)
		}
	})
}

// makeStale leaves a socket behind as a process does that is killed.
func makeStale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

// Close removes the socket, but not what has taken its place.
func TestClose(t *testing.T) {
	path := socketPath(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	l.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}

	if l, err = Listen(path); err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	os.WriteFile(path, []byte("mine"), 0o600)
	l.Close()
	if text, _ := os.ReadFile(path); string(text) != "mine" {
		t.Errorf("what took the socket's place is gone")
	}
}

// A connection of another user is closed unread; the kernel says whose it is (J5).
func TestJ5Owner(t *testing.T) {
	path := socketPath(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	var uid uint32
	var known bool
	refuse := errors.New("not you")
	verdicts := []error{refuse, nil}
	l.trusted = func(conn net.Conn) error {
		uid, known, err = peerUID(conn)
		verdict := verdicts[0]
		verdicts = verdicts[1:]
		return verdict
	}
	echo(t, l)
	if text, err := says(t, path); text != "" {
		t.Errorf("a refused connection was answered %q, %v", text, err)
	}
	if text, err := says(t, path); text != "word" {
		t.Errorf("the owner's connection after it was answered %q, %v", text, err)
	}
	if !known || uid != uint32(os.Geteuid()) || err != nil {
		t.Errorf("peerUID = %d, %v, %v; want %d", uid, known, err, os.Geteuid())
	}

	for _, tt := range []struct {
		uid     uint32
		own     int
		trusted bool
	}{{1000, 1000, true}, {0, 1000, true}, {1001, 1000, false}, {1000, 0, false}, {0, 0, true}, {1<<32 - 1, -1, false}} {
		if got := trustedUID(tt.uid, tt.own); got != tt.trusted {
			t.Errorf("trustedUID(%d, %d) = %v, want %v", tt.uid, tt.own, got, tt.trusted)
		}
	}
}

// A path that does not fit is named with the limit, not as an invalid argument.
func TestPathTooLong(t *testing.T) {
	path := "/" + strings.Repeat("x", maxPath)
	for _, err := range []error{
		func() error { _, err := Listen(path); return err }(),
		func() error { _, err := Dial(context.Background(), path); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "the path has 108 bytes, and the system allows 107") {
			t.Errorf("error %v does not tell the limit", err)
		}
	}
}
