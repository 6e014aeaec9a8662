package dnsdisc

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"parley/enode"
	"parley/internal/secp"
)

// fanOut is how many hashes we put into a branch: 365 bytes of text, which with
// header, question and a domain of 70 characters is still one UDP packet of 512
// bytes.
const fanOut = 13

// A Tree is a whole list: nodes, links to other lists, and the entries that
// hold them together. It comes from [New] or [Client.Sync]. It is not safe for
// use by several goroutines while one of them signs.
type Tree struct {
	root    root
	entries map[hash]string // below the root
	order   []hash          // of entries, as written
	nodes   []*enode.Node   // sorted by ID
	links   []Link          // sorted by URL
}

// New makes a tree that is not signed yet. seq should be higher than that of
// every tree published before under the same URL.
//
// Every node needs a record, and each node and link may appear once. The same
// nodes and links give the same tree in whatever order they come.
func New(seq uint64, nodes []*enode.Node, links []Link) (*Tree, error) {
	if len(nodes)+len(links) > MaxEntries {
		return nil, fmt.Errorf("dnsdisc: make tree: %w", ErrTooMany)
	}
	t := &Tree{entries: make(map[hash]string), nodes: slices.Clone(nodes), links: slices.Clone(links)}
	t.sort()

	var texts []string
	for i, n := range t.nodes {
		if n.Record() == nil {
			return nil, fmt.Errorf("dnsdisc: make tree: node %v has no record", n.ID())
		}
		if i > 0 && n.ID() == t.nodes[i-1].ID() {
			return nil, fmt.Errorf("dnsdisc: make tree: node %v appears twice", n.ID())
		}
		texts = append(texts, n.Record().String())
	}
	t.root.nodes = t.build(texts)

	texts = nil
	for i, l := range t.links {
		if i > 0 && l == t.links[i-1] {
			return nil, fmt.Errorf("dnsdisc: make tree: link %v appears twice", l)
		}
		texts = append(texts, l.String())
	}
	t.root.links = t.build(texts)
	t.root.seq = seq
	if len(t.entries) > MaxEntries {
		return nil, fmt.Errorf("dnsdisc: make tree: %w", ErrTooMany)
	}
	return t, nil
}

// sort brings nodes and links into the order in which they are told.
func (t *Tree) sort() {
	slices.SortFunc(t.nodes, func(a, b *enode.Node) int { return a.ID().Compare(b.ID()) })
	slices.SortFunc(t.links, func(a, b Link) int { return strings.Compare(a.String(), b.String()) })
}

// build adds the entries and the branches above them, level by level, and
// returns the hash of the topmost.
func (t *Tree) build(texts []string) hash {
	if len(texts) == 0 {
		return t.add(branchPrefix)
	}
	level := make([]hash, len(texts))
	for i, text := range texts {
		level[i] = t.add(text)
	}
	for len(level) > 1 {
		var above []hash
		for group := range slices.Chunk(level, fanOut) {
			if len(group) == 1 && len(level) > 1 {
				above = append(above, group[0]) // needs no branch of its own
				continue
			}
			above = append(above, t.add(branchText(group)))
		}
		level = above
	}
	return level[0]
}

func (t *Tree) add(text string) hash {
	h := hashOf(text)
	if _, ok := t.entries[h]; !ok {
		t.entries[h] = text
		t.order = append(t.order, h)
	}
	return h
}

// Sign signs the tree, and returns the link under which clients find it once it
// is published at domain.
func (t *Tree) Sign(key *enode.PrivateKey, domain string) (Link, error) {
	name, err := parseDomain(domain)
	if err != nil {
		return Link{}, fmt.Errorf("dnsdisc: sign tree: %w", err)
	}
	if err := t.root.sign(key); err != nil {
		return Link{}, fmt.Errorf("dnsdisc: sign tree: %w", err)
	}
	return Link{Key: key.Public(), Domain: name}, nil
}

// SetSignature adds a signature made earlier by the owner of key, in the text
// form of [Tree.Signature]. The error wraps [ErrSignature] if it is not of
// this tree; the tree then stays as it was.
func (t *Tree) SetSignature(key enode.PublicKey, text string) error {
	sig, err := b64.DecodeString(text)
	if err != nil || len(sig) != len(secp.Signature{}) {
		return fmt.Errorf("dnsdisc: set signature: %w", ErrSignature)
	}
	r := t.root
	r.sig = secp.Signature(sig)
	if err := r.verify(key); err != nil {
		return fmt.Errorf("dnsdisc: set signature: %w", err)
	}
	t.root = r
	return nil
}

// Signature returns the signature in URL-safe base64, or "" if there is none.
func (t *Tree) Signature() string {
	if t.root.sig == (secp.Signature{}) {
		return ""
	}
	return b64.EncodeToString(t.root.sig[:])
}

// Seq returns the sequence number.
func (t *Tree) Seq() uint64 { return t.root.seq }

// Nodes returns the nodes, sorted by ID.
func (t *Tree) Nodes() []*enode.Node { return slices.Clone(t.nodes) }

// Links returns the links to other lists, sorted by URL.
func (t *Tree) Links() []Link { return slices.Clone(t.links) }

// Len returns the number of TXT records, with the root.
func (t *Tree) Len() int { return len(t.entries) + 1 }

// Records yields the name and text of each TXT record to be published at
// domain, the root first. The texts are below 512 bytes if the tree is of our
// making, but often above the 255 that fit one character-string of DNS.
func (t *Tree) Records(domain string) iter.Seq2[string, string] {
	return func(yield func(name, text string) bool) {
		if !yield(domain, t.root.String()) {
			return
		}
		for _, h := range t.order {
			if !yield(h.String()+"."+domain, t.entries[h]) {
				return
			}
		}
	}
}
