// Command dbopen measures how long it takes to open a node database that has so many nodes: row N1.
//
//	dbopen -n 10000 geth|parley
//
// Parley keeps 10,000 nodes at most.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/internal/nodedb"
	"parley/interop/bench/internal/cpu"

	"github.com/ethereum/go-ethereum/crypto"
	gethnode "github.com/ethereum/go-ethereum/p2p/enode"
	gethrecord "github.com/ethereum/go-ethereum/p2p/enr"
)

// repeats is how often the database is opened. The median counts.
const repeats = 9

func main() {
	n := flag.Int("n", 10_000, "nodes")
	flag.Parse()
	if err := run(flag.Arg(0), *n); err != nil {
		fmt.Fprintln(os.Stderr, "dbopen:", err)
		os.Exit(1)
	}
}

func run(side string, n int) (err error) {
	dir, err := os.MkdirTemp("", "dbopen")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "nodes")
	var open func() (c cost, err error)
	switch side {
	case "geth":
		open, err = theirs(path, n)
	case "parley":
		open, err = ours(path, n)
	default:
		err = fmt.Errorf("side %q is neither geth nor parley", side)
	}
	if err != nil {
		return err
	}
	var took, used []time.Duration
	for range repeats {
		c, err := open()
		if err != nil {
			return err
		}
		took, used = append(took, c.took), append(used, c.used)
	}
	slices.Sort(took)
	slices.Sort(used)
	fmt.Printf("dbopen: n=%d open=%v cpu=%v\n", n, took[repeats/2], used[repeats/2])
	return nil
}

// A cost is what it takes to open a database: by the clock, and on the processors.
type cost struct{ took, used time.Duration }

// costOf measures f, in a process that has no garbage to collect.
func costOf(f func() error) (c cost, err error) {
	runtime.GC()
	began, before := time.Now(), cpu.Process()
	err = f()
	return cost{time.Since(began), cpu.Process() - before}, err
}

// addr returns the address of node i. Private ones are not limited by network.
func addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func theirs(path string, n int) (func() (cost, error), error) {
	db, err := gethnode.OpenDB(path)
	if err != nil {
		return nil, err
	}
	for i := range n {
		key, err := crypto.GenerateKey()
		if err != nil {
			return nil, err
		}
		var r gethrecord.Record
		r.Set(gethrecord.IPv4Addr(addr(i)))
		r.Set(gethrecord.UDP(30303))
		r.Set(gethrecord.TCP(30303))
		if err := gethnode.SignV4(&r, key); err != nil {
			return nil, err
		}
		node, err := gethnode.New(gethnode.ValidSchemes, &r)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(db.UpdateNode(node), db.UpdateLastPongReceived(node.ID(), addr(i), time.Now())); err != nil {
			return nil, err
		}
	}
	db.Close()
	return func() (cost, error) {
		var db *gethnode.DB
		c, err := costOf(func() (err error) {
			db, err = gethnode.OpenDB(path)
			return err
		})
		if err == nil {
			db.Close()
		}
		return c, err
	}, nil
}

func ours(path string, n int) (func() (cost, error), error) {
	db := nodedb.Open(path, nodedb.Options{})
	for i := range n {
		key, err := enode.GenerateKey()
		if err != nil {
			return nil, err
		}
		r, err := enr.Sign(key, 1, enr.IP(addr(i)), enr.UDP(30303), enr.TCP(30303))
		if err != nil {
			return nil, err
		}
		node, err := enode.New(r)
		if err != nil {
			return nil, err
		}
		db.Proven(time.Now(), node, netip.AddrPortFrom(addr(i), 30303))
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return func() (cost, error) {
		var db *nodedb.DB
		c, err := costOf(func() error {
			db = nodedb.Open(path, nodedb.Options{})
			return nil
		})
		if s := db.Status(); s.Nodes != n || s.Problem != nil {
			return c, errors.Join(fmt.Errorf("%d of %d nodes are there", s.Nodes, n), s.Problem, err)
		}
		return c, errors.Join(err, db.Close())
	}, nil
}
