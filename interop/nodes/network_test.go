package nodes

import "testing"

// The fork IDs of the private networks are the checksums of their genesis
// blocks, as every fork is active there.
func TestNetworkForkID(t *testing.T) {
	for _, n := range []Network{Private(), OtherGenesis(t)} {
		if want, err := forkID(n.GenesisHash); err != nil || n.ForkID != want {
			t.Errorf("network with genesis %s has fork ID %s, want %s (%v)", n.GenesisHash, n.ForkID, want, err)
		}
	}
}
