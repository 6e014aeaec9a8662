package dnsdisc

import (
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"parley/enode"
	"parley/enr"
)

const exampleURL = "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@nodes.example.org"

// exampleKey is the key that the specification gives for the example. The URL
// above it there holds another one, which did not sign the root.
const exampleKey = "049f88229042fef9200246f49f94d9b77c4e954721442714e85850cb6d9e5daf2d880ea0e53cb3ac1a75f9923c2726a4f941f7d326781baa6380754a360de5c2b6"

func example(t testing.TB) map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/eip1459.txt")
	if err != nil {
		t.Fatal(err)
	}
	records := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		records[name] = text
	}
	return records
}

// The example of the specification: the root is signed by the key in the URL,
// every entry has its hash, and our tree of the same nodes and links is the
// same tree.
func TestExampleOfSpecification(t *testing.T) {
	records := example(t)
	link, err := ParseLink(exampleURL)
	if err != nil || link.String() != exampleURL {
		t.Fatalf("ParseLink = %v, %v", link, err)
	}
	signer, err := hex.DecodeString(exampleKey)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := enode.ParsePublicKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	r, err := pickRoot([]string{"v=spf1 -all", records["@"]}, pub)
	if err != nil || r.seq != 1 || r.nodes.String() != "JWXYDBPXYWG6FX3GMDIBFA6CJ4" || r.links.String() != "C7HRFPF3BLGF3YR4DY5KX3SMBE" {
		t.Fatalf("root = %v, %v", r, err)
	}
	var nodes []*enode.Node
	var links []Link
	for name, text := range records {
		if name == "@" {
			continue
		}
		if h, err := parseHash(name); err != nil || !h.matches(text) || hashOf(text) != h {
			t.Errorf("hash of %s is %v", name, hashOf(text))
		}
		e, err := parseEntry(text)
		switch {
		case err != nil:
			t.Errorf("entry %s: %v", name, err)
		case e.node != nil:
			nodes = append(nodes, e.node)
		case e.isLink:
			links = append(links, e.link)
		case !e.isBranch || len(e.branch) != 3:
			t.Errorf("branch %s has %d hashes", name, len(e.branch))
		}
	}
	if len(nodes) != 3 || len(links) != 1 || links[0].Domain != "morenodes.example.org" {
		t.Fatalf("%d nodes, links %v", len(nodes), links)
	}
	tree, err := New(1, nodes, links)
	if err != nil {
		t.Fatal(err)
	}
	if tree.root.links != r.links || tree.root.nodes != r.nodes {
		t.Errorf("our tree is %v, %v, want %v, %v", tree.root.nodes, tree.root.links, r.nodes, r.links)
	}
	if err := tree.SetSignature(pub, b64.EncodeToString(r.sig[:])); err != nil || tree.root.String() != records["@"] {
		t.Errorf("SetSignature: %v", err)
	}
}

func key(t testing.TB, seed byte) *enode.PrivateKey {
	t.Helper()
	b := make([]byte, 32)
	b[30], b[31] = seed, 1
	k, err := enode.ParsePrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// node returns a node whose record is signed by the key of number i.
func node(t testing.TB, i int, addr string) *enode.Node {
	t.Helper()
	b := make([]byte, 32)
	b[0], b[29], b[30], b[31] = 1, byte(i>>16), byte(i>>8), byte(i)
	k, err := enode.ParsePrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := enr.Sign(k, 1, enr.IP(netip.MustParseAddr(addr)), enr.TCP(30303), enr.UDP(30303))
	if err != nil {
		t.Fatal(err)
	}
	n, err := enode.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// spread returns n nodes, each in a public network of its own.
func spread(t testing.TB, n int) []*enode.Node {
	nodes := make([]*enode.Node, n)
	for i := range nodes {
		nodes[i] = node(t, i+1, netip.AddrFrom4([4]byte{byte(20 + i/250), byte(i % 250), 1, 1}).String())
	}
	return nodes
}

// A tree does not depend on the order of what goes in; its branches have no
// more than 13 hashes and its entries fit a packet; every entry is reachable.
func TestNew(t *testing.T) {
	for _, n := range []int{0, 1, 2, 13, 14, 15, 169, 170, 200} {
		nodes := spread(t, n)
		a, err := New(3, nodes, nil)
		if err != nil {
			t.Fatal(err)
		}
		rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		b, _ := New(3, nodes, nil)
		if a.root != b.root {
			t.Errorf("%d nodes: the tree depends on their order", n)
		}
		var leaves, widest int
		var walk func(h hash, depth int)
		walk = func(h hash, depth int) {
			text := a.entries[h]
			if len(text) > 420 || depth > 3 {
				t.Errorf("%d nodes: entry of %d bytes at depth %d", n, len(text), depth)
			}
			e, err := parseEntry(text)
			if err != nil {
				t.Fatal(err)
			}
			if e.node != nil {
				leaves++
			}
			widest = max(widest, len(e.branch))
			for _, c := range e.branch {
				walk(c, depth+1)
			}
		}
		walk(a.root.nodes, 0)
		if leaves != n || widest > 13 {
			t.Errorf("%d nodes: %d reachable, branches of up to %d", n, leaves, widest)
		}
	}
	n := spread(t, 1)[0]
	if _, err := New(1, []*enode.Node{n, n}, nil); err == nil {
		t.Error("a node may appear twice")
	}
	if _, err := New(1, []*enode.Node{enode.NewV4(n.PublicKey(), n.Addr(), 1, 1)}, nil); err == nil {
		t.Error("a node needs no record")
	}
}

// What a root must not be.
func TestH1Root(t *testing.T) {
	k, other := key(t, 1), key(t, 2)
	tree, _ := New(7, spread(t, 2), nil)
	if _, err := tree.Sign(k, "nodes.example.org"); err != nil {
		t.Fatal(err)
	}
	good := tree.root.String()
	if _, err := pickRoot([]string{good}, k.Public()); err != nil {
		t.Fatalf("good root: %v", err)
	}
	flip := func(i int) string { // another letter of base64
		b := []byte(good)
		if b[i] == 'B' {
			b[i] = 'C'
		} else {
			b[i] = 'B'
		}
		return string(b)
	}
	sig := strings.Index(good, "sig=") + 4
	for name, test := range map[string]struct {
		texts []string
		key   enode.PublicKey
		want  error
	}{
		"H1 other key":     {[]string{good}, other.Public(), ErrSignature},
		"H1 bad signature": {[]string{flip(sig + 40)}, k.Public(), ErrSignature},
		"H1 other seq":     {[]string{strings.Replace(good, "seq=7", "seq=8", 1)}, k.Public(), ErrSignature},
		"H1 truncated":     {[]string{good[:len(good)-3]}, k.Public(), ErrSyntax},
		"H1 no signature":  {[]string{good[:sig-5]}, k.Public(), ErrSyntax},
		"leading zero":     {[]string{strings.Replace(good, "seq=7", "seq=07", 1)}, k.Public(), ErrSyntax},
		"lower case":       {[]string{strings.ToLower(good)}, k.Public(), ErrSyntax},
		"trailing space":   {[]string{good + " "}, k.Public(), ErrSyntax},
		"line break":       {[]string{good[:sig+3] + "\n" + good[sig+3:]}, k.Public(), ErrSyntax},
		"H3 64 KiB":        {[]string{good + strings.Repeat("A", 65536)}, k.Public(), ErrTooLong},
		"H5 two roots":     {[]string{good, good}, k.Public(), ErrSyntax},
		"none":             {[]string{"v=spf1"}, k.Public(), ErrSyntax},
	} {
		if _, err := pickRoot(test.texts, test.key); !errors.Is(err, test.want) {
			t.Errorf("%s: error = %v, want %v", name, err, test.want)
		}
	}
}

// What an entry must not be.
func TestEntryRefused(t *testing.T) {
	h := hashOf("x").String()
	list := func(n int) string { return branchPrefix + strings.TrimSuffix(strings.Repeat(h+",", n), ",") }
	if e, err := parseEntry(list(16)); err != nil || len(e.branch) != 16 {
		t.Errorf("H3: branch of 16: %d hashes, %v", len(e.branch), err)
	}
	for text, want := range map[string]error{
		list(17):                                  ErrChildren,
		list(3048):                                ErrTooLong,
		branchPrefix + strings.Repeat(",", 2000):  ErrChildren,
		branchPrefix + h + ",":                    ErrSyntax,
		branchPrefix + strings.ToLower(h):         ErrSyntax,
		branchPrefix + h[:16]:                     ErrSyntax, // 10 bytes
		branchPrefix + h[:25] + "B":               nil,
		recordPrefix + strings.Repeat("A", 65536): ErrTooLong,
		"enrtree://x":                             ErrKey,
		"":                                        ErrSyntax,
		rootPrefix:                                ErrSyntax,
	} {
		if _, err := parseEntry(text); want != nil && !errors.Is(err, want) {
			t.Errorf("%.40q: error = %v, want %v", text, err, want)
		}
	}
}

// Two entries that agree in twelve bytes of their hash are told apart where a
// name has more, and none is taken for a hash that is too short.
func TestH7HashComparedInFull(t *testing.T) {
	text := "enrtree-branch:"
	full := hashOf(text)
	twin := full[:12] + "\x00\x00\x00\x00"
	if !full.matches(text) || !full[:12].matches(text) {
		t.Error("the entry does not match its own hash")
	}
	if twin.matches(text) || full[:11].matches(text) || hash("").matches(text) {
		t.Error("an entry matches a hash that is not its own")
	}
	if _, err := pickEntry([]string{"other", text}, full); err != nil {
		t.Errorf("pickEntry = %v", err)
	}
	if _, err := pickEntry([]string{text}, twin); !errors.Is(err, ErrHash) {
		t.Errorf("pickEntry of the twin = %v", err)
	}
}

// The root subtree of a list without links, as all such lists have it.
func TestEmptyBranch(t *testing.T) {
	if got := hashOf(branchPrefix).String(); got != "FDXN3SN67NA5DKA4J2GOK7BVQI" {
		t.Errorf("hash of the empty branch = %s", got)
	}
}

func TestParseLinkRefused(t *testing.T) {
	k := "AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2"
	for url, want := range map[string]error{
		"enode://" + k + "@x":                        ErrScheme,
		scheme + k:                                   ErrKey,
		scheme + "@x":                                ErrKey,
		scheme + strings.ToLower(k) + "@x":           ErrKey,
		scheme + "A" + k[:52] + "@x":                 ErrKey,
		scheme + k + "@":                             ErrDomain,
		scheme + k + "@a..b":                         ErrDomain,
		scheme + k + "@a b":                          ErrDomain,
		scheme + k + "@a/b":                          ErrDomain,
		scheme + k + "@" + strings.Repeat("a", 64):   ErrDomain,
		scheme + k + "@" + strings.Repeat("a.", 101): ErrDomain,
		scheme + k + "@nodes.example.org:53":         ErrDomain,
		scheme + k + "@" + strings.Repeat("a.", 100): nil,
		scheme + k + "@Nodes.Example.ORG.":           nil,
		scheme + k + "@_enr.Nodes-1.Example.ORG":     nil,
	} {
		if l, err := ParseLink(url); !errors.Is(err, want) || err == nil && l.Domain != strings.ToLower(strings.TrimSuffix(url[len(scheme)+54:], ".")) {
			t.Errorf("%s = %v, %v; want %v", url, l.Domain, err, want)
		}
	}
}

// Parsers never panic, and what they accept is written the same way again.
func FuzzRoot(f *testing.F) {
	f.Add(example(f)["@"])
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := parseRoot(text); err == nil && r.String() != text {
			t.Errorf("%q is written as %q", text, r.String())
		}
	})
}

func FuzzBranch(f *testing.F) {
	f.Add(strings.TrimPrefix(example(f)["JWXYDBPXYWG6FX3GMDIBFA6CJ4"], branchPrefix))
	f.Fuzz(func(t *testing.T, list string) {
		if hashes, err := parseBranch(list); err == nil && (branchText(hashes) != branchPrefix+list || len(hashes) > MaxChildren) {
			t.Errorf("%q is written as %q", list, branchText(hashes))
		}
	})
}

func FuzzLink(f *testing.F) {
	f.Add(exampleURL)
	f.Fuzz(func(t *testing.T, url string) {
		l, err := ParseLink(url)
		if err != nil {
			return
		}
		if again, err := ParseLink(l.String()); err != nil || again != l {
			t.Errorf("%q gives %v, which gives %v, %v", url, l, again, err)
		}
	})
}

func FuzzEntry(f *testing.F) {
	for _, text := range example(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseEntry(text)
		if err == nil && len(e.branch) > MaxChildren {
			t.Errorf("%d hashes", len(e.branch))
		}
	})
}
