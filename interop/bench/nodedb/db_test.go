// Package nodedb: section E, enode.DB (leveldb) and FairMix.
package nodedb

import (
	"crypto/ecdsa"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"parley/interop/bench/internal/cpu"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/p2p/enr"
)

var ip = netip.MustParseAddr("127.0.0.1")

// mkNodes makes n signed v4-scheme records (one key, varying port would give one ID, so real keys are used).
func mkNodes(n int) []*enode.Node {
	out := make([]*enode.Node, n)
	for i := range out {
		k, _ := crypto.GenerateKey()
		out[i] = mkNode(k, i)
	}
	return out
}

func mkNode(k *ecdsa.PrivateKey, i int) *enode.Node {
	var r enr.Record
	r.Set(enr.IPv4(net.IPv4(127, 0, byte(i>>8), byte(i))))
	r.Set(enr.UDP(30303))
	r.Set(enr.TCP(30303))
	if err := enode.SignV4(&r, k); err != nil {
		panic(err)
	}
	n, err := enode.New(enode.ValidSchemes, &r)
	if err != nil {
		panic(err)
	}
	return n
}

var pool = mkNodes(2000)

func open(b *testing.B, disk bool) *enode.DB {
	p := ""
	if disk {
		p = filepath.Join(b.TempDir(), "db")
	}
	db, err := enode.OpenDB(p)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	return db
}

func each(b *testing.B, f func(b *testing.B, db *enode.DB)) {
	for _, d := range []struct {
		n string
		v bool
	}{{"mem", false}, {"disk", true}} {
		b.Run(d.n, func(b *testing.B) { db := open(b, d.v); b.ReportAllocs(); b.ResetTimer(); f(b, db) })
	}
}

func BenchmarkUpdateNode(b *testing.B) {
	each(b, func(b *testing.B, db *enode.DB) {
		cpu.Track(b)
		for i := 0; i < b.N; i++ {
			db.DeleteNode(enode.ID{}) // no-op key; keeps UpdateNode's seq check honest
			db.UpdateNode(pool[i%len(pool)])
		}
	})
}

func BenchmarkUpdateLastPong(b *testing.B) {
	each(b, func(b *testing.B, db *enode.DB) {
		now := time.Now()
		cpu.Track(b)
		for i := 0; i < b.N; i++ {
			db.UpdateLastPongReceived(pool[i%len(pool)].ID(), ip, now)
		}
	})
}

func BenchmarkLastPong(b *testing.B) {
	each(b, func(b *testing.B, db *enode.DB) {
		for _, n := range pool {
			db.UpdateLastPongReceived(n.ID(), ip, time.Now())
		}
		b.ResetTimer()
		cpu.Track(b)
		for i := 0; i < b.N; i++ {
			db.LastPongReceived(pool[i%len(pool)].ID(), ip)
		}
	})
}

func BenchmarkGetNode(b *testing.B) {
	each(b, func(b *testing.B, db *enode.DB) {
		for _, n := range pool {
			db.UpdateNode(n)
		}
		b.ResetTimer()
		cpu.Track(b)
		for i := 0; i < b.N; i++ {
			if db.Node(pool[i%len(pool)].ID()) == nil {
				b.Fatal()
			}
		}
	})
}

// BenchmarkOpen50k opens a database of 50,000 nodes and asks it for 30 seeds. It
// reports how long it took to fill, in CPU time for each node, and the size on disk.
func BenchmarkOpen50k(b *testing.B) {
	const nodes = 50_000
	p := filepath.Join(b.TempDir(), "db")
	db, err := enode.OpenDB(p)
	if err != nil {
		b.Fatal(err)
	}
	before := cpu.Process()
	for _, n := range mkNodes(nodes) {
		db.UpdateNode(n)
		db.UpdateLastPongReceived(n.ID(), n.IPAddr(), time.Now())
	}
	filled := cpu.Process() - before
	db.Close()
	var size int64
	filepath.Walk(p, func(_ string, i os.FileInfo, _ error) error { size += i.Size(); return nil })
	b.ReportAllocs()
	for b.Loop() {
		if db, err = enode.OpenDB(p); err != nil {
			b.Fatal(err)
		}
		if n := len(db.QuerySeeds(30, 5*24*time.Hour)); n == 0 {
			b.Fatal("no seeds")
		}
		db.Close()
	}
	b.ReportMetric(float64(filled.Microseconds())/nodes, "fill-µs/node")
	b.ReportMetric(float64(size)/1e6, "MB")
}

func BenchmarkFairMix(b *testing.B) {
	for _, src := range []int{1, 4, 16} {
		b.Run(map[int]string{1: "1src", 4: "4src", 16: "16src"}[src], func(b *testing.B) {
			m := enode.NewFairMix(time.Second)
			for i := 0; i < src; i++ {
				m.AddSource(enode.CycleNodes(pool))
			}
			defer m.Close()
			b.ReportAllocs()
			b.ResetTimer()
			cpu.Track(b)
			for i := 0; i < b.N; i++ {
				if !m.Next() {
					b.Fatal()
				}
				m.Node()
			}
		})
	}
}
