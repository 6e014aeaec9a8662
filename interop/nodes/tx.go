package nodes

import (
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// richKey is the key of the account that the genesis block endows. It is the first
// of a widely published set for tests.
const richKey = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

// A Tx is a signed transaction.
type Tx struct {
	Raw  []byte // as on the wire: a type byte and an RLP list
	Hash string // 0x and 64 hex digits
}

// SignTx signs a transaction of the rich account with a payload of some bytes.
func (n Network) SignTx(nonce uint64, payload int) (Tx, error) {
	key, err := crypto.HexToECDSA(richKey)
	if err != nil {
		return Tx{}, err
	}
	chain := new(big.Int).SetUint64(424242) // genesis.json names it, whatever the network ID
	to := common.HexToAddress("0x2222222222222222222222222222222222222222")
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(chain), &types.DynamicFeeTx{
		ChainID:   chain,
		Nonce:     nonce,
		GasTipCap: big.NewInt(1e9),
		GasFeeCap: big.NewInt(1e10),
		Gas:       21_000 + 40*uint64(payload), // the floor price of call data, EIP-7623
		To:        &to,
		Value:     big.NewInt(1),
		Data:      make([]byte, payload),
	})
	if err != nil {
		return Tx{}, err
	}
	raw, err := tx.MarshalBinary()
	return Tx{Raw: raw, Hash: tx.Hash().Hex()}, err
}

// SendTx gives a transaction to the node as a user would. It fails the test if the
// node does not take it.
func (g *Geth) SendTx(tx Tx) {
	g.t.Helper()
	var hash string
	g.Call(&hash, "eth_sendRawTransaction", hexutil.Bytes(tx.Raw))
	if hash != tx.Hash {
		g.t.Fatalf("%s: transaction has hash %s, want %s", g.Name, hash, tx.Hash)
	}
}

// HasTx reports whether the node knows a transaction. Until geth has looked
// through its blocks it answers with an error about those that are not in its
// pool.
func (g *Geth) HasTx(hash string) bool {
	g.t.Helper()
	var tx *struct{ Hash string }
	err := g.TryCall(&tx, "eth_getTransactionByHash", hash)
	if err != nil && !strings.Contains(err.Error(), "transaction indexing is in progress") {
		g.t.Fatalf("%s: eth_getTransactionByHash: %v", g.Name, err)
	}
	return tx != nil
}
