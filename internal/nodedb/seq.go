package nodedb

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"parley/enode"
)

// nameLimit is the longest name of a sequence number in bytes: that of a list
// in DNS, with its key and domain.
const nameLimit = 300

var (
	// ErrLower means that a sequence number would be lower than one used before.
	ErrLower = errors.New("nodedb: sequence number is lower than before")
	// ErrNotStored means that the number is remembered, but only in memory.
	ErrNotStored = errors.New("nodedb: not on disk")
)

// SelfName is the name under which the sequence number of the local node with
// this ID is kept.
func SelfName(id enode.ID) string { return "self " + id.String() }

// Seq returns the highest number stored under name, and whether there is one.
// If there is none the file may have been lost. A number that must never go
// down then begins at the clock, in milliseconds since 1970: no number that
// began there and was counted up is above it.
func (db *DB) Seq(name string) (uint64, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	num, ok := db.seqs[name]
	if ok {
		num.used = time.Now().Unix()
		db.seqs[name] = num
	}
	return num.n, ok
}

// StoreSeq stores a sequence number under name, of 1 to 300 bytes. When it
// returns nil the number is on disk and survives a power cut; it waits for that.
//
// A number lower than the stored one gives [ErrLower] and changes nothing. An
// error that wraps [ErrNotStored] says that it is remembered until the process
// ends and will be written when the disk allows. Of more than [MaxSeqs] names
// the one that was not used for longest is forgotten.
func (db *DB) StoreSeq(name string, seq uint64) error {
	if len(name) == 0 || len(name) > nameLimit {
		return fmt.Errorf("nodedb: store sequence number: name of %d bytes", len(name))
	}
	db.disk.Lock()
	defer db.disk.Unlock()

	db.mu.Lock()
	before, ok := db.seqs[name]
	if ok && seq < before.n {
		db.mu.Unlock()
		return ErrLower
	}
	num := number{n: seq, used: time.Now().Unix(), stored: ok && before.n == seq && before.stored}
	db.seqs[name] = num
	forgotten := ""
	if len(db.seqs) > MaxSeqs {
		forgotten = db.leastUsed(name)
		delete(db.seqs, forgotten)
	}
	problem := db.problem
	db.mu.Unlock()

	if num.stored {
		return nil
	}
	if db.file == nil {
		db.schedule(retryAfter)
		return fmt.Errorf("%w: %w", ErrNotStored, problem)
	}
	num.stored = true
	err := guard(func() error {
		return db.file.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(seqsBucket)
			if forgotten != "" {
				if err := b.Delete([]byte(forgotten)); err != nil {
					return err
				}
			}
			return b.Put([]byte(name), appendNumber(nil, name, num))
		})
	})
	if err != nil {
		db.failed("store sequence number", err)
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	}
	db.mu.Lock()
	db.seqs[name] = num
	db.mu.Unlock()
	return nil
}

// leastUsed returns the name to forget, which is not that of the local node
// and not keep. db.mu is held.
func (db *DB) leastUsed(keep string) string {
	least := ""
	for name, num := range db.seqs {
		if name == keep || len(name) > 5 && name[:5] == "self " {
			continue
		}
		if l := db.seqs[least]; least == "" || num.used < l.used || num.used == l.used && name < least {
			least = name
		}
	}
	return least
}
