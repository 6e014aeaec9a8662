// Command p2psrv-geth is the server under test for section C, built on go-ethereum's p2p.Server.
// Protocol bench/1 (16 codes): code 0 is answered by code 1 with the same body; code 2 is dropped.
// It prints "ready CONTROL enode://...".
//
//nolint:errcheck // kept as it is: figures must stay comparable
package main

import (
	"bytes"
	"io"
	"os"
	"sync"

	"parley/interop/bench/internal/srvctl"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/p2p"
)

type item struct {
	raw  []byte
	done *sync.WaitGroup
}

type backend struct {
	srv   *p2p.Server
	mu    sync.Mutex
	peers map[*p2p.Peer]chan item
}

func (b *backend) PeerCount() int { b.mu.Lock(); defer b.mu.Unlock(); return len(b.peers) }

func (b *backend) Broadcast(raw []byte, n int) {
	b.mu.Lock()
	var qs []chan item
	for _, q := range b.peers {
		qs = append(qs, q)
	}
	b.mu.Unlock()
	var wg sync.WaitGroup
	for i := 0; i < n; i++ {
		wg.Add(len(qs))
		for _, q := range qs {
			q <- item{raw, &wg}
		}
	}
	wg.Wait()
}

func (b *backend) run(p *p2p.Peer, rw p2p.MsgReadWriter) error {
	if os.Getenv("BENCH_NOBCAST") != "" { // hold: only the goroutines of the stack itself
		b.mu.Lock()
		b.peers[p] = nil
		b.mu.Unlock()
		defer func() { b.mu.Lock(); delete(b.peers, p); b.mu.Unlock() }()
		for {
			msg, err := rw.ReadMsg()
			if err != nil {
				return err
			}
			msg.Discard()
		}
	}
	q := make(chan item, 16)
	b.mu.Lock()
	b.peers[p] = q
	b.mu.Unlock()
	quit := make(chan struct{})
	defer func() {
		b.mu.Lock()
		delete(b.peers, p)
		b.mu.Unlock()
		close(quit)
	}()
	go func() { // broadcast loop, like eth's per-peer broadcaster
		for {
			select {
			case it := <-q:
				rw.WriteMsg(p2p.Msg{Code: 3, Size: uint32(len(it.raw)), Payload: bytes.NewReader(it.raw)})
				it.done.Done()
			case <-quit:
				return
			}
		}
	}()
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		switch msg.Code {
		case 0:
			body, _ := io.ReadAll(msg.Payload)
			if err := rw.WriteMsg(p2p.Msg{Code: 1, Size: uint32(len(body)), Payload: bytes.NewReader(body)}); err != nil {
				return err
			}
		default:
			msg.Discard()
		}
	}
}

func main() {
	log.SetDefault(log.NewLogger(log.DiscardHandler()))
	key, _ := crypto.GenerateKey()
	b := &backend{peers: map[*p2p.Peer]chan item{}}
	b.srv = &p2p.Server{Config: p2p.Config{
		PrivateKey: key, MaxPeers: 1 << 20, DialRatio: 1 << 20, NoDiscovery: true, NoDial: true, Name: "bench/server", ListenAddr: "127.0.0.1:0",
		Protocols: []p2p.Protocol{{Name: "bench", Version: 1, Length: 16, Run: b.run}},
	}}
	if err := b.srv.Start(); err != nil {
		panic(err)
	}
	srvctl.Serve(b, b.srv.Self().URLv4())
}
