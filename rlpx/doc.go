// Package rlpx carries messages between two nodes over an encrypted,
// authenticated stream: the RLPx transport, with the handshake of EIP-8 and the
// compression of EIP-706.
//
// It knows keys and messages, nothing above them: records, Hello and
// capabilities belong to its callers. [Initiate] and [Accept] turn a net.Conn
// into a [Conn]; [Conn.ReadMsg] and [Conn.AppendMsg] do the rest.
//
// # What is proven, and when
//
// The two handshake packets prove nothing about who sent them. The auth packet
// names a static key, and anybody can write one that names somebody else: the
// secrets that follow are then out of the sender's reach, but the packet looks
// sound. Only the first frame that passes its MAC shows that the other side
// holds the key it named. So [Conn.Remote] is a claim until ReadMsg has returned
// a message, and nothing may be decided by it before.
//
// # What a stranger learns, and costs
//
// A failed handshake has one outcome on the wire: nothing more is written. What
// failed is known on this side only. The time it takes does tell how far a
// packet came (a wrong size costs nothing, a wrong MAC one multiplication, a bad
// signature two), as the specification's order of checks makes it; none of that
// depends on which key a packet names. Before the first message a connection
// holds less than 32 KiB.
//
// Specifications: https://github.com/ethereum/devp2p/blob/master/rlpx.md,
// https://eips.ethereum.org/EIPS/eip-8, https://eips.ethereum.org/EIPS/eip-706
package rlpx
