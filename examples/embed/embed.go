// Package embed is the example of README.md: a node inside another program.
package embed

import (
	"parley/enode"
	"parley/p2p"
)

// Start runs a node that greets every peer, hands what peers say to heard, and
// stays connected to the given nodes.
func Start(key *enode.PrivateKey, addr string, heard func(string), stay ...*enode.Node) (*p2p.Server, error) {
	hi := func(peer *p2p.Peer, rw p2p.MsgReadWriter) error {
		if err := p2p.Send(rw, 0, "hello "+peer.Name()); err != nil {
			return err
		}
		for {
			msg, err := rw.ReadMsg()
			if err != nil {
				return err // the connection ended
			}
			var text string
			if err := msg.Decode(&text); err != nil {
				return err // ends the connection, and Explain tells why
			}
			heard(text)
		}
	}
	srv := &p2p.Server{Config: p2p.Config{
		PrivateKey: key, Name: "mychain/v0.1", ListenAddr: addr, StaticNodes: stay,
		Protocols: []p2p.Protocol{{Name: "hi", Version: 1, Length: 1, Run: hi}},
	}}
	return srv, srv.Start()
}
