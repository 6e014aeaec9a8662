// Package doctor judges how a node fares: it takes what was found out about it and says
// what is right, what is wrong, and what to do. It finds out nothing itself.
package doctor

import (
	"time"

	"parley/daemon/admin"
	"parley/daemon/discovery"
	"parley/daemon/sntp"
	"parley/dnsdisc"
	"parley/enode"
	"parley/p2p"
)

// A Status is the outcome of a check.
type Status string

// The outcomes.
const (
	OK   Status = "ok"
	Warn Status = "warn" // it may be meant so
	Fail Status = "FAIL"
	Skip Status = "skip" // not checked, or nothing to check
)

// A Check is one thing that was looked at.
type Check struct {
	Name   string `json:"check"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"` // what to do
}

// Facts are what was found out about a running node.
type Facts struct {
	Setup  admin.Setup
	Info   p2p.NodeInfo
	Stats  admin.Stats
	Static []*admin.Explanation
	Bans   []admin.Ban

	Clock *Clock // nil: no time server was asked
	TCP   error  // of a connection to where the node listens; nil if there is none to make
	UDP   error  // of a ping by discovery to where it listens

	Bootnodes []Answer
	DNS       []dnsdisc.ListStatus // after an attempt to read each list
}

// A Clock is what a time server says of ours.
type Clock struct {
	Server string
	sntp.Reading
	Err error
}

// An Answer is the outcome of a ping by discovery.
type Answer struct {
	Node *enode.Node
	Pong discovery.Pong
	Err  error
}

// Examine makes all checks, in the order in which a connection depends on them.
func Examine(f *Facts) []Check {
	checks := []Check{
		checkClock(f), checkSockets(f), checkNAT(f), checkReachable(f),
		checkBootnodes(f), checkDNS(f),
		checkNetRestrict(f), checkBans(f), checkStatic(f), checkProtocol(f),
	}
	checks = append(checks, checkFunnels(f)...)
	return append(checks, checkPeers(f))
}

// Failed reports whether something is wrong.
func Failed(checks []Check) bool {
	for i := range checks {
		if checks[i].Status == Fail {
			return true
		}
	}
	return false
}

// Discovery v4 packets expire 20 s after they were made, so that two clocks must
// agree to within that.
// https://github.com/ethereum/devp2p/blob/master/discv4.md
const (
	clockWarn = time.Second
	clockFail = 10 * time.Second
)

func checkClock(f *Facts) Check {
	c := Check{Name: "clock", Status: OK}
	if f.Clock == nil {
		c.Status, c.Detail = Skip, "not checked: no time server was asked"
		c.Remedy = "--ntp HOST asks one."
		return c
	}
	if f.Clock.Err != nil {
		c.Status, c.Detail = Warn, "not checked: "+f.Clock.Err.Error()
		c.Remedy = "Name another time server with --ntp, or see whether UDP port 123 is let out."
		return c
	}
	off := f.Clock.Offset
	c.Detail = "offset " + signed(off) + " (" + f.Clock.Server + ")"
	switch {
	case off.Abs() >= clockFail:
		c.Status = Fail
	case off.Abs() >= clockWarn:
		c.Status = Warn
	default:
		return c
	}
	c.Remedy = "Set the clock, and keep it right with an NTP service: packets of discovery v4 count for 20 s only."
	return c
}

func signed(d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	if d < 10*time.Second {
		return sign + millis(float64(d.Microseconds())/1000)
	}
	return sign + d.Round(time.Second).String()
}
