// Package discv4 is the node discovery protocol v4: its packets, and an engine
// that answers other nodes, proves endpoints and looks nodes up.
//
// The protocol is https://github.com/ethereum/devp2p/blob/master/discv4.md with
// EIP-8 (tolerance of what is new) and EIP-868 (node records).
//
// Nothing here reads a socket or a clock. A packet takes three steps, so that the
// expensive one can run in several readers while the engine is locked only for
// the other two:
//
//	if discv4.Check(data) == nil &&         // pure: length and hash
//		engine.Admit(now, from, data) == nil { // replay cache, token buckets
//		p, err := discv4.Open(data)     // pure: signature and content
//		engine.Receive(now, from, p)    // if err is nil; else engine.Refuse(err)
//	}
//
// After each call on the engine, [Engine.Take] returns what is to be done about it
// and [Engine.Wake] when [Engine.Advance] is to be called.
package discv4
