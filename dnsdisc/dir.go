package dnsdisc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"parley/enode"
	"parley/enr"
)

// Names of the two files of a tree directory, as tools of this field know it.
const (
	InfoFile  = "enrtree-info.json" // an Info
	NodesFile = "nodes.json"        // a NodeSet
)

// An Info is what the directory of a tree says besides the nodes. URL and
// Signature are empty until the tree is signed.
type Info struct {
	URL          string    `json:"url,omitempty"`
	Seq          uint64    `json:"seq"`
	Signature    string    `json:"signature,omitempty"`
	Links        []string  `json:"links"`
	LastModified time.Time `json:"lastModified,omitzero"`
}

// A NodeSet is a set of nodes with what is known of each, by ID.
type NodeSet map[enode.ID]NodeStatus

// A NodeStatus is one node of a [NodeSet]. Times are zero if there was none.
type NodeStatus struct {
	Seq    uint64      `json:"seq"`
	Record *enr.Record `json:"record"`
	// Score grows by one with each check that the node passed and is halved by
	// each that it failed.
	Score         int       `json:"score,omitempty"`
	FirstResponse time.Time `json:"firstResponse,omitzero"`
	LastResponse  time.Time `json:"lastResponse,omitzero"`
	LastCheck     time.Time `json:"lastCheck,omitzero"`
}

// ParseInfo reads enrtree-info.json.
func ParseInfo(b []byte) (Info, error) {
	var info Info
	if err := decode(b, &info); err != nil {
		return Info{}, fmt.Errorf("dnsdisc: parse %s: %w", InfoFile, err)
	}
	return info, nil
}

// AppendJSON appends the content of enrtree-info.json to b.
func (info Info) AppendJSON(b []byte) ([]byte, error) {
	if info.Links == nil {
		info.Links = []string{}
	}
	return appendFile(b, info)
}

// ParseNodeSet reads nodes.json. Every record is verified, and that it belongs
// to the ID and sequence number beside it.
func ParseNodeSet(b []byte) (NodeSet, error) {
	var set NodeSet
	if err := decode(b, &set); err != nil {
		return nil, fmt.Errorf("dnsdisc: parse %s: %w", NodesFile, err)
	}
	for _, id := range slices.SortedFunc(maps.Keys(set), enode.ID.Compare) {
		status := set[id]
		switch {
		case status.Record == nil:
			return nil, fmt.Errorf("dnsdisc: parse %s: node %v: no record", NodesFile, id)
		case enode.PubkeyID(status.Record.PublicKey()) != id:
			return nil, fmt.Errorf("dnsdisc: parse %s: node %v: the record is of another node", NodesFile, id)
		case status.Record.Seq() != status.Seq:
			return nil, fmt.Errorf("dnsdisc: parse %s: node %v: seq is %d, but %d in the record", NodesFile, id, status.Seq, status.Record.Seq())
		}
	}
	return set, nil
}

// AppendJSON appends the content of nodes.json to b, sorted by ID.
func (set NodeSet) AppendJSON(b []byte) ([]byte, error) {
	if set == nil {
		set = NodeSet{}
	}
	return appendFile(b, set)
}

// Nodes returns the nodes of the set, sorted by ID.
func (set NodeSet) Nodes() ([]*enode.Node, error) {
	nodes := make([]*enode.Node, 0, len(set))
	for _, id := range slices.SortedFunc(maps.Keys(set), enode.ID.Compare) {
		n, err := enode.New(set[id].Record)
		if err != nil {
			return nil, fmt.Errorf("dnsdisc: node %v: %w", id, err)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// Info returns what a directory says of a tree that is published, or will be,
// at link.
func (t *Tree) Info(link Link, modified time.Time) Info {
	info := Info{URL: link.String(), Seq: t.Seq(), Signature: t.Signature(), Links: []string{}, LastModified: modified}
	for _, l := range t.links {
		info.Links = append(info.Links, l.String())
	}
	return info
}

// NodeSet returns the nodes of the tree.
func (t *Tree) NodeSet() NodeSet {
	set := make(NodeSet, len(t.nodes))
	for _, n := range t.nodes {
		set[n.ID()] = NodeStatus{Seq: n.Seq(), Record: n.Record()}
	}
	return set
}

// FromDir makes a tree of what the two files of a directory say, and returns it
// with its link. If they hold a signature it must be of this tree: its nodes,
// links and sequence number are as they were when it was signed. Without a
// signature the link is zero.
func FromDir(info Info, set NodeSet) (*Tree, Link, error) {
	nodes, err := set.Nodes()
	if err != nil {
		return nil, Link{}, err
	}
	var links []Link
	for _, url := range info.Links {
		link, err := ParseLink(url)
		if err != nil {
			return nil, Link{}, err
		}
		links = append(links, link)
	}
	t, err := New(info.Seq, nodes, links)
	if err != nil || info.Signature == "" {
		return t, Link{}, err
	}
	at, err := ParseLink(info.URL)
	if err != nil {
		return nil, Link{}, err
	}
	if err := t.SetSignature(at.Key, info.Signature); err != nil {
		return nil, Link{}, err
	}
	return t, at, nil
}

// decode reads exactly one JSON value.
func decode(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the value")
	}
	return nil
}

// appendFile appends v as a file that people read: indented, with a newline.
func appendFile(b []byte, v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "    ")
	if err != nil {
		return b, fmt.Errorf("dnsdisc: write: %w", err)
	}
	return append(append(b, text...), '\n'), nil
}
