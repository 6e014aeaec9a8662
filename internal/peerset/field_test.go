package peerset

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// A manner is what a simulated node does when it is dialed.
type manner int

const (
	accepts manner = iota
	silent         // 10 s until the dial gives up
	full           // says too many peers
	foreign        // is of another network
)

// A fieldNode is a node of the simulated network.
type fieldNode struct {
	node   *enode.Node
	source Source
	manner manner
	busy   time.Time // says too many peers until then
}

// keys are nodes without address. Making one takes longer than all the rest, so
// they are made once.
var keys = sync.OnceValue(func() []*enode.Node {
	nodes := make([]*enode.Node, 1000)
	for i := range nodes {
		secret := [32]byte{30: byte((i + 1) >> 8), 31: byte(i + 1)}
		key, err := enode.ParsePrivateKey(secret[:])
		if err != nil {
			panic(err)
		}
		nodes[i] = enode.NewV4(key.Public(), netip.Addr{}, 0, 0)
	}
	return nodes
})

// newField makes 1,000 nodes of which 28 % accept: 60 % of those that DNS finds, 35 %
// of those of discv5 and 15 % of those of discv4. Some networks have several nodes;
// a tenth of the networks never answers. Of the other nodes two thirds are silent, a
// quarter is full and the rest of another network.
func newField(rng *rand.Rand) []*fieldNode {
	const (
		dns, v5 = 0.15, 0.30 // of all nodes; the rest is from discv4
		dead    = 0.10       // of the networks
	)
	rates := map[Source]float64{SourceDNS: 0.60, SourceV5: 0.35, SourceV4: 0.15}
	var field []*fieldNode
	network, left, isDead := 0, 0, false
	for _, key := range keys() {
		if left == 0 {
			network++
			left = 1
			if rng.IntN(3) == 0 {
				left = 2 + rng.IntN(10) // a provider's
			}
			isDead = rng.Float64() < dead
		}
		left--
		source := SourceV4
		switch u := rng.Float64(); {
		case u < dns:
			source = SourceDNS
		case u < dns+v5:
			source = SourceV5
		}
		// The rates are those of all nodes of a source: the living make up for the dead.
		n := &fieldNode{source: source, manner: accepts}
		switch {
		case isDead:
			n.manner = silent
		case rng.Float64() >= rates[source]/(1-dead):
			switch u := rng.Float64(); {
			case u < 2./3:
				n.manner = silent
			case u < 2./3+1./4:
				n.manner = full
			default:
				n.manner = foreign
			}
		}
		addr := netip.AddrFrom4([4]byte{60 + byte(network>>8), byte(network), 7, byte(1 + left)})
		n.node = key.WithAddr(addr).WithTCP(30303)
		field = append(field, n)
	}
	return field
}

// A chooser decides whom to dial: parley's Set, or what it is compared with.
type chooser interface {
	wants(now time.Time, source Source) bool
	offer(now time.Time, n *fieldNode)
	next(now time.Time) (n *enode.Node, wake time.Time)
	done(now time.Time, id ID, cause Cause)
	add(now time.Time, n *fieldNode) bool
	remove(now time.Time, id ID)
}

// A figure is how a run of the field went.
type figure struct {
	filled, failed int
	full           time.Duration // until the first 25 slots were filled; 2 h if never
}

type event struct {
	at   time.Time
	seq  int
	what func(now time.Time)
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// play runs two hours of the field. The sources find 30 nodes a second together,
// each in random order, with repeats, and as often as it has nodes, and offer them
// while they are wanted. A dial takes 100 to 400 ms, or
// 10 s if nobody answers. Every five minutes one of the peers leaves; half of them
// are full then, for 10 minutes in the mean, as others take the slot.
func play(t *testing.T, seed uint64, field []*fieldNode, rng *rand.Rand, c chooser, slots int) figure {
	t.Helper()
	var q events
	seq := 0
	at0 := at
	schedule := func(at time.Time, what func(time.Time)) {
		seq++
		heap.Push(&q, event{at, seq, what})
	}
	byID := make(map[ID]*fieldNode)
	bySource := make(map[Source][]*fieldNode)
	for _, n := range field {
		n.busy = time.Time{}
		byID[n.node.ID()] = n
		bySource[n.source] = append(bySource[n.source], n)
	}
	var peers []ID
	fig := figure{full: 2 * time.Hour}
	sources := []Source{SourceDNS, SourceV4, SourceV5}
	asleep := make(map[Source]func(now time.Time)) // nobody asks them; what asks again
	var poll func(now time.Time)
	var timer time.Time
	wakeAt := func(wake time.Time) {
		if wake.IsZero() || !timer.IsZero() && !wake.Before(timer) {
			return
		}
		timer = wake
		schedule(wake, func(now time.Time) {
			if now.Equal(timer) {
				timer = time.Time{}
				poll(now)
			}
		})
	}
	poll = func(now time.Time) {
		for {
			n, wake := c.next(now)
			if n == nil {
				wakeAt(wake)
				return
			}
			f := byID[n.ID()]
			took, cause := 100*time.Millisecond+time.Duration(rng.Int64N(int64(300*time.Millisecond))), Cause(-1)
			switch {
			case f.manner == silent:
				took, cause = 10*time.Second, CauseUnreachable
			case f.manner == full || now.Before(f.busy):
				cause = CauseTooManyPeers
			case f.manner == foreign:
				cause = CauseUseless
			}
			schedule(now.Add(took), func(now time.Time) {
				switch {
				case cause >= 0:
					c.done(now, f.node.ID(), cause)
					fig.failed++
				case c.add(now, f):
					peers = append(peers, f.node.ID())
					fig.filled++
					if len(peers) > slots {
						t.Fatalf("seed %d: %d peers in %d slots", seed, len(peers), slots)
					}
					if len(peers) == slots && fig.full == 2*time.Hour {
						fig.full = now.Sub(at0)
					}
				default: // nothing was free any more
					c.done(now, f.node.ID(), CauseNoRoom)
					fig.failed++
				}
				poll(now)
			})
		}
	}
	for _, source := range sources {
		nodes := bySource[source]
		gap := float64(len(field)) / float64(len(nodes)) / 30
		var order []int
		var offer func(time.Time)
		begin := func(now time.Time) {
			schedule(now.Add(time.Duration(gap*rng.ExpFloat64()*float64(time.Second))), offer)
		}
		offer = func(now time.Time) {
			if !c.wants(now, source) {
				asleep[source] = begin
				return
			}
			begin(now)
			if len(order) == 0 {
				order = rng.Perm(len(nodes))
			}
			i := order[0]
			order = order[1:]
			if rng.IntN(4) == 0 { // one that was there already
				i = rng.IntN(len(nodes))
			}
			c.offer(now, nodes[i])
			poll(now)
		}
		begin(at0)
	}
	var leave func(time.Time)
	leave = func(now time.Time) {
		schedule(now.Add(5*time.Minute), leave)
		if len(peers) == 0 {
			return
		}
		i := rng.IntN(len(peers))
		id := peers[i]
		peers = append(peers[:i], peers[i+1:]...)
		if rng.IntN(2) == 0 {
			byID[id].busy = now.Add(time.Duration(rng.ExpFloat64() * float64(10*time.Minute)))
		}
		c.remove(now, id)
		poll(now)
	}
	schedule(at0.Add(5*time.Minute), leave)
	for q.Len() > 0 {
		e := heap.Pop(&q).(event)
		if e.at.Sub(at0) >= 2*time.Hour {
			return fig
		}
		e.what(e.at)
		for _, source := range sources {
			if begin := asleep[source]; begin != nil && c.wants(e.at, source) {
				delete(asleep, source)
				begin(e.at)
			}
		}
	}
	return fig
}

// A parleySet is the Set as a chooser.
type parleySet struct {
	*Set
	t *testing.T
}

func (p parleySet) wants(now time.Time, source Source) bool { return p.Wanted(now, source) > 0 }
func (p parleySet) offer(now time.Time, n *fieldNode) {
	_ = p.Offer(now, Candidate{Node: n.node, Source: n.source})
}
func (p parleySet) next(now time.Time) (*enode.Node, time.Time) { return p.NextDial(now) }
func (p parleySet) done(now time.Time, id ID, cause Cause)      { p.DialDone(now, id, cause) }
func (p parleySet) remove(now time.Time, id ID)                 { p.Remove(now, id, CauseEnded) }
func (p parleySet) add(now time.Time, n *fieldNode) bool {
	ep, _ := n.node.TCPEndpoint()
	_, err := p.Add(now, Conn{ID: n.node.ID(), Addr: ep})
	return err == nil
}

// A fifo dials whatever comes in the order in which it comes, as many as there are
// free slots, and no node again within 35 seconds.
type fifo struct {
	slots, pending int
	peers, flying  map[ID]bool
	history        map[ID]time.Time
	queue          []*enode.Node
	queued         map[ID]bool
}

func newFifo(slots, pending int) *fifo {
	return &fifo{
		slots: slots, pending: pending,
		peers: make(map[ID]bool), flying: make(map[ID]bool), history: make(map[ID]time.Time), queued: make(map[ID]bool),
	}
}

func (f *fifo) free() int { return f.slots - len(f.peers) - len(f.flying) }

func (f *fifo) wants(time.Time, Source) bool { return f.free() > 0 && len(f.queue) < 256 }

func (f *fifo) offer(now time.Time, n *fieldNode) {
	id := n.node.ID()
	if f.peers[id] || f.flying[id] || f.queued[id] || now.Before(f.history[id]) {
		return
	}
	f.queued[id] = true
	f.queue = append(f.queue, n.node)
}

func (f *fifo) next(now time.Time) (*enode.Node, time.Time) {
	if f.free() <= 0 || len(f.flying) >= f.pending || len(f.queue) == 0 {
		return nil, time.Time{}
	}
	n := f.queue[0]
	f.queue = f.queue[1:]
	delete(f.queued, n.ID())
	f.flying[n.ID()] = true
	f.history[n.ID()] = now.Add(35 * time.Second)
	return n, time.Time{}
}

func (f *fifo) done(_ time.Time, id ID, _ Cause) { delete(f.flying, id) }
func (f *fifo) remove(_ time.Time, id ID)        { delete(f.peers, id) }
func (f *fifo) add(_ time.Time, n *fieldNode) bool {
	if len(f.peers) >= f.slots {
		return false
	}
	delete(f.flying, n.node.ID())
	f.peers[n.node.ID()] = true
	return true
}

// A dial scheduler that learns spends at most half the failed dials for each slot
// that it fills, compared with one that dials what comes and only waits 35 s, and
// fills the first 25 slots in at most 0.7 of the time: over 100 runs of two hours,
// with 50 dials in flight and with 16.
func TestDialEfficiency(t *testing.T) {
	const slots, seeds = 25, 100
	for _, pending := range []int{50, 16} {
		t.Run(fmt.Sprintf("pending=%d", pending), func(t *testing.T) {
			var ours, theirs figure
			for seed := range uint64(seeds) {
				field := newField(rng(seed))
				add := func(sum *figure, f figure) {
					sum.filled += f.filled
					sum.failed += f.failed
					sum.full += f.full
				}
				s := New(ID{}, Limits{Peers: 2 * slots, Dialed: slots, Pending: pending}, netaddr.List{}, rng(seed))
				add(&ours, play(t, seed, field, rng(seed), parleySet{s, t}, slots))
				add(&theirs, play(t, seed, field, rng(seed), newFifo(slots, pending), slots))
			}
			perSlot := func(f figure) float64 { return float64(f.failed) / float64(f.filled) }
			fails, speed := perSlot(ours)/perSlot(theirs), float64(ours.full)/float64(theirs.full)
			t.Logf("seeds 0 to %d, %d dials in flight: %.2f failed dials a slot against %.2f (%.2f of them); first %d slots after %.1fs against %.1fs (%.2f of it)",
				seeds-1, pending, perSlot(ours), perSlot(theirs), fails, slots,
				ours.full.Seconds()/seeds, theirs.full.Seconds()/seeds, speed)
			if fails > 0.5 {
				t.Errorf("%.2f of the failed dials, want at most half", fails)
			}
			if speed > 0.7 {
				t.Errorf("%.2f of the time, want at most 0.7", speed)
			}
		})
	}
}
