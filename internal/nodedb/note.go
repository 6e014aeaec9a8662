package nodedb

import (
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// Bounds of notes.
const (
	maxNotes  = 8
	noteLimit = 1 << 20 // bytes of one
)

// notesBucket is made with the first note. Its values: crc32c(name, rest) 4 | rest.
var notesBucket = []byte("notes")

// A note is a value whose meaning its owner knows.
type note struct {
	value  []byte
	stored bool // the file has it
}

// Note returns what StoreNote stored under name, nil if there is nothing.
func (db *DB) Note(name string) []byte {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.notes[name].value)
}

// StoreNote stores a value of at most 1 MiB under name: something that the owner of
// the database wants back after a restart, of at most 8 names. When it returns nil
// the value is on disk; it waits for that. An error that wraps [ErrNotStored] says
// that it is remembered until the process ends and will be written when the disk
// allows.
func (db *DB) StoreNote(name string, value []byte) error {
	if len(name) == 0 || len(name) > nameLimit || len(value) > noteLimit {
		return fmt.Errorf("nodedb: store note: name of %d bytes, value of %d", len(name), len(value))
	}
	db.disk.Lock()
	defer db.disk.Unlock()
	db.mu.Lock()
	old, known := db.notes[name]
	if !known && len(db.notes) >= maxNotes {
		db.mu.Unlock()
		return fmt.Errorf("nodedb: store note: more than %d names", maxNotes)
	}
	stored := known && old.stored && slices.Equal(old.value, value)
	if !stored {
		db.notes[name] = note{value: slices.Clone(value)}
	}
	problem := db.problem
	db.mu.Unlock()
	if stored {
		return nil
	}
	if db.file == nil {
		db.schedule(retryAfter)
		return fmt.Errorf("%w: %w", ErrNotStored, problem)
	}
	err := guard(func() error {
		return db.file.Update(func(tx *bbolt.Tx) error { return putNote(tx, name, value) })
	})
	if err != nil {
		db.failed("store note", err)
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.notes[name] = note{value: db.notes[name].value, stored: true}
	return nil
}

func putNote(tx *bbolt.Tx, name string, value []byte) error {
	b, err := tx.CreateBucketIfNotExists(notesBucket)
	if err != nil {
		return err
	}
	data := append(make([]byte, 4, 4+len(value)), value...)
	binary.BigEndian.PutUint32(data, sum([]byte(name), value))
	return b.Put([]byte(name), data)
}

// loadNotes reads the notes of the file, and counts those that are damaged.
func loadNotes(tx *bbolt.Tx) (notes map[string]note, skipped int) {
	notes = make(map[string]note)
	b := tx.Bucket(notesBucket)
	if b == nil {
		return notes, 0
	}
	c := b.Cursor()
	for k, v := c.First(); k != nil && len(notes) < maxNotes; k, v = c.Next() {
		if len(k) > nameLimit || len(v) < 4 || len(v) > 4+noteLimit || sum(k, v[4:]) != binary.BigEndian.Uint32(v) {
			skipped++
			continue
		}
		notes[string(k)] = note{value: slices.Clone(v[4:]), stored: true}
	}
	return notes, skipped
}
