package nodeset

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"parley/dnsdisc"
	"parley/enode"
	"parley/eth"
)

// A Row is one node of a set, flat, for lists and tables. An address or time that
// is not known is zero, a text empty.
type Row struct {
	ID            enode.ID       `json:"id"`
	Seq           uint64         `json:"seq"`
	Score         int            `json:"score"`
	TCP           netip.AddrPort `json:"tcp,omitzero"` // the first endpoint
	UDP           netip.AddrPort `json:"udp,omitzero"`
	Fork          string         `json:"fork,omitempty"`    // fork id
	Network       string         `json:"network,omitempty"` // name of the chain that it belongs to
	Snap          bool           `json:"snap"`
	FirstResponse time.Time      `json:"firstResponse,omitzero"`
	LastResponse  time.Time      `json:"lastResponse,omitzero"`
	LastCheck     time.Time      `json:"lastCheck,omitzero"`
	Enode         string         `json:"enode"`
	ENR           string         `json:"enr"`
}

// Rows returns the nodes of a set, sorted by ID.
func Rows(set dnsdisc.NodeSet) ([]Row, error) {
	nodes, err := set.Nodes()
	if err != nil {
		return nil, err
	}
	chains := eth.Chains()
	rows := make([]Row, len(nodes))
	for i, n := range nodes {
		status := set[n.ID()]
		row := Row{
			ID: n.ID(), Seq: status.Seq, Score: status.Score, Snap: status.Record.Has("snap"),
			FirstResponse: status.FirstResponse, LastResponse: status.LastResponse, LastCheck: status.LastCheck,
			Enode: n.URL(), ENR: status.Record.String(),
		}
		row.TCP, _ = n.TCPEndpoint()
		row.UDP, _ = n.UDPEndpoint()
		if id, ok := forkID(status.Record); ok {
			row.Fork, row.Network = id.String(), chainOf(chains, id)
		}
		rows[i] = row
	}
	return rows, nil
}

// chainOf returns the name of the chain that a fork id belongs to, "" if it is none
// of them.
func chainOf(chains []eth.Chain, id eth.ForkID) string {
	i := slices.IndexFunc(chains, func(c eth.Chain) bool { return has(&c, id) })
	if i < 0 {
		return ""
	}
	return chains[i].Name
}

// Columns are the names of the fields of [Row.Fields].
func Columns() []string {
	return []string{"id", "seq", "score", "tcp", "udp", "fork", "network", "snap", "firstResponse", "lastResponse", "lastCheck", "enode", "enr"}
}

// Fields returns the row as texts: what is not known is empty, times are those of
// RFC 3339.
func (r *Row) Fields() []string {
	endpoint := func(at netip.AddrPort) string {
		if !at.IsValid() {
			return ""
		}
		return at.String()
	}
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return []string{
		r.ID.String(), strconv.FormatUint(r.Seq, 10), strconv.Itoa(r.Score), endpoint(r.TCP), endpoint(r.UDP),
		r.Fork, r.Network, strconv.FormatBool(r.Snap),
		moment(r.FirstResponse), moment(r.LastResponse), moment(r.LastCheck), r.Enode, r.ENR,
	}
}
