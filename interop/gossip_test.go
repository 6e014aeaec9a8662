//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"parley/eth"
	"parley/interop/nodes"
	"parley/rlp"
)

// listen returns a handler that passes on what it is told, and where it does so.
// The channels hold what one test can cause, so that the handler never blocks.
func listen() (h eth.Handler, heard struct {
	added         chan *eth.Peer
	transactions  chan []byte // as on the wire, without the string's header
	announcements chan eth.Announcement
	ranges        chan eth.BlockRange
}) {
	const room = 256
	heard.added = make(chan *eth.Peer, room)
	heard.transactions = make(chan []byte, room)
	heard.announcements = make(chan eth.Announcement, room)
	heard.ranges = make(chan eth.BlockRange, room)
	h = eth.Handler{
		Added: func(p *eth.Peer) { heard.added <- p },
		Transactions: func(_ *eth.Peer, txs []rlp.Raw) {
			for _, tx := range txs {
				var raw []byte
				if rlp.Decode(tx, &raw) == nil { // a typed transaction, as all are here
					heard.transactions <- bytes.Clone(raw)
				}
			}
		},
		Announcement: func(_ *eth.Peer, a eth.Announcement) { heard.announcements <- a },
		BlockRange:   func(_ *eth.Peer, r eth.BlockRange) { heard.ranges <- r },
	}
	return h, heard
}

// What geth says reaches the handler of a program that embeds parley: a small transaction itself, a large one as an announcement and
// then on request, the range after blocks, and headers on request.
func TestGossipFromGeth(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, nil)
	geth.Mine(1) // until it has a head, geth does not gossip

	h, heard := listen()
	lib := startLibrary(t, network, h)
	peer := lib.session(t, geth.Node, heard.added)
	if peer.Version() != highestEth {
		t.Errorf("session at eth/%d, want eth/%d", peer.Version(), highestEth)
	}

	// 100 bytes of call data are sent to everybody who is few; 8 KiB are more than
	// geth sends unasked.
	small, large := sign(t, network, 0, 100), sign(t, network, 1, 8<<10)
	geth.SendTx(small)
	nodes.Wait(t, soon, "the small transaction arrives", func() bool { return lib.eth.Stats().Transactions+lib.eth.Stats().Announced > 0 })
	select {
	case raw := <-heard.transactions:
		if !bytes.Equal(raw, small.Raw) {
			t.Errorf("transaction %x, want %x", raw, small.Raw)
		}
	case a := <-heard.announcements:
		t.Logf("the small transaction was announced")
		fetch(t, peer, a, small)
	}
	geth.SendTx(large)
	fetch(t, peer, receive(t, heard.announcements, "the large transaction is announced"), large)

	number, hash := geth.Mine(nodes.RangeUpdateBlocks - 1)
	r := receive(t, heard.ranges, "a range after 32 blocks")
	if r.Earliest != 0 || r.Latest != number || r.LatestHash.String() != hash {
		t.Errorf("range %+v, want 0 to %d %s", r, number, hash)
	}

	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	headers, err := peer.RequestHeaders(ctx, eth.HeaderQuery{From: number, Limit: 100, Reverse: true})
	if err != nil || len(headers) != int(number)+1 {
		t.Fatalf("%d headers, %v; want %d", len(headers), err, number+1)
	}
	if got := crypto.Keccak256Hash(headers[0]).Hex(); got != hash {
		t.Errorf("the head's header has hash %s, want %s", got, hash)
	}
}

// fetch asks for an announced transaction and wants exactly it.
func fetch(t *testing.T, peer *eth.Peer, a eth.Announcement, want nodes.Tx) {
	t.Helper()
	if len(a.Hashes) != 1 || a.Hashes[0].String() != want.Hash {
		t.Fatalf("announced %v, want %s", a.Hashes, want.Hash)
	}
	if a.Types[0] != want.Raw[0] || int(a.Sizes[0]) != len(want.Raw) {
		t.Errorf("announced as type %d of %d bytes, want %d and %d", a.Types[0], a.Sizes[0], want.Raw[0], len(want.Raw))
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	txs, err := peer.RequestTransactions(ctx, a.Hashes)
	var raw []byte
	if err == nil && len(txs) == 1 {
		err = rlp.Decode(txs[0], &raw)
	}
	if err != nil || !bytes.Equal(raw, want.Raw) {
		t.Errorf("RequestTransactions = %d transactions, %x, %v; want %x", len(txs), raw, err, want.Raw)
	}
}

// A transaction that a program sends through parley is in geth's pool. One that is
// only announced is asked for by geth, answered empty, and geth stays a peer.
func TestGossipToGeth(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, nil)
	geth.Mine(1) // until it has a head, geth does not take transactions
	atGeth := geth.Watch()

	h, heard := listen()
	lib := startLibrary(t, network, h)
	peer := lib.session(t, geth.Node, heard.added)

	sent := sign(t, network, 0, 100)
	if err := peer.SendTransactions(raw(t, sent)); err != nil {
		t.Fatal(err)
	}
	took := nodes.Wait(t, soon, "geth has the transaction", func() bool { return geth.HasTx(sent.Hash) })
	t.Logf("in geth's pool after %v", took)

	before := lib.eth.Stats()
	announced := sign(t, network, 1, 100)
	hash, err := eth.ParseHash(announced.Hash)
	if err != nil {
		t.Fatal(err)
	}
	err = peer.Announce(eth.Announcement{
		Types: []byte{announced.Raw[0]}, Sizes: []uint32{uint32(len(announced.Raw))}, Hashes: []eth.Hash{hash},
	})
	if err != nil {
		t.Fatal(err)
	}
	nodes.Wait(t, soon, "geth's request for the announced transaction is answered", func() bool {
		return fmt.Sprint(lib.eth.Stats().Answered) != fmt.Sprint(before.Answered)
	})
	// An answer that geth does not like would end the connection at once.
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, err := peer.RequestHeaders(ctx, eth.HeaderQuery{From: 0, Limit: 1}); err != nil {
		t.Errorf("geth does not answer after the empty answer: %v", err)
	}
	if drops := atGeth.Events("drop", ""); len(drops) != 0 || geth.HasTx(announced.Hash) {
		t.Errorf("geth dropped %+v, has the transaction: %v; want neither", drops, geth.HasTx(announced.Hash))
	}
}

// sign makes a transaction with some bytes of call data.
func sign(t *testing.T, network nodes.Network, nonce uint64, payload int) nodes.Tx {
	t.Helper()
	tx, err := network.SignTx(nonce, payload)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// raw is a typed transaction as it stands in a message.
func raw(t *testing.T, tx nodes.Tx) rlp.Raw {
	t.Helper()
	item, err := rlp.Encode(tx.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return item
}
