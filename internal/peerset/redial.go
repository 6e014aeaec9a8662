package peerset

import "time"

const (
	// redialGap is the time between two dials of nodes that were dialed or
	// connected before. When a network comes back, or a machine from sleep, all of
	// them are due at once, and on every node of that network.
	redialGap = 200 * time.Millisecond

	// maxMet bounds the nodes that are remembered for it.
	maxMet = 4096
)

// A pacer keeps dials of nodes met before apart. First dials do not wait: a node
// that has just started finds its peers by them.
type pacer struct {
	next  time.Time // no node that was met before is dialed until then
	met   map[ID]struct{}
	order []ID // of met, oldest first
}

func newPacer() pacer { return pacer{met: make(map[ID]struct{})} }

// after returns when id may be dialed, as far as others are concerned.
func (p *pacer) after(id ID) time.Time {
	if _, again := p.met[id]; again {
		return p.next
	}
	return time.Time{}
}

// dialed notes a dial of id.
func (p *pacer) dialed(now time.Time, id ID) {
	if _, again := p.met[id]; again {
		p.next = now.Add(redialGap)
	}
	p.meet(id)
}

// meet notes that id was dialed, or was a peer.
func (p *pacer) meet(id ID) {
	if _, again := p.met[id]; again {
		return
	}
	if len(p.order) >= maxMet {
		delete(p.met, p.order[0])
		p.order = p.order[1:]
	}
	p.met[id] = struct{}{}
	p.order = append(p.order, id)
}
