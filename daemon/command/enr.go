package command

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"parley/enode"
	"parley/enr"
	"parley/eth"
	"parley/rlp"
)

func (a *app) enrCommand() *cli.Command {
	return &cli.Command{
		Name:  "enr",
		Usage: "read node records",
		Commands: []*cli.Command{{
			Name: "explain", Usage: "check a record or URL and tell what is in it", ArgsUsage: "NODE",
			Description: "NODE is an enr: record, an enode:// URL or a public key of 128 hex digits.",
			Flags:       []cli.Flag{jsonFlag()}, Action: a.enrExplain,
		}},
	}
}

// aboutNode is what is known from the text of a node.
type aboutNode struct {
	Signed    bool              `json:"signed"`         // a record, whose signature is right
	Size      int               `json:"size,omitempty"` // of the record, in bytes
	Seq       uint64            `json:"seq,omitempty"`
	ID        string            `json:"id"`        // 64 hex digits
	PublicKey string            `json:"publicKey"` // 128 hex digits
	Enode     string            `json:"enode"`
	TCP       []string          `json:"tcp"` // endpoints
	UDP       []string          `json:"udp"` // endpoints
	Problem   string            `json:"problem,omitempty"`
	Entries   map[string]string `json:"entries,omitempty"` // of the record, in words

	keys []string // of Entries, in the record's order
}

func (a *app) enrExplain(_ context.Context, c *cli.Command) error {
	text, err := oneArg(c)
	if err != nil {
		return err
	}
	n, err := enode.Parse(text)
	if err != nil {
		return err
	}
	result := explainNode(n)
	if c.Bool("json") {
		return a.printJSON(result)
	}
	return result.write(a.Stdout)
}

func explainNode(n *enode.Node) *aboutNode {
	pub := n.PublicKey()
	about := &aboutNode{
		ID:        n.ID().String(),
		PublicKey: hex.EncodeToString(pub[:]),
		Enode:     n.URL(),
		TCP:       []string{},
		UDP:       []string{},
	}
	for endpoint := range n.TCPEndpoints() {
		about.TCP = append(about.TCP, endpoint.String())
	}
	for endpoint := range n.UDPEndpoints() {
		about.UDP = append(about.UDP, endpoint.String())
	}
	if err := n.ValidateComplete(); err != nil {
		about.Problem = err.Error()
	}
	if r := n.Record(); r != nil {
		about.Signed, about.Size, about.Seq = true, r.Len(), r.Seq()
		about.Entries = make(map[string]string)
		for key, value := range r.Entries() {
			about.keys = append(about.keys, printable(key))
			about.Entries[printable(key)] = entryText(r, key, value)
		}
	}
	return about
}

// entryText puts the value of a record's entry in words, as far as we know it.
func entryText(r *enr.Record, key string, value rlp.Raw) string {
	var err error
	var text string
	switch key {
	case "id":
		var v enr.ID
		if err = r.Load(&v); err == nil {
			text = string(v)
		}
	case "ip":
		var v enr.IP4
		if err = r.Load(&v); err == nil {
			text = netip.Addr(v).String()
		}
	case "ip6":
		var v enr.IP6
		if err = r.Load(&v); err == nil {
			text = netip.Addr(v).String()
		}
	case "secp256k1":
		key := r.PublicKey().Compress()
		text = hex.EncodeToString(key[:])
	case "tcp", "udp", "tcp6", "udp6":
		var v uint16
		if err = rlp.Decode(value, &v); err == nil {
			text = strconv.Itoa(int(v))
		}
	case "eth":
		var v eth.Entry
		if err = r.Load(&v); err == nil {
			text = "fork id " + v.ForkID.String()
		}
	default:
		return "0x" + hex.EncodeToString(value)
	}
	if err != nil {
		if e, ok := errors.AsType[*enr.EntryError](err); ok {
			err = e.Err
		}
		return fmt.Sprintf("0x%x (cannot be read: %v)", []byte(value), err)
	}
	return printable(text)
}

func (n *aboutNode) write(w io.Writer) error {
	var rows [][]string
	if n.Signed {
		fmt.Fprintf(w, "record of %d bytes, signature valid (identity scheme v4: Keccak-256 and secp256k1)\n", n.Size)
		rows = append(rows, []string{"  seq", strconv.FormatUint(n.Seq, 10)})
		for _, key := range n.keys {
			rows = append(rows, []string{"  " + key, n.Entries[key]})
		}
	} else {
		fmt.Fprintln(w, "URL without a record: nothing in it is signed")
		rows = append(rows, []string{"  public key", n.PublicKey})
	}
	rows = append(rows,
		[]string{"  node id", n.ID},
		[]string{"  enode", n.Enode},
		[]string{"  TCP", dash(strings.Join(n.TCP, " "))},
		[]string{"  UDP", dash(strings.Join(n.UDP, " "))},
	)
	if n.Problem != "" {
		rows = append(rows, []string{"  problem", n.Problem})
	}
	return printTable(w, rows)
}
