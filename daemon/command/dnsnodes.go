package command

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"parley/dnsdisc"
	"parley/enode"
)

// nodeFormats are the ways in which nodes are printed.
var nodeFormats = []string{"table", "json", "ndjson", "csv", "enr", "enode"}

func nodeFormatFlag() cli.Flag {
	return &cli.StringFlag{Name: "o", Value: "table", Usage: "`FORMAT` " + strings.Join(nodeFormats, ", ") + "; json is a nodes.json (default: table)"}
}

func quietFlag() cli.Flag { return &cli.BoolFlag{Name: "q", Usage: "print only node ids"} }

// nodeFormat returns the format that a command was asked for: one of nodeFormats,
// or "id".
func nodeFormat(c *cli.Command) (string, error) {
	format := c.String("o")
	if !slices.Contains(nodeFormats, format) {
		return "", usagef("-o %q: want one of %s", format, strings.Join(nodeFormats, ", "))
	}
	asked := 0
	for name, as := range map[string]string{"q": "id", "json": "json"} {
		if c.Bool(name) {
			format = as
			asked++
		}
	}
	if c.IsSet("o") && asked > 0 || asked > 1 {
		return "", usagef("-o, -q and --json contradict each other")
	}
	return format, nil
}

// A listedNode is a node in a list of NDJSON.
type listedNode struct {
	ID    string   `json:"id"` // 64 hex digits
	Seq   uint64   `json:"seq"`
	ENR   string   `json:"enr"`
	Enode string   `json:"enode"`
	TCP   []string `json:"tcp"` // endpoints
	UDP   []string `json:"udp"`
}

func listed(n *enode.Node) listedNode {
	l := listedNode{ID: n.ID().String(), Seq: n.Seq(), ENR: n.Record().String(), Enode: n.URL(), TCP: []string{}, UDP: []string{}}
	for ep := range n.TCPEndpoints() {
		l.TCP = append(l.TCP, ep.String())
	}
	for ep := range n.UDPEndpoints() {
		l.UDP = append(l.UDP, ep.String())
	}
	return l
}

// printNodes prints nodes that have records.
func (a *app) printNodes(format string, nodes []*enode.Node) error {
	switch format {
	case "json":
		set := make(dnsdisc.NodeSet)
		for _, n := range nodes {
			set[n.ID()] = dnsdisc.NodeStatus{Seq: n.Seq(), Record: n.Record()}
		}
		text, err := set.AppendJSON(nil)
		if err == nil {
			_, err = a.Stdout.Write(text)
		}
		return err
	case "table":
		rows := [][]string{{"ID", "SEQ", "TCP", "UDP"}}
		for _, n := range nodes {
			l := listed(n)
			rows = append(rows, []string{l.ID, strconv.FormatUint(l.Seq, 10), dash(strings.Join(l.TCP, " ")), dash(strings.Join(l.UDP, " "))})
		}
		return printTable(a.Stdout, rows)
	case "csv":
		rows := [][]string{{"id", "seq", "tcp", "udp", "enr"}}
		for _, n := range nodes {
			l := listed(n)
			rows = append(rows, []string{l.ID, strconv.FormatUint(l.Seq, 10), strings.Join(l.TCP, " "), strings.Join(l.UDP, " "), l.ENR})
		}
		return csv.NewWriter(a.Stdout).WriteAll(rows)
	}
	for _, n := range nodes {
		line := ""
		switch format {
		case "ndjson":
			text, err := json.Marshal(listed(n))
			if err != nil {
				return err
			}
			line = string(text)
		case "enr":
			line = n.Record().String()
		case "enode":
			line = n.URL()
		case "id":
			line = n.ID().String()
		}
		if _, err := fmt.Fprintln(a.Stdout, line); err != nil {
			return err
		}
	}
	return nil
}
