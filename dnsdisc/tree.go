// Package dnsdisc reads and makes lists of nodes that are published in DNS: trees
// of TXT records under one signature.
//
// The format is EIP-1459, https://github.com/ethereum/devp2p/blob/master/dnsdisc.md.
// [Client] finds nodes in the lists of others; [New] and [Tree.Sign] make a list,
// and the methods of [Tree] write it down for a name server.
package dnsdisc

import (
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"parley/enode"
	"parley/enr"
	"parley/internal/secp"
)

// What a list may have, whoever signed it. The owner of a list is not trusted
// with the memory of its readers.
const (
	MaxEntryLen = 2048    // bytes of one TXT record
	MaxChildren = 16      // hashes in one branch
	MaxDepth    = 8       // branches above an entry
	MaxEntries  = 100_000 // entries of one tree, and of all trees of a Client
)

// Lengths of an abbreviated hash in bytes. Twelve bytes cannot be collided with
// on purpose; what we write has the sixteen that the specification's example has.
const (
	minHash     = 12
	maxHash     = 32
	writtenHash = 16
)

const (
	rootPrefix   = "enrtree-root:v1 "
	branchPrefix = "enrtree-branch:"
	recordPrefix = "enr:"
)

// Reasons why a TXT record is refused.
var (
	ErrTooLong   = errors.New("the entry is longer than 2048 bytes")
	ErrSyntax    = errors.New("the entry is malformed")
	ErrChildren  = errors.New("the branch has more than 16 hashes")
	ErrDepth     = errors.New("the entry lies below more than 8 branches")
	ErrHash      = errors.New("the entry does not have the hash that is its name")
	ErrSignature = errors.New("the root is not signed by the key of the list")
	ErrSeq       = errors.New("the root is older than one seen before")
	ErrMisplaced = errors.New("the entry belongs to the other subtree")
	ErrTooMany   = errors.New("the list has more than 100000 entries")
)

// Neither encoding uses padding. Bits that mean nothing must be zero, or one
// hash would have several names.
var (
	b32 = base32.StdEncoding.WithPadding(base32.NoPadding)
	b64 = base64.RawURLEncoding.Strict()
)

// A hash is the abbreviated Keccak-256 hash of an entry, minHash to maxHash
// bytes, as a string so that it can be compared and be the key of a map.
type hash string

// parseHash reads a hash in base32. DNS does not tell upper from lower case, but a
// signed text has one form only.
func parseHash(s string) (hash, error) {
	if len(s) > b32.EncodedLen(maxHash) {
		return "", ErrSyntax
	}
	b, err := b32.DecodeString(s)
	if err != nil || len(b) < minHash || len(b) > maxHash || b32.EncodeToString(b) != s {
		return "", ErrSyntax
	}
	return hash(b), nil
}

// hashOf returns the hash under which entries are written.
func hashOf(text string) hash {
	sum := secp.Keccak256([]byte(text))
	return hash(sum[:writtenHash])
}

// matches reports whether text is the entry that h names, by every byte of h.
func (h hash) matches(text string) bool {
	sum := secp.Keccak256([]byte(text))
	return len(h) >= minHash && len(h) <= maxHash && string(sum[:len(h)]) == string(h)
}

func (h hash) String() string { return b32.EncodeToString([]byte(h)) }

// A root is the signed entry on top of a tree.
type root struct {
	nodes, links hash // of the two subtrees
	seq          uint64
	sig          secp.Signature
}

// signed returns the text that the signature covers.
func (r root) signed() string {
	return rootPrefix + "e=" + r.nodes.String() + " l=" + r.links.String() + " seq=" + strconv.FormatUint(r.seq, 10)
}

func (r root) String() string {
	return r.signed() + " sig=" + b64.EncodeToString(r.sig[:])
}

// isRoot reports whether text means to be a root. The name of a list often has
// other TXT records too.
func isRoot(text string) bool { return strings.HasPrefix(text, rootPrefix) }

// parseRoot reads a root and does not verify its signature.
func parseRoot(text string) (root, error) {
	var r root
	if len(text) > MaxEntryLen {
		return r, ErrTooLong
	}
	rest, ok := strings.CutPrefix(text, rootPrefix)
	if !ok {
		return r, ErrSyntax
	}
	var fields [4]string
	for i, key := range [...]string{"e=", "l=", "seq=", "sig="} {
		value, after, more := strings.Cut(rest, " ")
		if fields[i], ok = strings.CutPrefix(value, key); !ok || more != (i < 3) {
			return r, ErrSyntax
		}
		rest = after
	}
	nodes, err1 := parseHash(fields[0])
	links, err2 := parseHash(fields[1])
	seq, err3 := strconv.ParseUint(fields[2], 10, 64)
	sig, err4 := b64.DecodeString(fields[3])
	if err := errors.Join(err1, err2, err3, err4); err != nil || len(sig) != len(r.sig) {
		return r, ErrSyntax
	}
	r = root{nodes: nodes, links: links, seq: seq, sig: secp.Signature(sig)}
	// The signature is checked over what signed returns, so there must be no
	// second way to write the same root.
	if r.String() != text {
		return root{}, ErrSyntax
	}
	return r, nil
}

// verify returns nil if the owner of key signed r, and otherwise ErrSignature.
func (r root) verify(key enode.PublicKey) error {
	signer, err := secp.Recover(secp.Keccak256([]byte(r.signed())), r.sig)
	if err != nil || signer != key {
		return ErrSignature
	}
	return nil
}

// sign sets the signature.
func (r *root) sign(key *enode.PrivateKey) (err error) {
	r.sig, err = key.Sign(secp.Keccak256([]byte(r.signed())))
	return err
}

// pickRoot returns the one root among the TXT records of a name, verified.
// Two of them are refused: which one is meant is not for us to guess.
func pickRoot(texts []string, key enode.PublicKey) (root, error) {
	found := ""
	for _, text := range texts {
		switch {
		case !isRoot(text):
		case found != "":
			return root{}, fmt.Errorf("%w: more than one root", ErrSyntax)
		default:
			found = text
		}
	}
	if found == "" {
		return root{}, fmt.Errorf("%w: no root", ErrSyntax)
	}
	r, err := parseRoot(found)
	if err != nil {
		return root{}, err
	}
	return r, r.verify(key)
}

// pickEntry returns the TXT record whose hash is h.
func pickEntry(texts []string, h hash) (string, error) {
	for _, text := range texts {
		if len(text) > MaxEntryLen {
			return "", ErrTooLong
		}
		if h.matches(text) {
			return text, nil
		}
	}
	return "", ErrHash
}

// An entry is what stands below the root: a branch, a node or a link. One of
// the three is set; a branch may be empty.
type entry struct {
	branch   []hash
	isBranch bool
	node     *enode.Node
	link     Link
	isLink   bool
}

// parseEntry reads an entry below the root. A record is verified.
func parseEntry(text string) (entry, error) {
	switch {
	case len(text) > MaxEntryLen:
		return entry{}, ErrTooLong
	case strings.HasPrefix(text, branchPrefix):
		hashes, err := parseBranch(text[len(branchPrefix):])
		return entry{branch: hashes, isBranch: true}, err
	case strings.HasPrefix(text, recordPrefix):
		record, err := enr.Parse(text)
		if err != nil {
			return entry{}, err
		}
		node, err := enode.New(record)
		return entry{node: node}, err
	case strings.HasPrefix(text, scheme):
		link, err := ParseLink(text)
		return entry{link: link, isLink: true}, err
	}
	return entry{}, ErrSyntax
}

func parseBranch(list string) ([]hash, error) {
	if list == "" {
		return nil, nil
	}
	n := strings.Count(list, ",") + 1
	if n > MaxChildren {
		return nil, ErrChildren
	}
	hashes := make([]hash, 0, n)
	for text := range strings.SplitSeq(list, ",") {
		h, err := parseHash(text)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

func branchText(hashes []hash) string {
	var b strings.Builder
	b.WriteString(branchPrefix)
	for i, h := range hashes {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(h.String())
	}
	return b.String()
}
