// Package discv5 is the node discovery protocol v5.1 as a core: it decides what
// to answer, whom to ask and what was learned, and owns no socket and no clock.
//
// An Engine gets every packet (Receive), the passing of time (Advance) and
// requests of its owner (Ping, FindNode, Lookup and so on). What should happen
// then is read with Take: packets to send, results of calls, requests for
// applications, votes about the own endpoint. Wake says when time matters next.
// All state is bounded, and the same inputs with the same source of randomness
// give the same outputs.
//
// Specification: https://github.com/ethereum/devp2p/blob/master/discv5/discv5.md
package discv5
