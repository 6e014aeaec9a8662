package discv5

import (
	"net/netip"
	"time"

	"parley/enode"
)

// maxChecks is how many nodes of the table are checked at a time.
const maxChecks = 16

// An upkeep is what goes on for the node table.
type upkeep struct {
	started    bool
	due        bool      // the table changed, and may want something
	wake       time.Time // when it wants something anyway
	checking   int
	refreshing bool
}

// start puts the bootnodes into the table, once.
func (e *Engine) start(now time.Time) {
	if e.upkeep.started {
		return
	}
	e.upkeep.started, e.upkeep.due = true, true
	for _, n := range e.cfg.Bootnodes {
		e.table.Seen(now, n)
	}
}

// maintain does what the table wants: a PING to a node whose liveness is in
// doubt, a lookup in the bucket that was looked after longest ago. It reports
// whether something ended over it.
func (e *Engine) maintain(now time.Time) bool {
	u := &e.upkeep
	if !u.due && (u.wake.IsZero() || now.Before(u.wake)) {
		return false
	}
	u.due, u.wake = false, time.Time{}
	for u.checking < maxChecks {
		n, wake := e.table.NextCheck(now)
		if n == nil {
			u.wake = earlier(u.wake, wake)
			break
		}
		e.check(now, n)
	}
	if !u.refreshing {
		target, wake := e.table.NextRefresh(now)
		if wake.IsZero() {
			e.refresh(now, target)
		}
		u.wake = earlier(u.wake, wake)
	}
	return u.due || len(e.calls.ended) > 0
}

// check sends a PING to a node of the table, and asks for its record if it has
// a newer one.
func (e *Engine) check(now time.Time, n *enode.Node) {
	e.upkeep.checking++
	end := func(now time.Time, ok bool, updated *enode.Node) {
		e.upkeep.checking--
		e.upkeep.due = true
		e.table.Checked(now, n.ID(), ok, updated)
	}
	e.ping(now, n, func(now time.Time, c *call) {
		switch {
		case c.err != nil:
			end(now, false, nil)
		case c.seq <= n.Seq():
			e.out.Proven = append(e.out.Proven, n)
			end(now, true, nil)
		default:
			e.out.Proven = append(e.out.Proven, n)
			e.ask(now, n, []uint{0}, func(now time.Time, c *call) {
				updated := c.self()
				if updated != nil && !e.contactable(updated, c.at.addr.Addr()) {
					updated = nil
				}
				end(now, true, updated)
			}).check = true
		}
	}).check = true
}

// refresh looks for nodes near a target on behalf of the table. If the table
// lost all nodes it begins again with the bootnodes.
func (e *Engine) refresh(now time.Time, target enode.ID) {
	e.upkeep.refreshing = true
	if all, _ := e.table.Len(); all == 0 {
		for _, n := range e.cfg.Bootnodes {
			e.table.Seen(now, n)
		}
	}
	e.look(now, target, func(time.Time, *lookup) {
		e.upkeep.refreshing, e.upkeep.due = false, true
	})
}

// heard tells the table of a node that the host at teller told of. One that
// cannot be contacted is not kept.
func (e *Engine) heard(now time.Time, n *enode.Node, teller netip.Addr) {
	if !e.contactable(n, teller) {
		return
	}
	e.table.Seen(now, n)
	e.upkeep.due = true
	e.out.Found = append(e.out.Found, n)
}
