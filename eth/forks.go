package eth

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// A ForkList is a chain's schedule of forks. The order of the entries does not
// matter; several forks at one point count once.
type ForkList struct {
	Blocks []uint64 // forks scheduled by block number; those at block 0 are no forks
	Times  []uint64 // forks scheduled by time, in seconds since 1970; all come after those by block

	// GenesisTime is the timestamp of the genesis block. Rules that are in force
	// from the start are no forks, so entries of Times up to it are left out.
	GenesisTime uint64
}

// Errors of a fork id check. A [ForkError] wraps one of the last two, and they
// wrap the first.
var (
	ErrForkID      = errors.New("eth: fork id incompatible")
	ErrRemoteStale = fmt.Errorf("%w: remote needs a software update", ErrForkID)
	ErrLocalStale  = fmt.Errorf("%w: another chain, or local needs a software update", ErrForkID)
)

// A ForkError says why two fork ids do not go together.
type ForkError struct {
	Local, Remote ForkID
	Err           error // ErrRemoteStale or ErrLocalStale
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("%v: ours %v, theirs %v", e.Err, e.Local, e.Remote)
}

func (e *ForkError) Unwrap() error { return e.Err }

// ID returns the fork id of a node on the chain with the given genesis hash whose
// latest block is head.
func (l ForkList) ID(genesis Hash, head Head) ForkID {
	return l.chain(genesis).id(head)
}

// Check returns nil if a remote node with the given fork id can be on the same
// chain as a local one whose latest block is head, and a *ForkError otherwise.
// https://eips.ethereum.org/EIPS/eip-2124#validation-rules
func (l ForkList) Check(genesis Hash, head Head, remote ForkID) error {
	return l.chain(genesis).check(head, remote)
}

// Check is the check of a node that knows no more of its chain than the fork id
// it has at head. It accepts the same chain in the same state, or one fork
// behind or ahead: the checksum is incremental, so one step can be followed
// without the list.
func (id ForkID) Check(head Head, remote ForkID) error {
	switch {
	case remote.Hash == id.Hash:
		if remote.Next != 0 && passed(remote.Next, head, false) {
			return &ForkError{Local: id, Remote: remote, Err: ErrLocalStale}
		}
		return nil
	case remote.Next != 0 && extend(remote.Hash, remote.Next) == id.Hash:
		return nil // the other side is syncing
	case id.Next != 0 && extend(id.Hash, id.Next) == remote.Hash:
		return nil // we are
	}
	return &ForkError{Local: id, Remote: remote, Err: ErrLocalStale}
}

// A forkChain is a ForkList with the checksums of one genesis.
type forkChain struct {
	points []uint64 // block numbers, then timestamps, each ascending and unique
	blocks int      // how many of points are block numbers
	sums   []uint32 // sums[i] is the fork hash when i points have passed
}

func (l ForkList) chain(genesis Hash) *forkChain {
	tidy := func(points []uint64, after uint64) []uint64 {
		p := slices.DeleteFunc(slices.Clone(points), func(n uint64) bool { return n <= after })
		slices.Sort(p)
		return slices.Compact(p)
	}
	blocks, times := tidy(l.Blocks, 0), tidy(l.Times, l.GenesisTime)
	c := &forkChain{points: append(blocks, times...), blocks: len(blocks)}
	sum := crc32.ChecksumIEEE(genesis[:])
	c.sums = append(c.sums, sum)
	for _, p := range c.points {
		sum = extend(sum, p)
		c.sums = append(c.sums, sum)
	}
	return c
}

// state returns how many forks have passed at head.
func (c *forkChain) state(head Head) int {
	for i, p := range c.points {
		if i < c.blocks && head.Number < p || i >= c.blocks && head.Time < p {
			return i
		}
	}
	return len(c.points)
}

func (c *forkChain) id(head Head) ForkID {
	n := c.state(head)
	id := ForkID{Hash: c.sums[n]}
	if n < len(c.points) {
		id.Next = c.points[n]
	}
	return id
}

func (c *forkChain) check(head Head, remote ForkID) error {
	n := c.state(head)
	fail := func(err error) error {
		return &ForkError{Local: c.id(head), Remote: remote, Err: err}
	}
	// Rule 1: the same state. A fork that the other side still expects must not
	// lie behind us.
	if remote.Hash == c.sums[n] {
		if remote.Next != 0 && passed(remote.Next, head, n > c.blocks) {
			return fail(ErrLocalStale)
		}
		return nil
	}
	// Rule 2: the other side is where we were once. It must know of the fork that
	// we passed next, or it will take another way there.
	if i := slices.Index(c.sums[:n], remote.Hash); i >= 0 {
		if remote.Next != c.points[i] {
			return fail(ErrRemoteStale)
		}
		return nil
	}
	// Rule 3: the other side is where we shall be. Rule 4: anything else.
	if slices.Contains(c.sums[n+1:], remote.Hash) {
		return nil
	}
	return fail(ErrLocalStale)
}

// firstTimestamp is the timestamp of mainnet's first block. A fork point above it
// is meant as a time: no chain has that many blocks, and none is older.
const firstTimestamp = 1438269988

// passed reports whether a fork that the other side expects lies at or before our
// head. A fork id does not tell block numbers from timestamps (EIP-6122: "it is
// not important to distinguish"), but once a fork by time has passed, only
// forks by time can follow.
func passed(next uint64, head Head, timed bool) bool {
	if timed || next >= firstTimestamp {
		return head.Time >= next
	}
	return head.Number >= next
}
