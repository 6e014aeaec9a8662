package peerset

import "time"

// A Cause says why a dial failed or a peer was lost, as far as it matters for
// when to try again.
type Cause int

// The causes.
const (
	CauseUnreachable      Cause = iota // no connection, or it broke
	CauseDropped                       // it was closed before the other side had proved who it is
	CauseTooManyPeers                  // the other side is full
	CauseAlreadyConnected              // the other side has a connection with us
	CauseUseless                       // wrong network, no shared capability, unexpected identity
	CauseSelf                          // we dialed ourselves
	CauseEnded                         // either side ended it on purpose
	CauseNoRoom                        // the other side was willing, we had no slot left
	CauseRefused                       // this side refused: a ban, the permitted networks, the policy
)

const (
	// redialAfter is how long a node is left alone after a dial, whatever its
	// outcome. It is a little longer than the time for which other clients refuse
	// repeated connections from one address.
	redialAfter = 35 * time.Second

	// droppedAfter is the same for one that closed the connection at once: some
	// clients do so with whoever comes again, from anywhere in the same network,
	// within five minutes.
	droppedAfter = 5*time.Minute + 5*time.Second

	// endedAfter is how long a node that was a peer for some time and left on
	// purpose is left alone: whoever made it leave has its slot now.
	endedAfter = 5 * time.Minute

	// unreachedAfter is the longest that a static node is left alone which cannot
	// be reached: it is to be a peer again within a minute after its network, or
	// ours, is back.
	unreachedAfter = 50 * time.Second

	// settled is the age from which a connection counts as a success: what
	// failed before no longer slows the next dial down.
	settled = 30 * time.Second
)

// pause returns how long to wait after the n-th failure in a row, n ≥ 1. A static
// node is tried more often than one that has substitutes.
func (c Cause) pause(n int, static, lower bool) time.Duration {
	double := func(first, most time.Duration) time.Duration {
		return min(first<<min(n-1, 16), most)
	}
	switch c {
	case CauseUnreachable:
		if static {
			return double(redialAfter, unreachedAfter)
		}
	case CauseTooManyPeers:
		return double(5*time.Minute, 30*time.Minute)
	case CauseAlreadyConnected:
		// Two connections met and both ended. The sides wait for different times
		// so that they do not meet again.
		if lower {
			return 9 * time.Second
		}
		return 4 * time.Second
	case CauseDropped:
		if !static { // a static one is tried at least as seldom from the fifth time on
			return double(droppedAfter, time.Hour)
		}
	case CauseUseless:
		if static {
			return double(redialAfter, 10*time.Minute)
		}
		return 24 * time.Hour
	case CauseSelf:
		return time.Hour
	case CauseEnded:
		return double(redialAfter, 5*time.Minute)
	case CauseNoRoom:
		return redialAfter
	case CauseRefused:
		if !static { // what was decided here changes when somebody changes it
			return time.Hour
		}
	}
	if static {
		return double(redialAfter, 10*time.Minute)
	}
	return double(redialAfter, time.Hour)
}

// failure reports whether the cause speaks against dialing the node.
func (c Cause) failure() bool {
	switch c {
	case CauseAlreadyConnected, CauseSelf, CauseEnded, CauseNoRoom, CauseRefused:
		return false
	}
	return true
}
