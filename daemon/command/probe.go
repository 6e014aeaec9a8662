package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"parley/discover"
	"parley/enode"
)

// probed is the outcome of one question to one node.
type probed struct {
	OK     bool    `json:"ok"`
	ID     string  `json:"id"`    // 64 hex digits
	Enode  string  `json:"enode"` // as it was asked or, if that was the question, as it is
	ENR    string  `json:"enr,omitempty"`
	Seq    uint64  `json:"seq,omitempty"` // of its record
	Millis float64 `json:"ms"`            // until the answer, or the failure

	// Seen is where the node sees this one, which only v5 tells.
	Seen  netip.AddrPort `json:"seen,omitzero"`
	Error string         `json:"error,omitempty"`
}

// A question is what one asks a node.
type question struct {
	// ask puts it to n, and fills in what there is besides the node itself.
	ask  func(ctx context.Context, s *discover.Service, n *enode.Node, p *probed) error
	show func(w io.Writer, p *probed) error
}

func pingQuestion() question {
	return question{func(ctx context.Context, s *discover.Service, n *enode.Node, p *probed) error {
		pong, err := s.Ping(ctx, n)
		if err == nil {
			p.Seq, p.Seen, p.Millis = pong.Seq, pong.Endpoint, milliseconds(pong.RTT)
		}
		return err
	}, showPong}
}

func recordQuestion() question {
	return question{func(ctx context.Context, s *discover.Service, n *enode.Node, p *probed) error {
		found, err := s.RequestENR(ctx, n)
		return p.found(found, err)
	}, showNode}
}

func resolveQuestion() question {
	return question{func(ctx context.Context, s *discover.Service, n *enode.Node, p *probed) error {
		found, err := s.Resolve(ctx, n)
		return p.found(found, err)
	}, showNode}
}

func (p *probed) found(n *enode.Node, err error) error {
	if err != nil {
		return err
	}
	p.Enode, p.Seq = n.URL(), n.Seq()
	if r := n.Record(); r != nil {
		p.ENR = r.String()
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// probe returns the action that asks one node.
func (a *app) probe(d dialect, q question) cli.ActionFunc {
	return func(ctx context.Context, c *cli.Command) error {
		text, err := oneArg(c)
		if err != nil {
			return err
		}
		n, err := enode.Parse(text)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		timeout := c.Duration("timeout")
		if timeout <= 0 {
			return usagef("--timeout %v: want a time such as 2s", timeout)
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if n, err = withAddress(ctx, n); err != nil {
			return err
		}
		s, err := a.openStation(ctx, c, d, slog.LevelWarn)
		if err != nil {
			return err
		}
		defer s.Close()
		if i := slices.IndexFunc(s.bootnodes, func(b *enode.Node) bool { return b.ID() == n.ID() }); i >= 0 && n.Incomplete() {
			n = s.bootnodes[i]
		}
		p := &probed{ID: n.ID().String(), Enode: n.URL()}
		start := time.Now()
		err = q.ask(ctx, s.Service, n, p)
		if p.OK = err == nil; p.Millis == 0 {
			p.Millis = milliseconds(time.Since(start))
		}
		err = explainProbe(err, timeout)
		if err != nil {
			p.Error = printable(err.Error())
		}
		if c.Bool("json") {
			return errors.Join(a.printJSON(p), err)
		}
		if err != nil {
			return err
		}
		return q.show(a.Stdout, p)
	}
}

// explainProbe says what a failure means, and gives it its exit code.
func explainProbe(err error, timeout time.Duration) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v: %w", timeout, err)
	case errors.Is(err, discover.ErrTimeout):
		return &exitError{exitTimeout, err}
	case errors.Is(err, discover.ErrNoEndpoint):
		return fmt.Errorf("%w\nresolve with --bootnodes looks for a node by its key", err)
	}
	return err
}

func showPong(w io.Writer, p *probed) error {
	rows := [][]string{{"id", p.ID}, {"record", "-"}, {"time", fmt.Sprintf("%.1f ms", p.Millis)}}
	if p.Seq != 0 {
		rows[1][1] = fmt.Sprintf("number %d", p.Seq)
	}
	if p.Seen.IsValid() {
		rows = append(rows, []string{"sees us at", p.Seen.String()})
	}
	return printTable(w, rows)
}

// showNode prints the record or, if the node publishes none, the URL.
func showNode(w io.Writer, p *probed) error {
	text := p.ENR
	if text == "" {
		text = p.Enode
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
