package eth

import "slices"

// A Chain is what a node must know of a public network to be let in.
type Chain struct {
	Name    string
	Network uint64 // network id
	Genesis Hash
	Forks   ForkList
}

// Chains returns the built-in chains: mainnet, sepolia, hoodi. The slice and all
// that it refers to belong to the caller.
func Chains() []Chain { return []Chain{Mainnet(), Sepolia(), Hoodi()} }

// ChainNamed returns the built-in chain with the given name.
func ChainNamed(name string) (Chain, bool) {
	chains := Chains()
	i := slices.IndexFunc(chains, func(c Chain) bool { return c.Name == name })
	if i < 0 {
		return Chain{}, false
	}
	return chains[i], true
}

// Mainnet returns the Ethereum main network.
//
// Genesis hash: EIP-1898. Forks by block: EIP-6953. Forks by time: EIP-6953
// (Shanghai), EIP-7569 (Cancun), EIP-7600 (Prague), EIP-7607 (Osaka, BPO1,
// BPO2). As of September 2026 no time was set for Amsterdam (EIP-7773).
func Mainnet() Chain {
	return Chain{
		Name:    "mainnet",
		Network: 1,
		Genesis: mustHash("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"),
		Forks: ForkList{
			Blocks: []uint64{
				1150000,  // Homestead
				1920000,  // DAO
				2463000,  // Tangerine Whistle
				2675000,  // Spurious Dragon
				4370000,  // Byzantium
				7280000,  // Constantinople, Petersburg
				9069000,  // Istanbul
				9200000,  // Muir Glacier
				12244000, // Berlin
				12965000, // London
				13773000, // Arrow Glacier
				15050000, // Gray Glacier
			},
			Times: []uint64{
				1681338455, // Shanghai
				1710338135, // Cancun
				1746612311, // Prague
				1764798551, // Osaka
				1765290071, // BPO1
				1767747671, // BPO2
			},
		},
	}
}

// Sepolia returns the test network for applications.
//
// Genesis hash, time and the fork by block (a network split before The Merge):
// https://github.com/eth-clients/sepolia. Forks by time: the same (Shanghai),
// EIP-7569, EIP-7600, EIP-7607, and for Amsterdam EIP-7773 as filled in by
// https://github.com/ethereum/EIPs/pull/12355.
func Sepolia() Chain {
	return Chain{
		Name:    "sepolia",
		Network: 11155111,
		Genesis: mustHash("25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9"),
		Forks: ForkList{
			GenesisTime: 1633267481,
			Blocks:      []uint64{1735371},
			Times: []uint64{
				1677557088, // Shanghai
				1706655072, // Cancun
				1741159776, // Prague
				1760427360, // Osaka
				1761017184, // BPO1
				1761607008, // BPO2
				1791294816, // Amsterdam
			},
		},
	}
}

// Hoodi returns the test network for staking and infrastructure.
//
// Genesis hash and time: https://github.com/eth-clients/hoodi. Forks: EIP-7600,
// EIP-7607; earlier ones are in the genesis. As of September 2026 the time of
// Amsterdam was provisional and is left out.
func Hoodi() Chain {
	return Chain{
		Name:    "hoodi",
		Network: 560048,
		Genesis: mustHash("bbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b"),
		Forks: ForkList{
			GenesisTime: 1742212800,
			Times: []uint64{
				1742999832, // Prague
				1761677592, // Osaka
				1762365720, // BPO1
				1762955544, // BPO2
			},
		},
	}
}

// mustHash reads a hash that is written in this file.
func mustHash(s string) Hash {
	h, err := ParseHash(s)
	if err != nil {
		panic(err)
	}
	return h
}
