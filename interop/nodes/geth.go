package nodes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// RangeUpdateBlocks is after how many blocks geth tells its peers of its new
// range. The eth/69 specification allows one BlockRangeUpdate per epoch.
const RangeUpdateBlocks = 32

// A Geth is a running geth.
type Geth struct {
	*Node
	Network Network
}

// GethOptions says how a geth is started.
type GethOptions struct {
	Path     string // of the program
	Logs     string // directory for the logs of failed tests
	Name     string // of the node in this test; empty means geth
	Network  Network
	MaxPeers int // 0 means geth's default, 50

	Discovery bool     // look for nodes, and answer, by v4 and v5
	Bootnodes []string // URLs; with Discovery
}

// StartGeth starts a geth that sends nothing but to 127.0.0.0/8.
func StartGeth(t testing.TB, o GethOptions) *Geth {
	t.Helper()
	if o.Name == "" {
		o.Name = "geth"
	}
	dir := newDir(t, o.Name)
	genesis := filepath.Join(dir, "genesis.json")
	if err := os.WriteFile(genesis, o.Network.Genesis, 0o600); err != nil {
		t.Fatal(err)
	}
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "geth.ipc")
	initialize, err := startProcess(dir, o.Path, "--datadir", data, "init", genesis)
	if err != nil {
		t.Fatalf("%s: init: %v", o.Name, err)
	}
	select {
	case <-initialize.ended:
	case <-time.After(startTimeout):
		_, _ = initialize.stop() // it failed already
	}
	if initialize.err != nil {
		t.Fatalf("%s: init: %v\n%s", o.Name, initialize.err, tail(initialize.log(), logTail))
	}
	args := []string{
		"--datadir", data, "--ipcpath", socket,
		"--networkid", strconv.FormatUint(o.Network.ID, 10), "--syncmode", "full", "--cache", "32",
		"--nat", "extip:127.0.0.1", "--netrestrict", "127.0.0.0/8",
		"--bootnodes", strings.Join(o.Bootnodes, ","), "--discovery.dns", "",
		"--port", "0", "--authrpc.addr", "127.0.0.1", "--authrpc.port", "0",
	}
	if o.Discovery {
		args = append(args, "--discovery.v4", "--discovery.v5")
	} else {
		args = append(args, "--nodiscover")
	}
	if o.MaxPeers != 0 {
		args = append(args, "--maxpeers", strconv.Itoa(o.MaxPeers))
	}
	g := &Geth{Node: start(t, o.Logs, o.Name, dir, socket, o.Path, args...), Network: o.Network}
	if e := g.Protocols.Eth; e.Network != o.Network.ID || e.Genesis != o.Network.GenesisHash {
		t.Fatalf("%s: has network %d and genesis %s, want %d and %s", o.Name, e.Network, e.Genesis, o.Network.ID, o.Network.GenesisHash)
	}
	return g
}

// Mine appends n blocks to the chain, as a consensus client would, and returns
// the head's number and hash. The calls are those of the engine API, which geth
// offers on its IPC socket without a token.
func (g *Geth) Mine(n int) (number uint64, hash string) {
	g.t.Helper()
	for range n {
		number, hash = g.mineOne(0)
	}
	return number, hash
}

// MineTx appends blocks until one has the transaction in it, and returns that
// one's number and hash. The transaction must be in geth's pool.
func (g *Geth) MineTx(tx Tx) (number uint64, hash string) {
	g.t.Helper()
	for range 10 {
		g.mineOne(fillTime)
		var receipt *struct {
			BlockNumber hexutil.Uint64 `json:"blockNumber"`
			BlockHash   string         `json:"blockHash"`
		}
		if g.Call(&receipt, "eth_getTransactionReceipt", tx.Hash); receipt != nil {
			return uint64(receipt.BlockNumber), receipt.BlockHash
		}
	}
	g.t.Fatalf("%s: transaction %s is in none of 10 blocks", g.Name, tx.Hash)
	panic("unreachable")
}

// fillTime is how long geth is given to fill a block: it first makes an empty
// one, which it hands out when it is asked at once.
const fillTime = 300 * time.Millisecond

// zeroHash is 32 zero bytes; the engine API wants some hashes that do not matter here.
const zeroHash = "0x0000000000000000000000000000000000000000000000000000000000000000"

func (g *Geth) mineOne(fill time.Duration) (uint64, string) {
	g.t.Helper()
	var head struct {
		Hash      string         `json:"hash"`
		Timestamp hexutil.Uint64 `json:"timestamp"`
	}
	g.Call(&head, "eth_getBlockByNumber", "latest", false)

	var started struct {
		PayloadID string `json:"payloadId"`
	}
	g.Call(&started, "engine_forkchoiceUpdatedV3", choose(head.Hash), map[string]any{
		"timestamp":             max(head.Timestamp+1, hexutil.Uint64(time.Now().Unix())),
		"prevRandao":            zeroHash,
		"suggestedFeeRecipient": "0x1111111111111111111111111111111111111111",
		"withdrawals":           []any{},
		"parentBeaconBlockRoot": zeroHash,
	})
	<-time.After(fill)
	var built struct {
		Payload  json.RawMessage `json:"executionPayload"`
		Requests []string        `json:"executionRequests"`
	}
	g.Call(&built, "engine_getPayloadV5", started.PayloadID)
	if built.Requests == nil {
		built.Requests = []string{} // null is refused
	}
	var verdict struct {
		Status string `json:"status"`
	}
	g.Call(&verdict, "engine_newPayloadV4", built.Payload, []any{}, zeroHash, built.Requests)
	if verdict.Status != "VALID" {
		g.t.Fatalf("%s: own block is %s, want VALID", g.Name, verdict.Status)
	}
	var block struct {
		Number hexutil.Uint64 `json:"blockNumber"`
		Hash   string         `json:"blockHash"`
	}
	if err := json.Unmarshal(built.Payload, &block); err != nil {
		g.t.Fatalf("%s: payload: %v", g.Name, err)
	}
	g.Call(nil, "engine_forkchoiceUpdatedV3", choose(block.Hash), nil)
	return uint64(block.Number), block.Hash
}

// choose is the fork choice that makes a block the head.
func choose(hash string) map[string]any {
	return map[string]any{"headBlockHash": hash, "safeBlockHash": hash, "finalizedBlockHash": zeroHash}
}
