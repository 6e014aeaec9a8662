// Package eth speaks the handshake and gossip of Ethereum's wire protocol,
// versions eth/68 to eth/72, on top of package p2p, without a chain.
//
// A [Service] turns a [Config] into the p2p.Protocols to run. With every peer it
// exchanges Status, checks network, genesis, fork id and block range, and then
// listens: transactions, announcements and range updates are counted and offered
// to a [Handler], and each request is answered at once with the empty answer of
// its kind, so that a node without a chain stays a polite peer. After Status it
// sends nothing that was not asked for; [Peer.Request], [Peer.Announce],
// [Peer.SendTransactions] and [Service.BroadcastRange] are for the program that
// embeds it.
//
// There are two modes. In the configured mode the Service says which chain it is
// on ([Mainnet], [Sepolia] and [Hoodi] are built in) and refuses others. In the
// mirror mode it waits up to a second for the other side's Status and answers
// with that network, genesis and fork id, and truthfully with the block range of
// nothing but the genesis block.
//
// The wire format is that of
// https://github.com/ethereum/devp2p/blob/master/caps/eth.md; fork ids are those
// of EIP-2124 and EIP-6122.
package eth
