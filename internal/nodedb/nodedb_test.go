package nodedb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"parley/enode"
	"parley/enr"
)

var start = time.Unix(1_800_000_000, 0)

// record returns node number i with a signed record, in a network of its own.
func record(t testing.TB, i int, seq uint64) (*enode.Node, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 32)
	b[0] = 1
	binary.BigEndian.PutUint32(b[28:], uint32(i+1))
	key, err := enode.ParsePrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	addr := address(i)
	r, err := enr.Sign(key, seq, enr.IP(addr), enr.TCP(30303), enr.UDP(30304))
	if err != nil {
		t.Fatal(err)
	}
	n, err := enode.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return n, netip.AddrPortFrom(addr, 30304)
}

func address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(20 + i>>16), byte(i >> 8), byte(i), 1})
}

// fill has the first n nodes proven at start.
func fill(t testing.TB, db *DB, n int) {
	for i := range n {
		node, ep := record(t, i, 1)
		db.Proven(start, node, ep)
	}
}

func open(t testing.TB, path string) *DB {
	t.Helper()
	db := Open(path, Options{})
	t.Cleanup(func() { db.Close() })
	return db
}

// What is known of a node survives a restart: record, endpoint, time, score.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "nodes.db")
	db := open(t, path)
	n, ep := record(t, 1, 7)
	db.Proven(start, n, ep)
	db.Proven(start.Add(time.Minute), n, ep)
	bare := enode.NewV4(key(t).Public(), netip.MustParseAddr("2001:db8::1"), 1, 2)
	db.Proven(start, bare, netip.MustParseAddrPort("[2001:db8::1]:2"))
	gone, goneAt := record(t, 2, 1)
	db.Proven(start, gone, goneAt)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	db.Remove(gone.ID())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal("second Close:", err)
	}

	db = open(t, path)
	if s := db.Status(); !s.Persistent || s.Problem != nil || s.Nodes != 2 || s.Aside != "" {
		t.Fatalf("Status = %+v", s)
	}
	e, ok := db.Get(n.ID())
	if !ok || e.Node.String() != n.String() || e.Endpoint != ep || !e.Proven.Equal(start.Add(time.Minute)) || e.Score != 2 {
		t.Errorf("entry = %+v, %v", e, ok)
	}
	e, ok = db.Get(bare.ID())
	if !ok || e.Node.URL() != bare.URL() || e.Score != 1 {
		t.Errorf("entry without record = %+v, %v", e, ok)
	}
	if got := len(db.Entries()); got != 2 {
		t.Errorf("%d entries", got)
	}
}

func key(t testing.TB) *enode.PrivateKey {
	k, err := enode.ParsePrivateKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A newer record replaces the older one, never the other way round; failures
// halve the score, and a node that is useless for a day is forgotten.
func TestUpdate(t *testing.T) {
	db := open(t, "")
	older, ep := record(t, 1, 1)
	newer, _ := record(t, 1, 2)
	for _, n := range []*enode.Node{older, newer, older, enode.NewV4(newer.PublicKey(), ep.Addr(), 1, 1)} {
		db.Proven(start, n, ep)
	}
	if e, _ := db.Get(older.ID()); e.Node.Seq() != 2 || e.Score != 4 {
		t.Errorf("seq %d, score %d; want 2, 4", e.Node.Seq(), e.Score)
	}
	db.Failed(start, older.ID())
	if e, _ := db.Get(older.ID()); e.Score != 2 {
		t.Errorf("score %d after a failure, want 2", e.Score)
	}
	db.Failed(start, older.ID())
	db.Failed(start, older.ID())
	if e, ok := db.Get(older.ID()); !ok || e.Score != 0 {
		t.Errorf("score %d, %v; want 0 and kept for a day", e.Score, ok)
	}
	db.Failed(start.Add(25*time.Hour), older.ID())
	if _, ok := db.Get(older.ID()); ok {
		t.Error("useless node is still there after a day")
	}
	for range 1000 {
		db.Proven(start, older, ep)
	}
	if e, _ := db.Get(older.ID()); e.Score != maxScore {
		t.Errorf("score = %d", e.Score)
	}
}

// A change is in the file a second later, without anybody asking, and a live
// node that keeps answering causes no writes.
func TestWrittenWithinASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	synctest.Test(t, func(t *testing.T) {
		db := Open(path, Options{})
		n, ep := record(t, 1, 1)
		now := time.Now()
		db.Proven(now, n, ep)
		time.Sleep(writeAfter) //nolint:forbidigo // the clock is synctest's
		synctest.Wait()
		if txs := committed(t, db); txs != 2 {
			t.Errorf("%d transactions after a second, want one to create and one for the node", txs)
		}
		for range 100 {
			db.Proven(now.Add(time.Minute), n, ep)
		}
		time.Sleep(writeAfter) //nolint:forbidigo // the clock is synctest's
		synctest.Wait()
		if txs := committed(t, db); txs != 2 {
			t.Errorf("%d transactions after proofs that are no news", txs)
		}
		db.Proven(now.Add(refreshAfter+time.Second), n, ep)
		time.Sleep(writeAfter) //nolint:forbidigo // the clock is synctest's
		synctest.Wait()
		if txs := committed(t, db); txs != 3 {
			t.Errorf("%d transactions after a proof that is", txs)
		}
		db.Close()
	})
}

// committed returns how many transactions wrote to the file, by its own count.
func committed(t *testing.T, db *DB) int {
	db.disk.Lock()
	defer db.disk.Unlock()
	id := 0
	if err := db.file.View(func(tx *bbolt.Tx) error { id = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return id - 1 // an empty file has 1
}

// The sequence number is on disk when StoreSeq returns, and never goes down.
func TestStoreSeq(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	db := open(t, path)
	name := SelfName(enode.PubkeyID(key(t).Public()))
	if _, ok := db.Seq(name); ok {
		t.Error("number before any was stored")
	}
	for _, n := range []uint64{5, 5, 9} {
		if err := db.StoreSeq(name, n); err != nil {
			t.Fatal(err)
		}
	}
	if got := committed(t, db); got != 3 {
		t.Errorf("%d transactions, want 3: one to create, and none for the same number", got)
	}
	if err := db.StoreSeq(name, 8); !errors.Is(err, ErrLower) {
		t.Errorf("lower number: %v", err)
	}
	// As the file is now, with no Close.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	os.WriteFile(copied, b, 0o600)
	if n, ok := open(t, copied).Seq(name); n != 9 || !ok {
		t.Errorf("number after a crash = %d, %v; want 9", n, ok)
	}
	for i := range 3 * MaxSeqs {
		if err := db.StoreSeq("list "+string(rune('a'+i)), uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(db.seqs); n != MaxSeqs {
		t.Errorf("%d numbers, want %d", n, MaxSeqs)
	}
	if n, ok := db.Seq(name); n != 9 || !ok {
		t.Errorf("own number after many others = %d, %v", n, ok)
	}
	db.Close()
	if err := db.StoreSeq(name, 10); !errors.Is(err, ErrNotStored) {
		t.Errorf("after Close: %v", err)
	}
	if n, _ := open(t, path).Seq(name); n != 9 {
		t.Errorf("own number after restart = %d", n)
	}
	if err := open(t, "").StoreSeq(name, 1); !errors.Is(err, ErrNotStored) || !errors.Is(err, ErrNoFile) {
		t.Errorf("without a file: %v", err)
	}
}

// The bound on nodes, in memory and in the file, under a flood of nodes that
// proved themselves. Those that have served for long stay.
func TestI6Bounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	db := open(t, path)
	for range 5 {
		fill(t, db, 50)
	}
	key := key(t).Public()
	for i := range 60_000 {
		n := enode.NewV4(key, address(1000+i), 1, 1)
		// A key for each would take long; the ID is all that counts here.
		id := enode.ID{}
		binary.BigEndian.PutUint32(id[:], uint32(i))
		db.mu.Lock()
		if db.room(start, n.Addr()) {
			it := newItem(n)
			it.self = bytes.Repeat([]byte{1}, enr.SizeLimit)
			it.endpoint, it.score, it.proven = netip.AddrPortFrom(n.Addr(), 1), 1, start.Unix()
			db.items[id] = it
			db.count(id, n.Addr())
			db.touch(id)
		}
		db.mu.Unlock()
		if i%5000 == 0 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if len(db.items) > MaxNodes {
			t.Fatalf("%d nodes", len(db.items))
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > MaxFile {
		t.Errorf("file of %d bytes, %v", info.Size(), err)
	}
	t.Logf("%d nodes, file of %d bytes", len(db.items), info.Size())
	for i := range 50 {
		if n, _ := record(t, i, 1); db.items[n.ID()] == nil {
			t.Fatalf("node %d, which answered five times, is displaced", i)
		}
	}
}

// One network cannot fill the database, and displaces none of its own that
// has proved itself twice. Private networks are not limited.
func TestI6Prefix(t *testing.T) {
	db := open(t, "")
	in := func(net byte, i int) (*enode.Node, netip.AddrPort) {
		n, _ := record(t, int(net)<<8+i, 1)
		return n, netip.AddrPortFrom(netip.AddrFrom4([4]byte{net, 1, 1, byte(i)}), 1)
	}
	first, at := in(20, 0)
	db.Proven(start, first, at)
	db.Proven(start, first, at)
	for i := range 100 {
		n, ep := in(20, i+1)
		db.Proven(start, n, ep)
		n, ep = in(10, i+1)
		db.Proven(start, n, ep)
	}
	if _, ok := db.Get(first.ID()); !ok || len(db.items) != MaxPerPrefix+100 || len(db.nets) != 1 {
		t.Errorf("%d nodes in %d networks, first there: %v", len(db.items), len(db.nets), ok)
	}
	// A node that moves between networks is counted once.
	n, _ := in(10, 1)
	db.Proven(start, n, netip.MustParseAddrPort("21.1.1.1:1"))
	db.Proven(start, n, netip.MustParseAddrPort("22.1.1.1:1"))
	if len(db.nets) != 2 {
		t.Errorf("%d networks after a move", len(db.nets))
	}
	for _, e := range db.Entries() {
		db.Remove(e.Node.ID())
	}
	if len(db.items) != 0 || len(db.nets) != 0 {
		t.Errorf("%d nodes, %d networks left", len(db.items), len(db.nets))
	}
}

// Seeds are of many networks, the good ones among them, recent before old, and
// the same for the same randomness.
func TestSeeds(t *testing.T) {
	db := open(t, "")
	for i := range 300 {
		n, _ := record(t, i, 1)
		ep := netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 1, byte(i / 10), byte(i)}), 1) // ten in each /24
		db.Proven(start, n, ep)
		if i%30 == 0 {
			db.Proven(start, n, ep)
		}
	}
	seeds := db.Seeds(start, 40, rand.New(rand.NewPCG(1, 2)))
	nets, good := map[netip.Prefix]int{}, 0
	for _, s := range seeds {
		p, _ := s.Endpoint.Addr().Prefix(24)
		nets[p]++
		if nets[p] > seedsPerPrefix {
			t.Errorf("%d seeds of %v", nets[p], p)
		}
		if s.Score == 2 {
			good++
		}
	}
	if len(seeds) != 40 || good != 10 {
		t.Errorf("%d seeds, %d of the 10 best", len(seeds), good)
	}
	again := db.Seeds(start, 40, rand.New(rand.NewPCG(1, 2)))
	other := db.Seeds(start, 40, rand.New(rand.NewPCG(3, 4)))
	same, different := true, false
	for i := range seeds {
		same = same && seeds[i].Node.ID() == again[i].Node.ID()
		different = different || seeds[i].Node.ID() != other[i].Node.ID()
	}
	if !same || !different {
		t.Errorf("same randomness: same seeds %v; other randomness: other seeds %v", same, different)
	}
	n, ep := record(t, 9999, 1)
	db.Proven(start.Add(48*time.Hour), n, ep)
	if got := db.Seeds(start.Add(48*time.Hour), 1, rand.New(rand.NewPCG(1, 2))); len(got) != 1 || got[0].Node.ID() != n.ID() {
		t.Error("the only recent node is not the first seed")
	}
	if got := db.Seeds(start.Add(1000*time.Hour), 40, rand.New(rand.NewPCG(1, 2))); len(got) != 40 {
		t.Errorf("%d seeds after a long pause, want 40 old ones", len(got))
	}
}

// logged returns a logger and what it has logged at level warning.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelWarn})), &b
}

// A file in use is left alone, and used as soon as it is free.
func TestI7Locked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	synctest.Test(t, func(t *testing.T) {
		first := Open(path, Options{})
		fill(t, first, 3)
		if err := first.Flush(); err != nil {
			t.Fatal(err)
		}
		log, text := logged()
		second := Open(path, Options{Logger: log})
		if s := second.Status(); s.Persistent || !errors.Is(s.Problem, ErrLocked) || s.Aside != "" {
			t.Fatalf("Status of the second = %+v", s)
		}
		n, ep := record(t, 100, 1)
		second.Proven(start, n, ep)
		time.Sleep(10*retryAfter + time.Second) //nolint:forbidigo // the clock is synctest's
		synctest.Wait()
		if lines := strings.Count(text.String(), "\n"); lines < 2 || lines > 11 {
			t.Errorf("%d warnings in ten minutes, want one a minute", lines)
		}
		first.Close()
		time.Sleep(2 * retryAfter) //nolint:forbidigo // the clock is synctest's
		synctest.Wait()
		if s := second.Status(); !s.Persistent || s.Nodes != 4 {
			t.Errorf("Status after the first closed = %+v", s)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	})
	if s := open(t, path).Status(); s.Nodes != 4 {
		t.Errorf("Status after a restart = %+v", s)
	}
}
