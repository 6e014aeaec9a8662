package p2p_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	"parley/enode"
	"parley/p2p"
)

// newKey returns a fixed key; a program keeps its own in a file.
func newKey(n byte) *enode.PrivateKey {
	b := make([]byte, 32)
	b[31] = n
	key, err := enode.ParsePrivateKey(b)
	if err != nil {
		panic(err)
	}
	return key
}

// Two nodes that greet each other over a connection on this machine.
func ExampleServer() {
	said := make(chan string)
	hi := func(name string) p2p.Protocol {
		return p2p.Protocol{Name: "hi", Version: 1, Length: 1, Run: func(peer *p2p.Peer, rw p2p.MsgReadWriter) error {
			if err := p2p.Send(rw, 0, "hello from "+name); err != nil {
				return err
			}
			for {
				msg, err := rw.ReadMsg()
				if err != nil {
					return err
				}
				var text string
				if err := msg.Decode(&text); err != nil {
					return err
				}
				msg.Release()
				said <- name + " heard: " + text
			}
		}}
	}
	quiet := slog.New(slog.DiscardHandler)
	bob := &p2p.Server{Config: p2p.Config{
		PrivateKey: newKey(2), ListenAddr: "127.0.0.1:0", Protocols: []p2p.Protocol{hi("bob")}, Logger: quiet,
	}}
	if err := bob.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Stop()
	alice := &p2p.Server{Config: p2p.Config{
		PrivateKey: newKey(1), Protocols: []p2p.Protocol{hi("alice")}, Logger: quiet,
		StaticNodes: []*enode.Node{bob.Self()},
	}}
	if err := alice.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer alice.Stop()
	fmt.Println(<-said)
	fmt.Println(<-said)
	// Unordered output:
	// alice heard: hello from bob
	// bob heard: hello from alice
}

// A protocol is tested without a network: the test is the other side.
func ExampleMsgPipe() {
	double := func(_ *p2p.Peer, rw p2p.MsgReadWriter) error {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		var n uint64
		if err := msg.Decode(&n); err != nil {
			return err
		}
		return p2p.Send(rw, 1, 2*n)
	}
	peer := p2p.NewPeer(enode.NewV4(newKey(1).Public(), netip.Addr{}, 0, 0), "tester", nil)
	theirs, ours := p2p.MsgPipe()
	defer ours.Close()
	go double(peer, theirs)

	p2p.Send(ours, 0, uint64(21))
	fmt.Println(p2p.ExpectMsg(ours, 1, uint64(42)))
	// Output: <nil>
}

// What happens to peers can be followed; the sequence ends with the context or
// the Server.
func ExampleServer_Events() {
	srv := &p2p.Server{Config: p2p.Config{
		PrivateKey: newKey(1), ListenAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
	}}
	if err := srv.Start(); err != nil {
		fmt.Println(err)
		return
	}
	events := srv.Events(context.Background())
	srv.Stop()
	for e := range events {
		fmt.Println(e.Type, e.Peer, e.Error)
	}
	fmt.Println("stopped")
	// Output: stopped
}

// Explain tells why a node is not a peer, and what to do about it.
func ExampleServer_Explain() {
	srv := &p2p.Server{Config: p2p.Config{
		PrivateKey: newKey(1), ListenAddr: "127.0.0.1:0", NoDial: true, Logger: slog.New(slog.DiscardHandler),
	}}
	if err := srv.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Stop()
	node := enode.NewV4(newKey(2).Public(), netip.MustParseAddr("127.0.0.1"), 30303, 0)
	if err := srv.AddPeer(node); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(srv.Explain(node.ID()).Advice)
	// Output: Dialing is off: the other side must connect to us.
}
