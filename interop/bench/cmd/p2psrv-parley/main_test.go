package main

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"parley/enode"
	"parley/p2p"
)

// The server answers what it is asked, and a broadcast is at every peer as often as
// it was asked for, whatever the burst.
func TestServer(t *testing.T) {
	const peers, messages = 3, 40
	b, url, err := start(7)
	if err != nil {
		t.Fatal(err)
	}
	defer b.srv.Stop()
	node, err := enode.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	body := append([]byte{0xb9, 0x03, 0xe8}, bytes.Repeat([]byte{7}, 1000)...)
	results := make(chan error, peers)
	for range peers {
		key, err := enode.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		c := &p2p.Server{Config: p2p.Config{
			PrivateKey: key, NoDiscovery: true, StaticNodes: []*enode.Node{node}, Logger: slog.New(slog.DiscardHandler),
			Protocols: []p2p.Protocol{{Name: "bench", Version: 1, Length: 16, Run: func(p *p2p.Peer, rw p2p.MsgReadWriter) error {
				err := rw.WriteMsg(p2p.Msg{Code: codeAsk, Payload: body})
				if err == nil {
					err = p2p.ExpectMsg(rw, codeAnswer, nil)
				}
				results <- err
				for range messages {
					m, err := rw.ReadMsg()
					if err == nil && (m.Code != codeCast || !bytes.Equal(m.Payload, body)) {
						t.Errorf("code %d with %d bytes, want %d with %d", m.Code, m.Size(), codeCast, len(body))
					}
					if err != nil {
						results <- err
						return err
					}
				}
				results <- nil
				<-p.Context().Done()
				return nil
			}}},
		}}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Stop()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	wait := func(what string) {
		for range peers {
			select {
			case err := <-results:
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			case <-ctx.Done():
				t.Fatalf("%s: not in a minute", what)
			}
		}
	}
	wait("answer")
	if n := b.PeerCount(); n != peers {
		t.Errorf("%d peers, want %d", n, peers)
	}
	b.Broadcast(body, messages)
	wait("broadcasts")
}
