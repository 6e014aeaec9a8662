package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v3"

	"parley/daemon/datadir"
	"parley/dnsdisc"
)

func (a *app) dnsCommand() *cli.Command {
	return &cli.Command{
		Name:  "dns",
		Usage: "read and make lists of nodes in DNS (EIP-1459)",
		Commands: []*cli.Command{{
			Name: "sync", Usage: "download a list", ArgsUsage: "URL [DIR]",
			Description: "URL is enrtree://KEY@DOMAIN. DIR gets nodes.json and enrtree-info.json, which parley dns sign and to-txt\n" +
				"read; without DIR the nodes are printed. Everything is verified. Links to\n" +
				"other lists are not followed.",
			Flags: append([]cli.Flag{
				&cli.StringFlag{Name: "resolver", Usage: "`IP:PORT` name server to ask (default: that of the system)"},
				&cli.DurationFlag{Name: "timeout", Value: 30 * time.Minute, Usage: "`TIME` for the whole list (default: 30m)"},
				&cli.IntFlag{Name: "rate", Value: 50, Usage: "`N` most lookups a second (default: 50)"},
			}, setFlags("table")...),
			Action: a.dnsSync,
		}, {
			Name: "sign", Usage: "sign the list in a directory", ArgsUsage: "DIR KEYFILE",
			Description: "DIR has nodes.json, and enrtree-info.json if it was signed before. KEYFILE is an Ethereum keystore file\n" +
				"(version 3), whose password is asked for, or a node key file. Prints the URL of the list.",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "domain", Usage: "`NAME` where the list will be published (default: that of the URL in DIR)"},
				&cli.Uint64Flag{Name: "seq", Usage: "`N` sequence number (default: one more than that in DIR)"},
				&cli.StringFlag{Name: "password", Usage: "`FILE` with the password of the keystore file in its first line"},
				jsonFlag(),
			},
			Action: a.dnsSign,
		}, {
			Name: "to-txt", Usage: "write the DNS records of a signed list", ArgsUsage: "DIR [FILE]",
			Description: "The records are a JSON object that has the text of each TXT record under its name, or with --zone a part\n" +
				"of a zone file. Without FILE, or if it is -, they are printed.",
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "zone", Usage: "write a zone file instead (RFC 1035)"},
				&cli.BoolFlag{Name: "json", Usage: "print JSON: the records, or about the FILE that was written"},
			},
			Action: a.dnsToTXT,
		}},
	}
}

// maxTreeFile is the largest file of a tree directory in bytes. A list has at most
// 100,000 entries.
const maxTreeFile = 128 << 20

// aboutTree is what --json prints about a list.
type aboutTree struct {
	URL     string `json:"url"`
	Seq     uint64 `json:"seq"`
	Nodes   int    `json:"nodes"`
	Links   int    `json:"links"`
	Records int    `json:"records"` // in DNS
	Dir     string `json:"dir,omitempty"`
	File    string `json:"file,omitempty"`
}

func treeInfo(t *dnsdisc.Tree, link dnsdisc.Link) aboutTree {
	return aboutTree{URL: link.String(), Seq: t.Seq(), Nodes: len(t.Nodes()), Links: len(t.Links()), Records: t.Len()}
}

// readTree reads the files of a tree directory. Before a list is signed for the first time
// there may be only the nodes.
func readTree(dir string) (dnsdisc.Info, dnsdisc.NodeSet, error) {
	info, err := readInfo(dir)
	if err != nil {
		return info, nil, err
	}
	text, err := readFile(filepath.Join(dir, dnsdisc.NodesFile), maxTreeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return info, nil, fmt.Errorf("%w\nA directory with a list has at least the file %s; parley dns sync makes one", err, dnsdisc.NodesFile)
	}
	if err != nil {
		return info, nil, err
	}
	set, err := dnsdisc.ParseNodeSet(text)
	return info, set, err
}

// readInfo reads enrtree-info.json, which is zero if it is not there.
func readInfo(dir string) (dnsdisc.Info, error) {
	text, err := readFile(filepath.Join(dir, dnsdisc.InfoFile), maxTreeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return dnsdisc.Info{}, nil
	}
	if err != nil {
		return dnsdisc.Info{}, err
	}
	return dnsdisc.ParseInfo(text)
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return text, err
}

func writeTreeInfo(dir string, info dnsdisc.Info) error {
	text, err := info.AppendJSON(nil)
	if err != nil {
		return err
	}
	return datadir.Replace(filepath.Join(dir, dnsdisc.InfoFile), text)
}

func (a *app) dnsSign(_ context.Context, c *cli.Command) error {
	if c.NArg() != 2 {
		return usagef("want two arguments, %s, and got %d\nSee: %s --help", c.ArgsUsage, c.NArg(), c.FullName())
	}
	dir := c.Args().Get(0)
	info, set, err := readTree(dir)
	if err != nil {
		return err
	}
	domain := c.String("domain")
	if domain == "" {
		if info.URL == "" {
			return usagef("the list in %s has no domain yet: name it with --domain", dir)
		}
		before, err := dnsdisc.ParseLink(info.URL)
		if err != nil {
			return fmt.Errorf("%s: %w", dnsdisc.InfoFile, err)
		}
		domain = before.Domain
	}
	seq, err := nextSeq(c, info, set)
	if err != nil {
		return err
	}
	unsigned := info
	unsigned.Seq, unsigned.Signature = seq, ""
	tree, _, err := dnsdisc.FromDir(unsigned, set)
	if err != nil {
		return err
	}
	key, err := a.signingKey(c.Args().Get(1), c.String("password"))
	if err != nil {
		return err
	}
	link, err := tree.Sign(key, domain)
	if err != nil {
		return err
	}
	if err := writeTreeInfo(dir, tree.Info(link, time.Now().UTC().Truncate(time.Second))); err != nil {
		return err
	}
	if info.URL != "" && info.URL != link.String() {
		fmt.Fprintf(a.Stderr, "note: the URL was %s; who has that one will not find this list\n", printable(info.URL))
	}
	about := treeInfo(tree, link)
	about.Dir = dir
	return a.print(c, about, about.URL)
}

// nextSeq returns the sequence number to sign with. What has been published once must
// not come again with other content: readers keep what they have under a number.
func nextSeq(c *cli.Command, info dnsdisc.Info, set dnsdisc.NodeSet) (uint64, error) {
	seq := c.Uint64("seq")
	switch {
	case !c.IsSet("seq") && info.Seq == math.MaxUint64:
		return 0, fmt.Errorf("the sequence number %d has no next one: publish the list under another domain or key", info.Seq)
	case !c.IsSet("seq"):
		return info.Seq + 1, nil
	case seq < info.Seq:
		return 0, usagef("--seq %d is lower than %d, which the list has: readers would refuse it", seq, info.Seq)
	case seq == info.Seq && info.Signature != "":
		if _, _, err := dnsdisc.FromDir(info, set); err != nil {
			return 0, usagef("--seq %d is that of another state of the list, which was signed before: leave it out, or use a higher one", seq)
		}
	}
	return seq, nil
}

func (a *app) dnsToTXT(_ context.Context, c *cli.Command) error {
	if n := c.NArg(); n != 1 && n != 2 {
		return usagef("want one or two arguments, %s, and got %d\nSee: %s --help", c.ArgsUsage, n, c.FullName())
	}
	dir, path := c.Args().Get(0), c.Args().Get(1)
	printed := path == "" || path == "-"
	if printed && c.Bool("zone") && c.Bool("json") {
		return usagef("--zone and --json contradict each other when the records are printed")
	}
	info, set, err := readTree(dir)
	if err != nil {
		return err
	}
	if info.Signature == "" {
		return fmt.Errorf("the list in %s is not signed: run parley dns sign %[1]s KEYFILE", dir)
	}
	tree, link, err := dnsdisc.FromDir(info, set)
	if errors.Is(err, dnsdisc.ErrSignature) {
		return fmt.Errorf("the list in %s has changed since it was signed (%w): run parley dns sign %[1]s KEYFILE", dir, err)
	}
	if err != nil {
		return err
	}
	text, err := tree.AppendJSON(nil, link.Domain)
	if c.Bool("zone") {
		text, err = tree.AppendZone(nil, link.Domain)
	}
	if err != nil {
		return err
	}
	if printed {
		_, err := a.Stdout.Write(text)
		return err
	}
	if err := datadir.Replace(path, text); err != nil {
		return err
	}
	if !c.Bool("json") {
		return nil
	}
	about := treeInfo(tree, link)
	about.File = path
	return a.printJSON(about)
}
