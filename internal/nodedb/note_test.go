package nodedb

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// A note is on disk when StoreNote returns, survives a restart and a file that
// could not be used, and takes its place from the last one of its name.
func TestNotes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	db := open(t, path)
	for _, v := range []string{"first", "second"} {
		if err := db.StoreNote("bans", []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	copied, err := os.ReadFile(path) // as if the power failed now
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	os.WriteFile(path+".copy", copied, 0o600)
	for _, p := range []string{path, path + ".copy"} {
		if got := string(open(t, p).Note("bans")); got != "second" {
			t.Errorf("Note after a restart = %q, want %q", got, "second")
		}
	}
	if got := db.Note("scores"); got != nil {
		t.Errorf("Note of nothing = %q", got)
	}
}

// Without a file a note is remembered, and its owner is told.
func TestNoteWithoutFile(t *testing.T) {
	db := open(t, "")
	if err := db.StoreNote("bans", []byte("x")); !errors.Is(err, ErrNotStored) || !errors.Is(err, ErrNoFile) {
		t.Errorf("StoreNote without a file = %v", err)
	}
	if got := string(db.Note("bans")); got != "x" {
		t.Errorf("Note = %q, want x", got)
	}

	path := filepath.Join(t.TempDir(), "nodes.db")
	first, second := open(t, path), open(t, path)
	if err := second.StoreNote("bans", []byte("x")); !errors.Is(err, ErrNotStored) || !errors.Is(err, ErrLocked) {
		t.Errorf("StoreNote without the file = %v", err)
	}
	first.Close()
	second.disk.Lock()
	second.open() // as it does each minute
	second.disk.Unlock()
	if err := second.Flush(); err != nil {
		t.Fatal(err)
	}
	second.Close()
	if got := string(open(t, path).Note("bans")); got != "x" {
		t.Errorf("Note after the file came back = %q, want x", got)
	}
}

// Notes are few and not large, and one that is damaged is skipped.
func TestNoteBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	db := open(t, path)
	if err := db.StoreNote("large", make([]byte, noteLimit+1)); err == nil {
		t.Error("a value above the limit is stored")
	}
	for i := range maxNotes {
		if err := db.StoreNote(fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.StoreNote("one more", nil); err == nil {
		t.Error("more names than the limit are stored")
	}
	db.Close()
	err := edit(path, func(tx *bbolt.Tx) error {
		b := tx.Bucket(notesBucket)
		return errors.Join(b.Put([]byte("0"), []byte("xxxxyyyy")), b.Put([]byte("1"), nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	db = open(t, path)
	if s := db.Status(); !s.Persistent || s.Aside != "" {
		t.Errorf("Status = %+v", s)
	}
	for i := range maxNotes {
		if got := db.Note(fmt.Sprint(i)); (got != nil) != (i > 1) {
			t.Errorf("note %d: %d bytes", i, len(got))
		}
	}
}
