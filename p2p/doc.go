// Package p2p runs a node: a Server that accepts and dials RLPx connections,
// decides whom to keep as a peer, and runs sub-protocols with them.
//
// A program fills in a Config, starts the Server, and writes its sub-protocol
// as a blocking function that reads and writes messages:
//
//	srv := &p2p.Server{Config: p2p.Config{
//		PrivateKey: key,
//		ListenAddr: ":30303",
//		Protocols:  []p2p.Protocol{{Name: "hi", Version: 1, Length: 1, Run: hi}},
//	}}
//	if err := srv.Start(); err != nil { … }
//	defer srv.Stop()
//
// The wire format is that of https://github.com/ethereum/devp2p/blob/master/rlpx.md.
// Every refusal is kept as a Verdict; Server.Explain tells why a node is not a peer.
package p2p
