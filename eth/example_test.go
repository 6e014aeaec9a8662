package eth_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"parley/enode"
	"parley/eth"
	"parley/p2p"
	"parley/rlp"
)

// A node without a chain that stays connected to Sepolia and fetches each
// transaction that its peers announce.
func Example() {
	cfg := eth.Sepolia().Config()
	cfg.Handler.Announcement = func(p *eth.Peer, a eth.Announcement) {
		// The answer is read by the goroutine that runs this handler, so the
		// request must not be waited for here.
		go func() {
			ctx, cancel := context.WithTimeout(p.Conn().Context(), 10*time.Second)
			defer cancel()
			txs, err := p.RequestTransactions(ctx, a.Hashes[:min(256, a.Len())])
			log.Printf("%v: %d transactions, %v", p, len(txs), err)
		}()
	}
	service, err := eth.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	key, err := enode.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	srv := &p2p.Server{Config: p2p.Config{
		PrivateKey: key,
		ListenAddr: ":30303",
		Protocols:  service.Protocols(),
	}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := srv.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// The fork id says how far a node came, and whether two of them can be on one
// chain.
func ExampleForkList_Check() {
	main := eth.Mainnet()
	osaka := eth.Head{Number: 23_935_694, Time: 1764798551}
	fmt.Println("at Osaka:", main.Forks.ID(main.Genesis, osaka))

	syncing := eth.ForkID{Hash: 0xc376cf8b, Next: 1764798551} // Prague, knows of Osaka
	fmt.Println(main.Forks.Check(main.Genesis, osaka, syncing))

	stale := eth.ForkID{Hash: 0xc376cf8b} // Prague, does not
	fmt.Println(main.Forks.Check(main.Genesis, osaka, stale))
	// Output:
	// at Osaka: 0x5167e2a6,1765290071
	// <nil>
	// eth: fork id incompatible: remote needs a software update: ours 0x5167e2a6,1765290071, theirs 0xc376cf8b,0
}

// A mirror needs to know nothing of the chain.
func ExampleConfig_mirror() {
	service, err := eth.New(eth.Config{Mirror: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range service.Protocols() {
		fmt.Print(p.Cap(), " ")
	}
	fmt.Println(service.NodeInfo().Mirror)
	// Output: eth/72 eth/71 eth/70 eth/69 eth/68 true
}

// Transactions are handed over as RLP: a list for a legacy transaction, a byte
// string for a typed one.
func ExampleHandler() {
	handler := eth.Handler{
		Transactions: func(p *eth.Peer, txs []rlp.Raw) {
			for _, tx := range txs {
				c := rlp.NewCursor(tx)
				if kind, size, err := c.Kind(); err == nil && kind == rlp.String {
					log.Printf("typed transaction of %d bytes from %v", size, p)
				}
			}
		},
		BlockRange: func(p *eth.Peer, r eth.BlockRange) {
			log.Printf("%v has blocks %d to %d", p, r.Earliest, r.Latest)
		},
	}
	fmt.Println(handler.Transactions != nil)
	// Output: true
}
