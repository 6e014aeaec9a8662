package nodedb

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"parley/enode"
)

// written returns the content of a file with n nodes and one number.
func written(t testing.TB, n int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nodes.db")
	db := Open(path, Options{})
	for i := range n {
		node, ep := record(t, i, 1)
		db.Proven(start, node, ep)
		if i%100 == 50 { // so that there is more than one version of pages
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.StoreSeq("self x", 77); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever happened to the file, a start succeeds within two seconds and the
// database works. A node that is still there is as it was; nothing is invented.
func TestI1Damage(t *testing.T) {
	good := written(t, 300)
	rng := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(fastDir(t), "nodes.db")
	n, ep := record(t, 5000, 1)
	values := make(map[enode.ID]string)
	os.WriteFile(path, good, 0o600)
	db := Open(path, Options{})
	for id, it := range db.items {
		values[id] = string(appendItem(nil, id, it))
	}
	db.Close()
	var aside, kept int
	for i := range 1000 {
		bad := bytes.Clone(good)
		switch at := rng.IntN(len(bad)); i % 5 {
		case 0: // a bit anywhere
			bad[at] ^= 1 << rng.IntN(8)
		case 1: // a bit in a header or an element, which lead to other places
			bad[at/pageSize*pageSize+rng.IntN(200)] ^= 1 << rng.IntN(8)
		case 2:
			bad = bad[:at]
		case 3:
			clear(bad[at:min(len(bad), at+1+rng.IntN(2*pageSize))])
		case 4: // a page in the place of another
			copy(bad[at/pageSize*pageSize:], bad[rng.IntN(len(bad)/pageSize)*pageSize:][:pageSize])
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		db := Open(path, Options{})
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("case %d: start took %v", i, took)
		}
		s := db.Status()
		if !s.Persistent || s.Nodes > 300 {
			t.Fatalf("case %d: Status = %+v", i, s)
		}
		if s.Aside != "" {
			aside++
			if b, err := os.ReadFile(s.Aside); err != nil || !bytes.Equal(b, bad) {
				t.Fatalf("case %d: the file set aside is not the damaged one: %v", i, err)
			}
		}
		kept += s.Nodes
		for id, it := range db.items {
			if string(appendItem(nil, id, it)) != values[id] {
				t.Fatalf("case %d: node %v is not as it was written", i, id)
			}
		}
		if seq, ok := db.Seq("self x"); ok && seq != 77 {
			t.Errorf("case %d: number = %d", i, seq)
		}
		if i%10 < 5 { // the disk is slow: work on with every other
			db.Proven(start, n, ep)
			if err := db.Close(); err != nil {
				t.Fatalf("case %d: Close: %v", i, err)
			}
			db = Open(path, Options{})
			if _, ok := db.Get(n.ID()); !ok || db.Status().Aside != "" {
				t.Fatalf("case %d: after a restart: %+v", i, db.Status())
			}
		}
		if i%100 == 0 { // signatures take long
			if got, want := len(db.Entries()), db.Status().Nodes; got != want {
				t.Errorf("case %d: %d entries of %d nodes can be read", i, got, want)
			}
		}
		db.Close()
	}
	t.Logf("%d of 1000 set aside, %d of 300 nodes kept on average", aside, kept/1000)
	if aside < 200 || kept < 1000*50 {
		t.Errorf("%d set aside, %d kept: the cases do not show both", aside, kept)
	}
}

// Pages that lead in a circle, which would never end.
func TestI1Circle(t *testing.T) {
	good := written(t, 300)
	branches := 0
	for at := 2 * pageSize; at < len(good); at += pageSize {
		if binary.NativeEndian.Uint16(good[at+8:]) != branchPage {
			continue
		}
		branches++
		bad := bytes.Clone(good)
		binary.NativeEndian.PutUint64(bad[at+pageHeader+8:], uint64(at/pageSize))
		path := filepath.Join(t.TempDir(), "nodes.db")
		os.WriteFile(path, bad, 0o600)
		if err := check(bad); err == nil && bytes.Equal(newestMeta(bad), newestMeta(good)) && used(good)[at/pageSize] {
			t.Errorf("page %d leads to itself, and nobody sees it", at/pageSize)
		}
		if s := open(t, path).Status(); !s.Persistent {
			t.Errorf("Status = %+v", s)
		}
	}
	if branches == 0 {
		t.Error("the file has no branch page")
	}
}

// used tells which pages the tree in data uses.
func used(data []byte) []bool {
	m := newestMeta(data)
	c := &checker{data: data, pages: binary.NativeEndian.Uint64(m[40:])}
	c.seen = make([]bool, c.pages)
	if err := c.bucket(binary.NativeEndian.Uint64(m[16:]), 0); err != nil {
		panic(err)
	}
	return c.seen
}

// Things that are not our file.
func TestI4NotOurs(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"I4 future version": func(path string) error {
			Open(path, Options{}).Close()
			return edit(path, func(tx *bbolt.Tx) error {
				return tx.Bucket(metaBucket).Put(versionKey, binary.BigEndian.AppendUint64(nil, version+1))
			})
		},
		"other program": func(path string) error {
			return edit(path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err })
		},
		"text":     func(path string) error { return os.WriteFile(path, []byte("hello"), 0o600) },
		"one page": func(path string) error { return os.WriteFile(path, zeros(1), 0o600) },
		"zeros":    func(path string) error { return os.WriteFile(path, zeros(10), 0o600) },
		"too large": func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 10*MaxFile)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "nodes.db")
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Stat(path)
			s := open(t, path).Status()
			if !s.Persistent || s.Aside != path+".aside" || s.Nodes != 0 {
				t.Fatalf("Status = %+v", s)
			}
			if after, err := os.Stat(s.Aside); err != nil || after.Size() != before.Size() {
				t.Errorf("set aside: %v, %v", after, err)
			}
		})
	}
}

// edit changes a file behind our back.
func edit(path string, f func(tx *bbolt.Tx) error) error {
	file, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: pageSize})
	if err != nil {
		return err
	}
	return errors.Join(file.Update(f), file.Close())
}

// Values that are damaged or make no sense are skipped; the others are kept.
func TestI4Entries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	os.WriteFile(path, written(t, 5), 0o600)
	n, ep := record(t, 100, 1)
	it := newItem(n)
	it.endpoint = ep
	other, _ := record(t, 101, 1)
	noRecord := *it
	noRecord.self = []byte("no record")
	err := edit(path, func(tx *bbolt.Tx) error {
		b := tx.Bucket(nodesBucket)
		id, oid := n.ID(), other.ID()
		return errors.Join(
			b.Put([]byte("short"), appendItem(nil, id, it)),
			b.Put(id[:], nil),
			b.Put(oid[:], appendItem(nil, id, it)),
			b.Put(bytes.Repeat([]byte{1}, 32), appendItem(nil, enode.ID(bytes.Repeat([]byte{1}, 32)), &noRecord)),
			b.Put(bytes.Repeat([]byte{2}, 32), appendItem(nil, enode.ID(bytes.Repeat([]byte{2}, 32)), it)),
			tx.Bucket(seqsBucket).Put([]byte("x"), make([]byte, numberLen)),
			tx.Bucket(seqsBucket).Put([]byte("y"), nil),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, path)
	if s := db.Status(); !s.Persistent || s.Aside != "" {
		t.Errorf("Status = %+v", s)
	}
	if got := len(db.Entries()); got != 5 {
		t.Errorf("%d entries, want the 5 good ones", got)
	}
	if n, ok := db.Seq("self x"); n != 77 || !ok {
		t.Errorf("number = %d, %v", n, ok)
	}
	if _, ok := db.Seq("x"); ok {
		t.Error("a damaged number was taken")
	}
}

// A file that cannot be made, or set aside, stops nothing.
func TestI3Open(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	os.WriteFile(file, []byte("x"), 0o600)
	os.MkdirAll(filepath.Join(dir, "bad.db.aside", "full"), 0o700)
	os.WriteFile(filepath.Join(dir, "bad.db"), []byte("x"), 0o600)
	for _, path := range []string{filepath.Join(file, "nodes.db"), filepath.Join(dir, "bad.db"), os.DevNull} {
		log, text := logged()
		db := Open(path, Options{Logger: log})
		fill(t, db, 3)
		if s := db.Status(); s.Persistent || s.Problem == nil || s.Nodes != 3 {
			t.Errorf("%s: Status = %+v", path, s)
		}
		if got := strings.Count(text.String(), "\n"); got != 1 {
			t.Errorf("%s: %d log lines: %s", path, got, text)
		}
		if err := db.StoreSeq("x", 1); !errors.Is(err, ErrNotStored) {
			t.Errorf("%s: StoreSeq = %v", path, err)
		}
		if err := db.StoreSeq("x", 0); !errors.Is(err, ErrLower) {
			t.Errorf("%s: StoreSeq of a lower number = %v", path, err)
		}
		db.Close()
	}
	// A folder is where the file goes.
	if s := open(t, dir).Status(); !s.Persistent {
		t.Errorf("folder: %+v", s)
	}
	if _, err := os.Stat(filepath.Join(dir, "nodes.db")); err != nil {
		t.Error(err)
	}
}

// A write that fails is tried again each minute, with one warning, and what
// was to be written is.
func TestI3Write(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	synctest.Test(t, func(t *testing.T) {
		log, text := logged()
		db := Open(path, Options{Logger: log})
		db.disk.Lock()
		db.file.MaxSize = 1 // the disk is full
		db.disk.Unlock()
		fill(t, db, 500)
		for i := range uint64(10) {
			_ = db.StoreSeq("x", i) // there is room for this, or not
			if err := db.Flush(); err == nil {
				t.Error("Flush to a full disk = nil")
			}
			time.Sleep(time.Second) //nolint:forbidigo // the clock is synctest's
		}
		synctest.Wait()
		if s := db.Status(); s.Persistent || s.Nodes != 500 {
			t.Errorf("Status = %+v", s)
		}
		if got := strings.Count(text.String(), "\n"); got != 1 {
			t.Errorf("%d log lines in ten seconds: %s", got, text)
		}
		db.disk.Lock()
		db.file.MaxSize = MaxFile
		db.disk.Unlock()
		time.Sleep(2 * retryAfter) //nolint:forbidigo // the clock is synctest's
		synctest.Wait()
		if s := db.Status(); !s.Persistent {
			t.Errorf("Status after there is room again = %+v", s)
		}
		db.Close()
	})
	db := open(t, path)
	if n, _ := db.Seq("x"); n != 9 || db.Status().Nodes != 500 {
		t.Errorf("after a restart: %d nodes, number %d", db.Status().Nodes, n)
	}
}

// childEnv tells the test binary to be the process that is killed.
const childEnv = "NODEDB_TEST_CHILD"

// TestChild is not a test: TestI2Kill runs it in a process of its own.
func TestChild(t *testing.T) {
	path := os.Getenv(childEnv)
	if path == "" {
		return
	}
	db := Open(path, Options{})
	first, _ := db.Seq("self x")
	io.WriteString(os.Stdout, "open "+strconv.FormatBool(db.Status().Persistent && db.Status().Aside == "")+"\n")
	for i := first; ; i++ {
		if err := db.StoreSeq("self x", i); err != nil {
			return
		}
		io.WriteString(os.Stdout, "stored "+strconv.FormatUint(i, 10)+"\n")
		n, ep := record(t, int(i%2000), i)
		db.Proven(time.Now(), n, ep)
		if db.Flush() == nil {
			io.WriteString(os.Stdout, "nodes "+strconv.Itoa(db.Status().Nodes)+"\n")
		}
	}
}

// Killed at 50 random moments of writing without pause, the file opens each
// time, is not damaged, and has every number and node that was confirmed.
func TestI2Kill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	rng := rand.New(rand.NewPCG(1, 2))
	var stored uint64
	nodes := 0
	for i := range 50 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var timer *time.Timer
		for lines.Scan() {
			word, value, _ := strings.Cut(lines.Text(), " ")
			switch word {
			case "open":
				if value != "true" {
					t.Fatalf("kill %d: the file did not open", i)
				}
				timer = time.AfterFunc(time.Duration(rng.IntN(50)*int(time.Millisecond)), func() { cmd.Process.Kill() })
			case "stored":
				stored, _ = strconv.ParseUint(value, 10, 64)
			case "nodes":
				nodes, _ = strconv.Atoi(value)
			}
		}
		if timer == nil {
			t.Fatal("the child said nothing")
		}
		cmd.Wait() // killed
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(b); err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
	}
	db := open(t, path)
	if n, ok := db.Seq("self x"); !ok || n < stored || db.Status().Nodes < nodes || db.Status().Aside != "" {
		t.Errorf("number %d of %d, %+v of %d nodes", n, stored, db.Status(), nodes)
	}
	t.Logf("%d numbers, %d nodes", stored, nodes)
}

func FuzzItem(f *testing.F) {
	n, ep := record(f, 1, 1)
	it := newItem(n)
	it.endpoint = ep
	id := n.ID()
	f.Add(id[:], appendItem(nil, id, it)[4:])
	f.Add([]byte("name"), appendNumber(nil, "name", number{n: 1})[4:])
	f.Fuzz(func(t *testing.T, key, rest []byte) {
		value := append(binary.BigEndian.AppendUint32(nil, sum(key, rest)), rest...)
		if id, it, err := new(shelf).parse(key, value); err == nil {
			if !bytes.Equal(appendItem(nil, id, it), value) {
				t.Errorf("%x is written differently", value)
			}
			_, _ = it.node(id)
		}
		if name, num, err := parseNumber(key, value); err == nil && !bytes.Equal(appendNumber(nil, name, num), value) {
			t.Errorf("%x is written differently", value)
		}
	})
}

// No file makes check panic or go on for ever.
func FuzzCheck(f *testing.F) {
	good := written(f, 50)
	f.Add(uint32(2*pageSize), uint32(0))
	f.Fuzz(func(t *testing.T, at, value uint32) {
		bad := bytes.Clone(good)
		binary.NativeEndian.PutUint32(bad[int(at)%(len(bad)-4):], value)
		_ = check(bad)
	})
}

// What a start costs with a full database.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "nodes.db")
	db := Open(path, Options{})
	fill(b, db, MaxNodes)
	db.Close()
	for b.Loop() {
		db := Open(path, Options{})
		if db.Status().Nodes != MaxNodes {
			b.Fatal(db.Status())
		}
		db.Close()
	}
}

// fastDir returns a folder in memory if there is one: thousands of fsyncs take
// minutes elsewhere, and show nothing here.
func fastDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "nodedb")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func zeros(pages int) []byte { return make([]byte, pages*pageSize) }
