package discv4

import (
	"net/netip"
	"time"

	"parley/enode"
)

// An Output is what has come of the calls since the last [Engine.Take]. Its slices
// are the engine's again with the next one.
type Output struct {
	Packets []Outgoing
	Done    []Result
	Votes   []Vote

	// Proven are nodes that proved their endpoint just now, with their record if
	// it is known; of one node not more often than once an hour unless its record
	// changed. Strangers who only send packets are not among them.
	Proven []*enode.Node
}

// An Outgoing is a packet to send.
type Outgoing struct {
	To   netip.AddrPort // IPv4 is not mapped into IPv6
	Data []byte         // not touched by the engine any more
}

// A Vote is what another node says our endpoint is, in answer to a PING of ours.
type Vote struct {
	From     netip.Addr
	Endpoint netip.AddrPort
}

// A Call names a call whose result comes with a later [Engine.Take].
type Call uint64

// A Result is the end of a call. Which fields there are, besides Call and Err,
// depends on the call.
type Result struct {
	Call  Call
	Node  *enode.Node   // RequestENR, Resolve
	Nodes []*enode.Node // FindNode, Lookup
	RTT   time.Duration // Ping
	Seq   uint64        // Ping: of the other's record, 0 if it did not say
	Err   error         // one of the Err sentinels of this package, or wraps one
}

// Stats are counters since the engine was made.
type Stats struct {
	Received [kinds]uint64 // packets opened, by Kind
	Sent     [kinds]uint64
	Dropped  [drops]uint64 // by Drop; some were opened too

	// How many there are now.
	Bonds, Requests, Replays int
}

// Take returns what is to be done, and forgets it. The result is valid until the
// next call of Take.
func (e *Engine) Take() Output {
	out := e.out
	// What was taken before last is let go of.
	clear(e.spare.Packets[:cap(e.spare.Packets)])
	clear(e.spare.Done[:cap(e.spare.Done)])
	clear(e.spare.Proven[:cap(e.spare.Proven)])
	e.out = Output{
		Packets: e.spare.Packets[:0],
		Done:    e.spare.Done[:0],
		Votes:   e.spare.Votes[:0],
		Proven:  e.spare.Proven[:0],
	}
	e.spare = out
	return out
}

// Stats returns a copy of the counters.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Bonds, s.Requests, s.Replays = len(e.bonds.all), e.pending, e.gate.replays.len()
	return s
}

// lifetime is how long our packets are valid.
const lifetime = 20 * time.Second

// maxFuture is the most that the expiration of a packet may be ahead. Later ones
// would have to be remembered for as long, to be told from replays.
const maxFuture = 5 * time.Minute

// expiration returns that of an answer sent now.
func (e *Engine) expiration() uint64 {
	return uint64(max(0, e.now.Add(lifetime).Unix()))
}

// expirationOf returns that of a request sent now in d. It is later than that of
// the last one there: the other side takes the second of two equal packets for a
// replay.
func (e *Engine) expirationOf(d *dialog) uint64 {
	now := e.expiration()
	at := max(now+e.lead, d.expiration+1)
	if at-now > uint64(maxFuture/2/time.Second) {
		at = now // so many requests in so little time that one may be lost
	}
	d.expiration = at
	return at
}

// expired returns nil for an expiration that is neither over nor too far ahead,
// and otherwise a Drop.
func (e *Engine) expired(expiration uint64) error {
	now := uint64(max(0, e.now.Unix()))
	switch {
	case expiration < now:
		return DropExpired
	case expiration-now > uint64(maxFuture/time.Second):
		return DropFuture
	}
	return nil
}

// send signs a message and puts it out. It returns its hash and size.
func (e *Engine) send(to netip.AddrPort, m Message) (hash [32]byte) {
	data, hash, err := Seal(e.key, m)
	if err != nil {
		// No message of ours is too long, and New refused a nil key. Were it so,
		// this is a packet lost.
		return hash
	}
	e.put(to, m.Kind(), data)
	return hash
}

func (e *Engine) put(to netip.AddrPort, kind Kind, data []byte) {
	e.stats.Sent[kind]++
	e.out.Packets = append(e.out.Packets, Outgoing{To: to, Data: data})
}
