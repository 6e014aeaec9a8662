// Command p2psrv-parley is the server under test of rows S1 to S4, B1 and B2, built on parley's
// p2p.Server. It is the counterpart of p2psrv-geth: protocol bench/1 with 16 codes, in which code 0 is
// answered by code 1 with the same body and everything else is dropped.
//
// BENCH_BURST is how many messages a broadcast queues before it waits until all of
// them are written; the default is 1, every message alone.
//
// It prints "ready CONTROL enode://...".
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"

	"parley/enode"
	"parley/interop/bench/internal/srvctl"
	"parley/p2p"
)

// codes of bench/1.
const (
	codeAsk    = 0
	codeAnswer = 1
	codeCast   = 3
)

// A backend is what srvctl steers.
type backend struct {
	srv   *p2p.Server
	burst int

	mu    sync.Mutex // guards peers
	peers map[*p2p.Peer]bool
}

// PeerCount returns how many peers run bench/1.
func (b *backend) PeerCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.peers)
}

// Broadcast sends raw n times to every peer and returns when all is written. No
// message is left out: peers whose queue was full get it when there is room.
func (b *backend) Broadcast(raw []byte, n int) {
	b.mu.Lock()
	peers := make([]*p2p.Peer, 0, len(b.peers))
	for p := range b.peers {
		peers = append(peers, p)
	}
	b.mu.Unlock()
	m := p2p.Outgoing{Protocol: "bench", Code: codeCast, Payload: raw}
	for i := range n {
		for _, missed := range b.srv.Broadcast(m, peers) {
			b.again(m, missed)
		}
		if (i+1)%b.burst == 0 || i == n-1 {
			for _, p := range slices.Backward(peers) { // the last is written last: one wait, mostly
				flush(p)
			}
		}
	}
}

// again sends a message to a peer that was skipped, as often as it takes.
func (b *backend) again(m p2p.Outgoing, missed p2p.Missed) {
	for errors.Is(missed.Err, p2p.ErrQueueFull) {
		flush(missed.Peer)
		list := b.srv.Broadcast(m, []*p2p.Peer{missed.Peer})
		if len(list) == 0 {
			return
		}
		missed = list[0]
	}
	fatal(missed.Err)
}

func flush(p *p2p.Peer) {
	if err := p.Flush(context.Background()); err != nil {
		fatal(err)
	}
}

// run is the protocol.
func (b *backend) run(p *p2p.Peer, rw p2p.MsgReadWriter) error {
	b.mu.Lock()
	b.peers[p] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.peers, p)
	}()
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		if msg.Code == codeAsk {
			err = rw.WriteMsg(p2p.Msg{Code: codeAnswer, Payload: msg.Payload})
		}
		msg.Release()
		if err != nil {
			return err
		}
	}
}

func main() {
	burst := 1
	if s := os.Getenv("BENCH_BURST"); s != "" {
		var err error
		if burst, err = strconv.Atoi(s); err != nil || burst < 1 {
			fatal(fmt.Errorf("BENCH_BURST=%s is not a positive number", s))
		}
	}
	b, url, err := start(burst)
	if err != nil {
		fatal(err)
	}
	srvctl.Serve(b, url)
}

// start starts the server and returns its URL.
func start(burst int) (*backend, string, error) {
	key, err := enode.GenerateKey()
	if err != nil {
		return nil, "", err
	}
	b := &backend{peers: make(map[*p2p.Peer]bool), burst: burst}
	b.srv = &p2p.Server{Config: p2p.Config{
		PrivateKey: key, MaxPeers: 1 << 20, DialRatio: 1 << 20, NoDial: true, Name: "bench/server", ListenAddr: "127.0.0.1:0",
		Protocols: []p2p.Protocol{{Name: "bench", Version: 1, Length: 16, Run: b.run}},
		Logger:    slog.New(slog.DiscardHandler),
	}}
	if err := b.srv.Start(); err != nil {
		return nil, "", err
	}
	addr := netip.MustParseAddrPort(b.srv.Addr().String())
	return b, enode.NewV4(key.Public(), addr.Addr(), addr.Port(), addr.Port()).URL(), nil
}

// fatal ends the server: its figures would mean nothing.
func fatal(err error) {
	fmt.Fprintln(os.Stderr, "p2psrv-parley:", err)
	os.Exit(1)
}
