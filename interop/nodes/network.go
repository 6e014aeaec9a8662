package nodes

import (
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
)

// A Network is a private chain with every fork active from its genesis block, so
// that its fork ID depends on nothing but the hash of that block.
type Network struct {
	ID          uint64
	Genesis     []byte // geth's genesis.json
	GenesisHash string // 0x and 64 hex digits
}

//go:embed testdata/genesis.json
var genesis []byte

// Private is the network that the tests use unless they need a second one.
func Private() Network {
	return Network{
		ID:          424242,
		Genesis:     genesis,
		GenesisHash: "0x6200b0a6fafd936a0baca07e13bf00f440e488d3a93a998c07f7a89bfb760395",
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
	}
}

// ForkID returns the fork ID in the form of parley's option: the hash as hex
// digits and the next fork, which is none.
func (n Network) ForkID() (string, error) {
	hash, err := hex.DecodeString(strings.TrimPrefix(n.GenesisHash, "0x"))
	if err != nil {
		return "", fmt.Errorf("nodes: genesis hash: %w", err)
	}
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(hash))
	return "0x" + hex.EncodeToString(sum) + ",0", nil
}
