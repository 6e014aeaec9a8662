package nodedb

import (
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"parley/enode"
)

// touch notes that the file does not have the node as it is now. db.mu is held.
func (db *DB) touch(id enode.ID) {
	if db.path == "" || db.closed {
		return
	}
	if !db.all {
		db.dirty[id] = struct{}{}
	}
	if len(db.dirty) > 2*MaxNodes {
		clear(db.dirty)
		db.all = true
	}
	db.arm(writeAfter)
}

// schedule has the file written after d, unless that is planned already.
func (db *DB) schedule(d time.Duration) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.arm(d)
}

// arm is schedule with db.mu held.
func (db *DB) arm(d time.Duration) {
	if db.timer != nil || db.closed || db.path == "" {
		return
	}
	if db.problem != nil {
		d = retryAfter
	}
	db.writes.Add(1)
	db.timer = time.AfterFunc(d, func() {
		defer db.writes.Done()
		db.mu.Lock()
		db.timer = nil
		db.mu.Unlock()
		db.disk.Lock()
		defer db.disk.Unlock()
		if db.file == nil {
			db.open()
		}
		if db.file != nil {
			_ = db.write(false) // logged
		}
	})
}

// Flush writes what is not yet written, and waits for the disk. The error wraps
// [ErrNotStored] if there is no file.
func (db *DB) Flush() error {
	db.disk.Lock()
	defer db.disk.Unlock()
	if db.file == nil {
		db.mu.Lock()
		defer db.mu.Unlock()
		return errors.Join(ErrNotStored, db.problem)
	}
	return db.write(true)
}

// write brings the file up to date in one transaction; with scores, also those
// nodes of which only score or time have changed a little. db.disk is held.
func (db *DB) write(scores bool) error {
	type change struct {
		id    enode.ID
		value []byte // nil: delete
	}
	db.mu.Lock()
	all := db.all
	dirty := db.dirty
	if all || scores {
		for id, it := range db.items {
			if all || it.proven != it.stored {
				dirty[id] = struct{}{}
			}
		}
	}
	changes := make([]change, 0, len(dirty))
	for id := range dirty {
		c := change{id: id}
		if it, ok := db.items[id]; ok {
			c.value = appendItem(nil, id, it)
			it.stored = it.proven
		}
		changes = append(changes, c)
	}
	seqs := make(map[string]number)
	for name, num := range db.seqs {
		if !num.stored || all {
			num.stored = true
			seqs[name] = num
		}
	}
	notes := make(map[string][]byte)
	for name, n := range db.notes {
		if !n.stored || all {
			notes[name] = n.value
		}
	}
	db.dirty, db.all = make(map[enode.ID]struct{}), false
	db.mu.Unlock()
	if len(changes) == 0 && len(seqs) == 0 && len(notes) == 0 && !all {
		return nil
	}

	err := guard(func() error {
		return db.file.Update(func(tx *bbolt.Tx) error {
			if all {
				for _, name := range [][]byte{nodesBucket, seqsBucket} {
					if err := tx.DeleteBucket(name); err != nil {
						return err
					}
					if _, err := tx.CreateBucket(name); err != nil {
						return err
					}
				}
			}
			nodes := tx.Bucket(nodesBucket)
			for _, c := range changes {
				var err error
				if c.value == nil {
					err = nodes.Delete(c.id[:])
				} else {
					err = nodes.Put(c.id[:], c.value)
				}
				if err != nil {
					return err
				}
			}
			for name, num := range seqs {
				if err := tx.Bucket(seqsBucket).Put([]byte(name), appendNumber(nil, name, num)); err != nil {
					return err
				}
			}
			for name, value := range notes {
				if err := putNote(tx, name, value); err != nil {
					return err
				}
			}
			return nil
		})
	})

	db.mu.Lock()
	if err == nil {
		db.problem = nil
		for name, num := range seqs {
			if db.seqs[name].n == num.n {
				db.seqs[name] = num
			}
		}
		for name, value := range notes { // db.disk is held: no newer one has come
			db.notes[name] = note{value: value, stored: true}
		}
		db.mu.Unlock()
		return nil
	}
	for _, c := range changes {
		db.dirty[c.id] = struct{}{}
	}
	db.all = db.all || all
	db.mu.Unlock()
	db.failed("write", err)
	return err
}
