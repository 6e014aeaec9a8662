// Package nodedb remembers across restarts which nodes answered and which
// sequence numbers were used.
//
// It is a cache that can never stop a start: [Open] returns a database whatever
// is wrong with the file. One that is damaged or of a future version is set
// aside; while there is no file that can be written, everything is in memory
// only. All of it is in memory anyway, at most [MaxNodes] nodes, and changes are
// written within a second. Only sequence numbers and notes are written at once,
// because their owners must know whether they were.
package nodedb

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"parley/enode"
)

// What the database keeps, however much it is told.
const (
	MaxNodes     = 10_000   // nodes in all
	MaxPerPrefix = 10       // nodes in one /24 or /48 of public addresses
	MaxSeqs      = 256      // sequence numbers
	MaxFile      = 16 << 20 // bytes of the file
)

// maxScore bounds what a node can save up: seven failures forget it.
const maxScore = 100

// refreshAfter is how old the stored time of a proof must be to be written
// again when nothing else has changed. Live nodes answer every few seconds, and
// none of that is worth a disk write.
const refreshAfter = 10 * time.Minute

// Options are for [Open]. The zero value is complete.
type Options struct {
	Logger *slog.Logger // nil: nothing is logged
}

// A Status says how the database fares.
type Status struct {
	Nodes int
	// Persistent: there is a file, and the last attempt to write it succeeded.
	Persistent bool
	// Problem is why it is not persistent, or nil. Without a path it is
	// ErrNoFile.
	Problem error
	// Aside is where a file that could not be used was moved, or "".
	Aside string
}

// A DB remembers nodes and sequence numbers. It is made by [Open] and safe for
// concurrent use. Its methods do not wait for the disk, except those that
// say so.
type DB struct {
	path string
	log  *slog.Logger

	// disk is held while the file is used. It is taken before mu.
	disk   sync.Mutex
	file   *bbolt.DB // guarded by disk; nil: not open
	warned time.Time // guarded by disk; when a failure was last logged

	writes sync.WaitGroup // the timer, while it is set or its function runs

	mu      sync.Mutex // guards the fields below; never held while the disk is waited for
	items   map[enode.ID]*item
	nets    map[netip.Prefix][]enode.ID // of items whose address counts
	seqs    map[string]number
	notes   map[string]note
	dirty   map[enode.ID]struct{} // not as the file has it
	all     bool                  // the file has nothing of this
	timer   *time.Timer           // set while something is to be written
	closed  bool
	problem error
	aside   string
}

// Open returns the database in the file at path, which it creates with its
// folder. If path is a folder the file is nodes.db in it. With an empty path
// everything stays in memory.
//
// It always returns a database, see [DB.Status] for what it made of the file.
// It waits for the disk.
func Open(path string, opts Options) *DB {
	db := &DB{
		path:  path,
		log:   opts.Logger,
		items: make(map[enode.ID]*item),
		nets:  make(map[netip.Prefix][]enode.ID),
		seqs:  make(map[string]number),
		notes: make(map[string]note),
		dirty: make(map[enode.ID]struct{}),
	}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	db.disk.Lock()
	defer db.disk.Unlock()
	db.open()
	return db
}

// Close writes what is not yet written and closes the file. The error is that of
// the last write. Afterwards the database goes on in memory. A second Close
// does nothing.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	if db.timer != nil && db.timer.Stop() {
		db.writes.Done()
	}
	db.timer = nil
	db.mu.Unlock()
	db.writes.Wait()

	db.disk.Lock()
	defer db.disk.Unlock()
	if db.path == "" || db.file == nil {
		return nil
	}
	err := db.write(true)
	if cerr := db.shut(); err == nil {
		err = cerr
	}
	db.setProblem(ErrClosed)
	return err
}

// Status returns how the database fares.
func (db *DB) Status() Status {
	db.mu.Lock()
	defer db.mu.Unlock()
	return Status{Nodes: len(db.items), Persistent: db.problem == nil, Problem: db.problem, Aside: db.aside}
}

func (db *DB) setProblem(err error) {
	db.mu.Lock()
	db.problem = err
	db.mu.Unlock()
}

// Proven remembers that n answered at now from a UDP endpoint: a packet that
// only the owner of its key could have sent, in answer to one of ours. Its score grows
// by one. Nodes that have not proven anything must not be told.
//
// A full prefix or a full database takes a new node only in the place of one
// that is worth less.
func (db *DB) Proven(now time.Time, n *enode.Node, endpoint netip.AddrPort) {
	endpoint = netip.AddrPortFrom(endpoint.Addr().Unmap().WithZone(""), endpoint.Port())
	if !endpoint.IsValid() {
		return
	}
	id := n.ID()
	db.mu.Lock()
	defer db.mu.Unlock()
	it, known := db.items[id]
	switch {
	case !known:
		if !db.room(now, endpoint.Addr()) {
			return
		}
		it = newItem(n)
		it.endpoint = endpoint
		db.items[id] = it
		db.count(id, endpoint.Addr())
		db.touch(id)
	case it.endpoint != endpoint:
		db.uncount(id, it.endpoint.Addr())
		if !db.roomInPrefix(now, endpoint.Addr()) {
			delete(db.items, id)
			db.touch(id)
			return
		}
		it.endpoint = endpoint
		db.count(id, endpoint.Addr())
		db.touch(id)
	}
	if known && n.Record() != nil && (n.Seq() > it.seq || len(it.self) == keyLen) {
		it.describe(n)
		db.touch(id)
	}
	it.proven = now.Unix()
	it.score = min(it.score+1, maxScore)
	if d := it.proven - it.stored; max(d, -d) > int64(refreshAfter/time.Second) { // less than 0 if the clock was ahead
		db.touch(id)
	}
}

// Failed halves the score of a node that did not answer, or that turned out
// useless. One whose score is used up and that has not answered for a day is
// forgotten. A node that is not remembered stays so.
func (db *DB) Failed(now time.Time, id enode.ID) {
	db.mu.Lock()
	defer db.mu.Unlock()
	it, ok := db.items[id]
	if !ok {
		return
	}
	it.score /= 2
	it.proven = min(it.proven, now.Unix()) // the clock was ahead then: its day without an answer begins now
	if it.score == 0 && old(it, now) {
		db.forget(id)
	}
	db.touch(id)
}

// Remove forgets a node.
func (db *DB) Remove(id enode.ID) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if _, ok := db.items[id]; ok {
		db.forget(id)
		db.touch(id)
	}
}

// Get returns what is remembered of a node, and whether that is anything.
func (db *DB) Get(id enode.ID) (Entry, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.entry(id)
}

// entry makes the Entry of an item. One that cannot be read is forgotten.
// db.mu is held.
func (db *DB) entry(id enode.ID) (Entry, bool) {
	it, ok := db.items[id]
	if !ok {
		return Entry{}, false
	}
	n, err := it.node(id)
	if err != nil {
		db.log.Debug("nodedb: entry skipped", "id", id, "err", err)
		db.forget(id)
		db.touch(id)
		return Entry{}, false
	}
	return Entry{Node: n, Endpoint: it.endpoint, Proven: time.Unix(it.proven, 0), Score: int(it.score)}, true
}

// Entries returns all that is remembered, sorted by ID.
func (db *DB) Entries() []Entry {
	db.mu.Lock()
	defer db.mu.Unlock()
	var entries []Entry
	for _, id := range db.ids() {
		if e, ok := db.entry(id); ok {
			entries = append(entries, e)
		}
	}
	return entries
}

// ids returns the IDs of all items in order. db.mu is held.
func (db *DB) ids() []enode.ID {
	ids := make([]enode.ID, 0, len(db.items))
	for id := range db.items {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, enode.ID.Compare)
	return ids
}

// forget drops an item. db.mu is held.
func (db *DB) forget(id enode.ID) {
	if it, ok := db.items[id]; ok {
		db.uncount(id, it.endpoint.Addr())
		delete(db.items, id)
	}
}
