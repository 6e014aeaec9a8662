package nodes

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
)

// A Network is a private chain.
type Network struct {
	ID          uint64
	Genesis     []byte // geth's genesis.json; empty if no geth is to run
	GenesisHash string // 0x and 64 hex digits
	ForkID      string // in the form of parley's option: 0x and 8 hex digits, comma, next fork
}

//go:embed testdata/genesis.json
var genesis []byte

// Private is the network that the tests use unless they need a second one.
func Private() Network {
	return Network{
		ID:          424242,
		Genesis:     genesis,
		GenesisHash: "0x6200b0a6fafd936a0baca07e13bf00f440e488d3a93a998c07f7a89bfb760395",
		ForkID:      "0x23c846ce,0",
	}
}

// OtherGenesis is Private with another genesis block and the same network ID.
func OtherGenesis(t testing.TB) Network {
	t.Helper()
	var g map[string]any
	if err := json.Unmarshal(genesis, &g); err != nil {
		t.Fatal(err)
	}
	g["extraData"] = "0x6f74686572"
	changed, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return Network{
		ID:          424242,
		Genesis:     changed,
		GenesisHash: "0x606f31c385dad6240e23b834065225a9450500a7e298879f150f471c7437b6e3",
		ForkID:      "0x7381ffb4,0",
	}
}

// forkID returns the fork ID of a chain whose forks are all active at its
// genesis block: the checksum of the block's hash, and no next fork (EIP-2124).
func forkID(genesisHash string) (string, error) {
	hash, err := hex.DecodeString(strings.TrimPrefix(genesisHash, "0x"))
	if err != nil {
		return "", fmt.Errorf("nodes: genesis hash: %w", err)
	}
	return fmt.Sprintf("0x%08x,0", crc32.ChecksumIEEE(hash)), nil
}
