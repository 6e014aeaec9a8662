package command

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"parley/daemon/nodeset"
	"parley/dnsdisc"
)

// rows returns what writes the nodes of a set by means of write.
func (a *app) rows(write func(io.Writer, []nodeset.Row) error) func(dnsdisc.NodeSet) error {
	return func(set dnsdisc.NodeSet) error {
		rows, err := nodeset.Rows(set)
		if err != nil {
			return err
		}
		w := bufio.NewWriter(a.Stdout)
		if err := write(w, rows); err != nil {
			return err
		}
		return w.Flush()
	}
}

func writeNDJSON(w io.Writer, rows []nodeset.Row) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range rows {
		if err := e.Encode(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func writeCSV(w io.Writer, rows []nodeset.Row) error {
	c := csv.NewWriter(w)
	if err := c.Write(nodeset.Columns()); err != nil {
		return err
	}
	for i := range rows {
		if err := c.Write(rows[i].Fields()); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// writeLines writes one line for each node.
func writeLines(w io.Writer, rows []nodeset.Row, line func(*nodeset.Row) string) error {
	for i := range rows {
		if _, err := fmt.Fprintln(w, line(&rows[i])); err != nil {
			return err
		}
	}
	return nil
}

// writeRows writes a table for people.
func writeRows(w io.Writer, rows []nodeset.Row) error {
	table := [][]string{{"ID", "TCP", "UDP", "SEQ", "SCORE", "AGE", "FORK", "NETWORK", "SNAP"}}
	endpoint := func(at netip.AddrPort) string {
		if !at.IsValid() {
			return "-"
		}
		return at.String()
	}
	for i := range rows {
		r := &rows[i]
		snap := "-"
		if r.Snap {
			snap = "yes"
		}
		table = append(table, []string{
			short(r.ID.String()), endpoint(r.TCP), endpoint(r.UDP), fmt.Sprint(r.Seq), fmt.Sprint(r.Score),
			age(r.LastResponse.Sub(r.FirstResponse)), dash(r.Fork), dash(r.Network), snap,
		})
	}
	return printTable(w, table)
}
