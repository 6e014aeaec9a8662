package eth

import (
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"

	"parley/p2p"
	"parley/rlp"
)

// DefaultMaxRequests is the number of requests that may wait for an answer from
// one peer.
const DefaultMaxRequests = 64

// A Config says which chain a Service claims to be on, and what it does with what
// it hears. Genesis is required unless Mirror is set; everything else has a
// default. New copies and checks it.
type Config struct {
	// Network is the network id, often but not always the chain id.
	Network uint64

	// Genesis is the hash of the chain's first block.
	Genesis Hash

	// Forks is the chain's fork schedule. The fork id that is told follows from
	// it and Head, and others' are checked against it.
	Forks ForkList

	// ForkID, if set, is told instead, whatever Head is; Forks must then be empty.
	// Others are accepted in the same state or one fork behind or ahead.
	ForkID *ForkID

	// Head is the latest block and Earliest the number of the first one with body
	// and receipts that the program has. Zero means the genesis block.
	Head     Head
	Earliest uint64

	// TotalDifficulty is told in eth/68. Nil means 0: it has had no meaning since
	// The Merge (EIP-7642).
	TotalDifficulty *big.Int

	// Mirror turns the fields above off, which must then be zero: the Service
	// waits up to a second for the other side's Status and answers with its
	// network, genesis and fork id.
	Mirror bool

	// Versions are the versions to offer, 68 to 72; of those that both sides
	// have, the highest runs. Nil means all.
	Versions []uint

	// MaxRequests bounds the requests that wait for an answer from one peer.
	// Zero means 64.
	MaxRequests int

	// Handler is told what peers send.
	Handler Handler

	// Logger takes a line at debug level for each session that begins. Nil means
	// slog.Default(). Why a session ends is logged by the p2p.Server.
	Logger *slog.Logger
}

// A Handler holds functions to be called with what happens in the sessions. Any
// may be nil.
//
// They are called by the goroutine that reads from the peer: one call at a time
// for each peer, but for several peers at once. While one runs, nothing else is
// read from that peer, so a slow handler slows its peer down and no other; if it
// takes more than half a minute, the p2p.Server drops the peer. It may call the
// Peer's methods, but a request to the same peer will not be answered before it
// returns.
type Handler struct {
	// Added is called when Status was exchanged and found to fit, before
	// anything else is read.
	Added func(*Peer)

	// Removed is called once for each peer that was added, with the reason.
	Removed func(*Peer, error)

	// Transactions is called with at most 1024 transactions at a time, in the
	// order of the message: legacy ones are RLP lists, typed ones byte strings
	// (EIP-2718). They are canonical RLP and otherwise unchecked. They alias the
	// message and are valid until the function returns.
	Transactions func(*Peer, []rlp.Raw)

	// Announcement is called with the transactions that the peer has. The
	// Announcement belongs to the handler.
	Announcement func(*Peer, Announcement)

	// BlockRange is called with each BlockRangeUpdate. It was validated.
	BlockRange func(*Peer, BlockRange)
}

// Config returns a configuration for the chain, at its genesis block.
func (c Chain) Config() Config {
	return Config{Network: c.Network, Genesis: c.Genesis, Forks: c.Forks}
}

// check reports every mistake at once.
func (c *Config) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("eth: config: "+format, args...)) }

	if c.Mirror {
		if c.Network != 0 || !c.Genesis.IsZero() || !c.Forks.empty() || c.ForkID != nil ||
			c.Head != (Head{}) || c.Earliest != 0 || c.TotalDifficulty != nil {
			fail("Mirror takes the chain from the other side; leave Network, Genesis, Forks, ForkID, Head, Earliest and TotalDifficulty zero")
		}
	} else {
		if c.Genesis.IsZero() {
			fail("Genesis is missing")
		}
		if c.ForkID != nil && !c.Forks.empty() {
			fail("both Forks and ForkID are set")
		}
		if err := checkHead(c.Head, c.Earliest); err != nil {
			fail("%w", err)
		}
		if td := c.TotalDifficulty; td != nil && (td.Sign() < 0 || td.BitLen() > maxDifficulty) {
			fail("TotalDifficulty is not an integer of at most %d bits", maxDifficulty)
		}
	}
	for i, v := range c.Versions {
		switch {
		case Length(v) == 0:
			fail("Versions[%d]: eth/%d is not one of eth/%d to eth/%d", i, v, MinVersion, MaxVersion)
		case slices.Contains(c.Versions[:i], v):
			fail("Versions[%d]: eth/%d is listed twice", i, v)
		}
	}
	if c.MaxRequests < 0 {
		fail("MaxRequests is %d; it cannot be turned off", c.MaxRequests)
	}
	return errors.Join(errs...)
}

// checkHead reports whether the two can be a node's range of blocks.
func checkHead(head Head, earliest uint64) error {
	switch {
	case head.Number > 0 && head.Hash.IsZero():
		return fmt.Errorf("head: block %d has no hash", head.Number)
	case earliest > head.Number:
		return fmt.Errorf("earliest block %d is after head %d", earliest, head.Number)
	}
	return nil
}

func (l *ForkList) empty() bool {
	return len(l.Blocks) == 0 && len(l.Times) == 0 && l.GenesisTime == 0
}

// withDefaults returns a copy that shares nothing with c, with zero fields
// replaced and the versions sorted, highest first.
func (c Config) withDefaults() Config {
	if c.Versions == nil {
		for v := uint(MinVersion); v <= MaxVersion; v++ {
			c.Versions = append(c.Versions, v)
		}
	}
	c.Versions = slices.Clone(c.Versions)
	slices.Sort(c.Versions)
	slices.Reverse(c.Versions)
	if c.ForkID != nil {
		id := *c.ForkID
		c.ForkID = &id
	}
	if c.TotalDifficulty != nil {
		c.TotalDifficulty = new(big.Int).Set(c.TotalDifficulty)
	}
	if c.Head.Number == 0 && c.Head.Hash.IsZero() {
		c.Head.Hash = c.Genesis
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = DefaultMaxRequests
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// A refusal ends a session: the error says why in words, the reason is what the
// other side is told.
type refusal struct {
	reason p2p.DiscReason
	err    error
}

func refuse(reason p2p.DiscReason, format string, args ...any) error {
	return &refusal{reason, fmt.Errorf(format, args...)}
}

func (r *refusal) Error() string { return r.err.Error() }

func (r *refusal) Unwrap() []error { return []error{r.err, r.reason} }
