//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	ethrlp "github.com/ethereum/go-ethereum/rlp"

	"parley/eth"
	"parley/interop/nodes"
)

// Geth understands every request of every version, and its answers come back to
// who asked: a block's header, body and receipts are those of the chain.
func TestRequests(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, nil)
	geth.Mine(1) // until it has a head, geth does not fill blocks
	tx := sign(t, network, 0, 1000)
	geth.SendTx(tx)
	number, head := geth.MineTx(tx)
	hash, err := eth.ParseHash(head)
	if err != nil {
		t.Fatal(err)
	}

	for version := uint(69); version <= highestEth; version++ {
		t.Run(fmt.Sprint("eth", version), func(t *testing.T) {
			h, heard := listen()
			lib := startLibrary(t, network, h, version)
			peer := lib.session(t, geth.Node, heard.added)
			if peer.Version() != version {
				t.Fatalf("session at eth/%d, want eth/%d", peer.Version(), version)
			}
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()

			headers, err := peer.RequestHeaders(ctx, eth.HeaderQuery{FromHash: hash, Limit: 1})
			if err != nil || len(headers) != 1 || crypto.Keccak256Hash(headers[0]).Hex() != head {
				t.Errorf("RequestHeaders of %s = %x, %v; want that header", head, headers, err)
			}

			bodies, err := peer.Request(ctx, eth.GetBlockBodiesMsg, []eth.Hash{hash})
			var body []types.Body
			if err == nil {
				err = ethrlp.DecodeBytes(bodies[0], &body)
			}
			if err != nil || len(body) != 1 || len(body[0].Transactions) != 1 || body[0].Transactions[0].Hash().Hex() != tx.Hash {
				t.Errorf("bodies of block %d: %x, %v; want one with transaction %s", number, bodies, err, tx.Hash)
			}

			query, at := []any{[]eth.Hash{hash}}, 0
			if version >= 70 { // [index of the first receipt, hashes] → [incomplete, receipts], EIP-7975
				query, at = []any{uint64(0), []eth.Hash{hash}}, 1
			}
			answer, err := peer.Request(ctx, eth.GetReceiptsMsg, query...)
			if err != nil {
				t.Fatalf("GetReceipts: %v", err)
			}
			// A receipt is [type, status, gas used, logs], EIP-7642.
			var blocks [][]struct {
				Type    uint8
				Status  []byte
				GasUsed uint64
				Logs    []*types.Log
			}
			if err := ethrlp.DecodeBytes(answer[at], &blocks); err != nil || len(blocks) != 1 || len(blocks[0]) != 1 {
				t.Fatalf("GetReceipts = %x, %v; want one receipt of one block", answer, err)
			}
			if r := blocks[0][0]; r.Type != tx.Raw[0] || !bytes.Equal(r.Status, []byte{1}) || r.GasUsed < 21_000 {
				t.Errorf("receipt %+v, want type %d, success, and 21000 gas or more", r, tx.Raw[0])
			}

			// The chain has neither block access lists nor blobs: geth answers, and
			// has nothing.
			if version >= 71 {
				lists, err := peer.Request(ctx, eth.GetBlockAccessListsMsg, []eth.Hash{hash})
				if err != nil || !bytes.Equal(lists[0], []byte{0xc1, 0x80}) && !bytes.Equal(lists[0], []byte{0xc0}) {
					t.Errorf("GetBlockAccessLists = %x, %v; want nothing", lists, err)
				}
			}
			if version >= 72 {
				cells, err := peer.Request(ctx, eth.GetCellsMsg, []eth.Hash{hash}, eth.CellMask{0xff})
				if err != nil || !bytes.Equal(cells[0], []byte{0xc0}) {
					t.Errorf("GetCells = %x, %v; want no transaction", cells, err)
				}
			}
			unknown, err := peer.RequestTransactions(ctx, []eth.Hash{{1}, {2}})
			if err != nil || len(unknown) != 0 {
				t.Errorf("RequestTransactions of unknown hashes = %x, %v; want none", unknown, err)
			}
			if stats := lib.eth.Stats(); stats.Unsolicited != 0 {
				t.Errorf("%d answers matched no request, want 0", stats.Unsolicited)
			}
		})
	}
}
