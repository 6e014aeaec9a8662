package nodedb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"parley/enode"
)

// Reasons why a database has no file. Others come from the operating system.
var (
	ErrNoFile = errors.New("nodedb: no file was asked for")
	ErrLocked = errors.New("nodedb: the file is in use by another process")
	ErrClosed = errors.New("nodedb: closed")
)

// version is that of the format of keys and values. A file with a higher one
// belongs to a newer program and is set aside as it is.
const version = 1

// What is in the file: three buckets, and one for notes if there are any.
var (
	metaBucket  = []byte("parley") // "version": 8 bytes
	nodesBucket = []byte("nodes")
	seqsBucket  = []byte("seqs")
	versionKey  = []byte("version")
)

const (
	writeAfter = time.Second // a change waits for others
	retryAfter = time.Minute // a failure waits for better times
)

// errUnusable: the file is to be set aside.
type errUnusable struct{ why error }

func (e errUnusable) Error() string { return e.why.Error() }

// guard calls f and turns a panic into an error, also one for memory that
// cannot be read: bbolt reads its file as memory, and a disk may fail.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bbolt: %v", p)
		}
	}()
	return f()
}

// open opens the file, if there is to be one, and loads it. db.disk is held,
// here and below.
func (db *DB) open() {
	if db.path == "" {
		db.setProblem(ErrNoFile)
		return
	}
	path := db.path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "nodes.db")
	}
	err := db.openFile(path)
	if bad := (errUnusable{}); errors.As(err, &bad) {
		aside := path + ".aside"
		if rerr := os.Rename(path, aside); rerr != nil {
			err = fmt.Errorf("unusable (%w) and cannot be moved: %w", bad.why, rerr)
		} else {
			db.log.Warn("nodedb: file set aside", "path", aside, "err", bad.why)
			db.mu.Lock()
			db.aside = aside
			db.mu.Unlock()
			err = db.openFile(path)
		}
	}
	if err != nil {
		db.failed("open", err)
		return
	}
	db.setProblem(nil)
}

// openFile opens and loads the file at path. The error is an errUnusable if its
// content is the reason.
func (db *DB) openFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := examine(f); err != nil {
		return errors.Join(err, f.Close())
	}
	var file *bbolt.DB
	err = guard(func() (err error) {
		file, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      time.Millisecond,
			FreelistType: bbolt.FreelistMapType,
			// Without a freelist in the file bbolt would look for free pages in
			// a goroutine of its own, whose panics nobody can recover.
			NoFreelistSync: false,
			PageSize:       pageSize,
			MaxSize:        MaxFile,
			NoStatistics:   true,
			OpenFile:       func(string, int, os.FileMode) (*os.File, error) { return f, nil },
		})
		return err
	})
	if err != nil {
		_ = f.Close() // bbolt may have closed it
		switch {
		case errors.Is(err, berrors.ErrTimeout):
			return ErrLocked
		case isSystem(err):
			return err
		}
		return errUnusable{err}
	}
	file.AllocSize = 1 << 20
	if err := guard(func() error { return db.load(file) }); err != nil {
		cerr := guard(file.Close)
		if isSystem(err) {
			return errors.Join(err, cerr)
		}
		return errUnusable{err}
	}
	db.file = file
	return nil
}

// isSystem reports whether the operating system refused something, so that the
// content of the file is not to blame.
func isSystem(err error) bool {
	_, path := errors.AsType[*fs.PathError](err)
	_, call := errors.AsType[*os.SyscallError](err)
	_, number := errors.AsType[interface {
		error
		Timeout() bool
		Temporary() bool
	}](err) // syscall.Errno on every system
	return path || call || number || errors.Is(err, berrors.ErrMaxSizeReached)
}

// examine locks f and checks it. An empty file is a new one.
func examine(f *os.File) error {
	if err := lock(f); err != nil {
		return err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", f.Name())
	case info.Size() == 0:
		return nil
	case info.Size() > MaxFile:
		return errUnusable{fmt.Errorf("%d bytes", info.Size())}
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, info.Size()), data); err != nil {
		return err
	}
	if err := check(data); err != nil {
		return errUnusable{err}
	}
	return nil
}

// prepare checks that the file has our version and buckets. It writes only to a
// file that has nothing, so that a full disk is no reason to give up a good one.
func prepare(file *bbolt.DB) error {
	fresh := false
	err := file.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			k, _ := tx.Cursor().First()
			if fresh = k == nil; !fresh {
				return errors.New("not a node database")
			}
			return nil
		}
		if v := meta.Get(versionKey); len(v) != 8 || binary.BigEndian.Uint64(v) != version {
			return fmt.Errorf("version %x", v)
		}
		if tx.Bucket(nodesBucket) == nil || tx.Bucket(seqsBucket) == nil {
			return errors.New("a bucket is missing")
		}
		return nil
	})
	if err != nil || !fresh {
		return err
	}
	return file.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{nodesBucket, seqsBucket, metaBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(versionKey, binary.BigEndian.AppendUint64(nil, version))
	})
}

// load adds what is in the file to what is in memory, which is newer.
func (db *DB) load(file *bbolt.DB) error {
	if err := prepare(file); err != nil {
		return err
	}
	var ids []enode.ID
	var items []*item
	var shelf shelf
	seqs := make(map[string]number)
	var notes map[string]note
	skipped := 0
	err := file.View(func(tx *bbolt.Tx) error {
		notes, skipped = loadNotes(tx)
		c := tx.Bucket(nodesBucket).Cursor()
		for k, v := c.First(); k != nil && len(items) < MaxNodes; k, v = c.Next() {
			if id, it, err := shelf.parse(k, v); err == nil {
				ids, items = append(ids, id), append(items, it)
			} else {
				skipped++
			}
		}
		c = tx.Bucket(seqsBucket).Cursor()
		for k, v := c.First(); k != nil && len(seqs) < MaxSeqs; k, v = c.Next() {
			if name, num, err := parseNumber(k, v); err == nil {
				seqs[name] = num
			} else {
				skipped++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if skipped > 0 {
		db.log.Warn("nodedb: damaged entries skipped", "entries", skipped)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	again := len(db.items) > 0
	for id := range db.items {
		db.dirty[id] = struct{}{}
	}
	if !again {
		db.items = make(map[enode.ID]*item, len(items))
	}
	for i, it := range items {
		id := ids[i]
		if _, known := db.items[id]; !known && len(db.items) < MaxNodes {
			db.items[id] = it
			db.count(id, it.endpoint.Addr())
		}
	}
	for name, num := range seqs {
		if num.n >= db.seqs[name].n {
			db.seqs[name] = num
		}
	}
	for name, n := range notes {
		if _, newer := db.notes[name]; !newer && len(db.notes) < maxNotes {
			db.notes[name] = n
		}
	}
	if skipped > 0 || again {
		db.all = true // begin the buckets anew, without what was skipped
	}
	return nil
}

// shut closes the file.
func (db *DB) shut() error {
	file := db.file
	db.file = nil
	return guard(file.Close)
}

// failed notes that the file cannot be used for now, tells the log at most
// once a minute, and has it tried again.
func (db *DB) failed(op string, err error) {
	db.setProblem(err)
	if now := time.Now(); db.warned.IsZero() || now.Sub(db.warned) >= retryAfter {
		db.warned = now
		db.log.Warn("nodedb: going on without the file", "op", op, "path", db.path, "err", err)
	}
	db.schedule(retryAfter)
}
