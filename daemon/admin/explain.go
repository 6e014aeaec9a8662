package admin

import (
	"context"
	"errors"
	"math"
	"time"

	"parley/daemon/jsonrpc"
	"parley/enode"
	"parley/p2p"
)

// An Explanation is the result of p2p_explain: why a node is, or is not, a peer.
type Explanation struct {
	ID        string     `json:"id"`              // 64 hex digits
	Node      string     `json:"node,omitempty"`  // enr or enode URL, if known
	Enode     string     `json:"enode,omitempty"` // enode URL, if known
	Connected bool       `json:"connected"`
	Static    bool       `json:"static"`
	Trusted   bool       `json:"trusted"`
	Dialing   bool       `json:"dialing"`
	Source    string     `json:"source,omitempty"`   // that named it last, as in the sources of p2p_stats
	Gate      string     `json:"gate,omitempty"`     // that keeps it out; empty if it is a peer, or nothing was tried yet
	Ban       *Ban       `json:"ban,omitempty"`      // that meets it
	Points    float64    `json:"points,omitempty"`   // held against it, of the 100 that lead to a ban
	Failures  int        `json:"failures"`           // dials that failed in a row
	NextDial  *time.Time `json:"nextDial,omitempty"` // when it may be dialed again
	Now       time.Time  `json:"now"`                // the node's clock, to compare with
	Verdicts  []Verdict  `json:"verdicts"`           // oldest first
	Advice    string     `json:"advice,omitempty"`   // what to do, in a sentence
}

// A Verdict is what one gate said about a node.
type Verdict struct {
	Time    time.Time `json:"time"`  // of the last occurrence
	First   time.Time `json:"first"` // of the first of Count
	Gate    string    `json:"gate"`  // dial, rlpx, hello, …
	Inbound bool      `json:"inbound"`
	Remote  string    `json:"remote,omitempty"` // address and port
	Error   string    `json:"error"`
	Reason  string    `json:"reason,omitempty"` // of the Disconnect, if there was one
	Detail  string    `json:"detail,omitempty"` // such as the client name
	Count   int       `json:"count"`            // times in a row
}

// explain makes p2p_explain, which takes a node's URL or its id.
func explain(node Node) jsonrpc.Method {
	return func(_ context.Context, p jsonrpc.Params) (any, error) {
		var who string
		if err := p.Decode(&who); err != nil {
			return nil, err
		}
		id, err := enode.ParseID(who)
		if err != nil {
			n, err := nodeParam(p)
			if err != nil {
				return nil, err
			}
			id = n.ID()
		}
		return NewExplanation(node.Explain(id), time.Now()), nil
	}
}

// NewExplanation returns the JSON form of x at the time now.
func NewExplanation(x p2p.Explanation, now time.Time) *Explanation {
	e := &Explanation{
		ID:        x.ID.String(),
		Connected: x.Connected,
		Static:    x.Static,
		Trusted:   x.Trusted,
		Dialing:   x.Dialing,
		Source:    x.Source,
		Gate:      string(gateOf(&x)),
		Points:    math.Round(x.Points*10) / 10,
		Failures:  x.Failures,
		Now:       now.UTC(),
		Verdicts:  make([]Verdict, 0, len(x.Verdicts)),
		Advice:    x.Advice,
	}
	if x.Node != nil {
		e.Node, e.Enode = x.Node.String(), x.Node.URL()
	}
	if !x.NextDial.IsZero() {
		next := x.NextDial.UTC()
		e.NextDial = &next
	}
	if x.Ban != nil {
		ban := NewBan(x.Ban)
		e.Ban = &ban
	}
	for _, v := range x.Verdicts {
		e.Verdicts = append(e.Verdicts, newVerdict(v))
	}
	return e
}

// gateOf returns the gate that keeps a node out now: the first that it does not
// pass. Verdicts tell how far it came when it was last tried.
func gateOf(x *p2p.Explanation) p2p.Gate {
	switch n := len(x.Verdicts); {
	case x.Connected:
		return ""
	case x.Ban != nil:
		return p2p.GateBan
	case n > 0:
		return x.Verdicts[n-1].Gate
	}
	return ""
}

func newVerdict(v p2p.Verdict) Verdict {
	out := Verdict{
		Time:    v.Time.UTC(),
		First:   v.First.UTC(),
		Gate:    string(v.Gate),
		Inbound: v.Inbound,
		Detail:  v.Detail,
		Count:   v.Count,
	}
	if v.Remote.IsValid() {
		out.Remote = v.Remote.String()
	}
	if v.Err != nil {
		out.Error = v.Err.Error()
		if reason, ok := errors.AsType[p2p.DiscReason](v.Err); ok {
			out.Reason = reason.String()
		}
	}
	return out
}
