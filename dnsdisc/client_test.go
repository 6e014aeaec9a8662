package dnsdisc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/internal/nodedb"
)

// A zone is a resolver in memory that notes when it was asked for what.
type zone struct {
	mu      sync.Mutex
	records map[string][]string
	broken  func(name string, n int) error // of the n-th lookup of a name
	delay   time.Duration
	asked   map[string]int
	times   []time.Time
}

func newZone() *zone {
	return &zone{records: make(map[string][]string), asked: make(map[string]int)}
}

func (z *zone) publish(t *Tree, domain string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for name, text := range t.Records(domain) {
		z.records[name+"."] = []string{text}
	}
}

func (z *zone) set(name string, texts ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records[name] = texts
}

func (z *zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	z.mu.Lock()
	n := z.asked[name]
	z.asked[name]++
	z.times = append(z.times, time.Now())
	texts, ok := z.records[name]
	broken := z.broken
	z.mu.Unlock()
	if z.delay > 0 && !wait(ctx, time.Now().Add(z.delay)) {
		return nil, ctx.Err()
	}
	if broken != nil {
		if err := broken(name, n); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return texts, nil
}

// busiest returns the largest number of lookups in any second.
func (z *zone) busiest() int {
	most := 0
	for i := range z.times {
		n := i
		for ; n < len(z.times) && z.times[n].Sub(z.times[i]) < time.Second; n++ {
		}
		most = max(most, n-i)
	}
	return most
}

// signed returns a tree published in z, and its link.
func signed(t testing.TB, z *zone, k byte, domain string, seq uint64, nodes []*enode.Node, links ...Link) Link {
	t.Helper()
	tree, err := New(seq, nodes, links)
	if err != nil {
		t.Fatal(err)
	}
	link, err := tree.Sign(key(t, k), domain)
	if err != nil {
		t.Fatal(err)
	}
	z.publish(tree, domain)
	return link
}

func client(t testing.TB, cfg Config) *Client {
	t.Helper()
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// during returns the nodes that a client yields within d of virtual time.
func during(c *Client, d time.Duration) map[enode.ID]int {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	got := make(map[enode.ID]int)
	for n := range c.Nodes(ctx) {
		got[n.ID()]++
	}
	return got
}

// Every node of a list and of the lists that it links to is found, at three
// lookups a second and no entry twice, and found again later without lookups.
func TestNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		nodes := spread(t, 60)
		b := signed(t, z, 2, "b.example.org", 1, nodes[40:])
		a := signed(t, z, 1, "a.example.org", 1, nodes[:40], b)
		c := client(t, Config{Lists: []Link{a}, Resolver: z})
		// 2 roots, 60 nodes, a link, and 4 + 3 branches, one of them empty.
		got := during(c, 24*time.Second)
		if len(got) != 60 || len(z.times) != 71 || z.busiest() != 3 {
			t.Errorf("%d nodes after %d lookups, %d in a second; want 60, 71, 3", len(got), len(z.times), z.busiest())
		}
		for id, n := range got {
			if n != 1 {
				t.Errorf("node %v was yielded %d times", id, n)
			}
		}
		for name, n := range z.asked {
			if n != 1 {
				t.Errorf("%s was looked up %d times", name, n)
			}
		}
		again := during(c, 5*time.Minute)
		for id, n := range again {
			if n < 4 || n > 5 {
				t.Errorf("node %v was yielded %d times in five minutes, want once a minute", id, n)
			}
		}
		if len(again) != 60 || len(z.times) != 71 {
			t.Errorf("%d nodes, %d lookups", len(again), len(z.times))
		}
		during(c, 31*time.Minute)
		if len(z.times) != 73 {
			t.Errorf("%d lookups after half an hour, want the two roots again", len(z.times))
		}
		s := c.Stats()
		if s.Lookups != 73 || s.Failed != 0 || s.Nodes < 60 {
			t.Errorf("Stats = %+v", s)
		}
	})
}

// Without demand there are no lookups, and without lists nothing to wait for.
func TestNodesOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		c := client(t, Config{Lists: []Link{signed(t, z, 1, "a.example.org", 1, spread(t, 20))}, Resolver: z})
		next, stop := iter.Pull(c.Nodes(t.Context()))
		defer stop()
		next()
		n := len(z.times)
		time.Sleep(time.Hour) //nolint:forbidigo // the clock is synctest's
		if len(z.times) != n {
			t.Errorf("%d lookups that nobody asked for", len(z.times)-n)
		}
		for range client(t, Config{}).Nodes(t.Context()) {
			t.Error("a node of no list")
		}
	})
}

// A list that changes is read again only where it changed; a node that left it is
// not yielded any more. What is wrong with a new root keeps the one before.
func TestH1KeepsLastGoodTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		nodes := spread(t, 30)
		link := signed(t, z, 1, "a.example.org", 1, nodes)
		c := client(t, Config{Lists: []Link{link}, Resolver: z})
		during(c, time.Minute)

		root := z.records["a.example.org."][0]
		z.set("a.example.org.", root[:len(root)-5]) // truncated
		if got := during(c, time.Hour); len(got) != 30 {
			t.Errorf("H1 truncated: %d nodes", len(got))
		}
		signed(t, z, 2, "a.example.org", 2, nodes[:5]) // other key
		if got := during(c, time.Hour); len(got) != 30 || !errors.Is(c.Lists()[0].Err, ErrSignature) {
			t.Errorf("H1 other key: %d nodes, %v", len(got), c.Lists()[0].Err)
		}
		if _, err := c.Sync(t.Context(), link, nil); !errors.Is(err, ErrSignature) {
			t.Errorf("H1 other key: Sync = %v", err)
		}
		before := len(z.times)
		signed(t, z, 1, "a.example.org", 2, nodes[1:])
		during(c, time.Hour+10*time.Minute)
		if got := during(c, 10*time.Minute); len(got) != 29 || got[nodes[0].ID()] != 0 {
			t.Errorf("after the change: %d nodes, want the 29 that are left", len(got))
		}
		if s := c.Lists()[0]; s.Seq != 2 || s.Err != nil || !s.Synced {
			t.Errorf("Lists = %+v", s)
		}
		if n := len(z.times) - before; n > 12 {
			t.Errorf("%d lookups for a change of one node", n)
		}
	})
}

// A root older than one seen before is refused, by the same client and by one
// that was started later; a root of the same age is taken.
func TestH2Rollback(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.db")
	synctest.Test(t, func(t *testing.T) {
		z, store := newZone(), nodedb.Open(path, nodedb.Options{})
		nodes := spread(t, 6)
		link := signed(t, z, 1, "a.example.org", 5, nodes[:4])
		cfg := Config{Lists: []Link{link}, Resolver: z, Store: store}
		c := client(t, cfg)
		during(c, time.Minute)
		if seq, _ := store.Seq(link.String()); seq != 5 {
			t.Fatalf("stored: %d", seq)
		}
		signed(t, z, 1, "a.example.org", 4, nodes[4:])
		if got := during(c, 2*time.Hour); len(got) != 4 || !errors.Is(c.Lists()[0].Err, ErrSeq) {
			t.Errorf("H2: %d nodes, %v", len(got), c.Lists()[0].Err)
		}
		store.Close()
		store = nodedb.Open(path, nodedb.Options{})
		defer store.Close()
		cfg.Store = store
		c = client(t, cfg)
		if got := during(c, 2*time.Hour); len(got) != 0 || !errors.Is(c.Lists()[0].Err, ErrSeq) {
			t.Errorf("H2 across restart: %d nodes, %v", len(got), c.Lists()[0].Err)
		}
		if _, err := c.Sync(t.Context(), link, nil); !errors.Is(err, ErrSeq) {
			t.Errorf("H2 Sync: %v", err)
		}
		signed(t, z, 1, "a.example.org", 5, nodes[3:])
		if got := during(c, 2*time.Hour); len(got) != 3 {
			t.Errorf("same number: %d nodes", len(got))
		}
	})
}

// raw publishes entries under a signed root of its own making.
func raw(t testing.TB, z *zone, k byte, domain string, nodes, links hash) Link {
	r := root{nodes: nodes, links: links, seq: 1}
	if err := r.sign(key(t, k)); err != nil {
		t.Fatal(err)
	}
	z.set(domain+".", r.String())
	return Link{Key: key(t, k).Public(), Domain: domain}
}

func (z *zone) entry(domain, text string) hash {
	h := hashOf(text)
	z.set(h.String()+"."+domain+".", text)
	return h
}

// The bounds on trees that their owner made to harm.
func TestH3Caps(t *testing.T) {
	const at = "a.example.org"
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		empty := z.entry(at, branchPrefix)
		good := z.entry(at, spread(t, 1)[0].Record().String())

		deep := z.entry(at, spread(t, 2)[1].Record().String())
		for range 10_000 {
			deep = z.entry(at, branchText([]hash{deep}))
		}
		var many []hash
		for i := range 3048 {
			many = append(many, z.entry(at, fmt.Sprint(i)))
		}
		wide := z.entry(at, branchText(many[:75])) // 2039 bytes
		huge := z.entry(at, branchText(many))
		long := z.entry(at, "enr:"+strings.Repeat("A", 65536))
		link := raw(t, z, 1, at, z.entry(at, branchText([]hash{deep, wide, huge, long, good})), empty)
		c := client(t, Config{Lists: []Link{link}, Resolver: z})
		got := during(c, 10*time.Minute)
		if len(got) != 1 {
			t.Errorf("%d nodes, want the good one", len(got))
		}
		// The root, two branches, 5 entries below one, and the chain at depths
		// 2 to 8. What is too long is tried three times in each pass.
		if n := len(z.asked); n != 1+2+5+7 {
			t.Errorf("%d entries were looked up, want 15", n)
		}
		if n := len(z.times); n > 3+5+8+10*2*3 {
			t.Errorf("%d lookups", n)
		}
		for _, h := range many {
			if z.asked[h.String()+"."+at+"."] > 0 {
				t.Fatal("an entry of a branch with too many was looked up")
			}
		}
		if _, err := c.Sync(t.Context(), link, nil); !errors.Is(err, ErrDepth) && !errors.Is(err, ErrChildren) && !errors.Is(err, ErrTooLong) {
			t.Errorf("Sync = %v", err)
		}
	})
}

// However many entries lists have, 100,000 are remembered.
func TestH3Entries(t *testing.T) {
	z := newZone()
	var links []Link
	for k := range byte(2) {
		at := string('a'+rune(k)) + ".example.org"
		level := make([]hash, 0, 1<<16)
		for i := range 1 << 16 {
			level = append(level, z.entry(at, fmt.Sprint("x", i)))
		}
		for len(level) > 1 {
			var above []hash
			for group := range slices.Chunk(level, MaxChildren) {
				above = append(above, z.entry(at, branchText(group)))
			}
			level = above
		}
		links = append(links, raw(t, z, k+1, at, level[0], z.entry(at, branchPrefix)))
	}
	c := client(t, Config{Lists: links, Resolver: z})
	now, lookups := time.Unix(1_800_000_000, 0), 0
	for range 150_000 {
		s := c.walk.next(now)
		if !s.lookup {
			break
		}
		lookups++
		out := c.walk.answer(now, s.query, z.records[s.query.name()], nil)
		if out.root != nil {
			c.walk.adopt(now, s.query.list, *out.root)
		}
		if c.walk.entries > MaxEntries || c.walk.cached > cacheLimit {
			t.Fatalf("%d entries, %d bytes", c.walk.entries, c.walk.cached)
		}
	}
	if c.walk.entries != MaxEntries || lookups != MaxEntries+2 {
		t.Errorf("%d entries after %d lookups, want %d", c.walk.entries, lookups, MaxEntries)
	}
}

// Lists that link to each other and to 10,000 others: each is read once, and
// no more than 16 besides the one that was asked for.
func TestH4Links(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		nodes := spread(t, 2)
		a := Link{Key: key(t, 1).Public(), Domain: "a.example.org"}
		b := signed(t, z, 2, "b.example.org", 1, nodes[1:], a)
		signed(t, z, 1, "a.example.org", 1, nodes[:1], a, b)
		c := client(t, Config{Lists: []Link{a}, Resolver: z})
		if got := during(c, 10*time.Minute); len(got) != 2 || len(c.Lists()) != 2 || len(z.times) != 8 {
			t.Errorf("loop: %d nodes, %d lists, %d lookups; want 2, 2, 8", len(got), len(c.Lists()), len(z.times))
		}
		links := make([]Link, 10_000)
		for i := range links {
			links[i] = Link{Key: a.Key, Domain: fmt.Sprintf("x%d.example.org", i)}
		}
		z = newZone()
		signed(t, z, 1, "a.example.org", 1, nodes[:1], links...)
		c = client(t, Config{Lists: []Link{a}, Resolver: z})
		during(c, 10*time.Minute)
		if n := len(c.Lists()); n != 1+maxLinked {
			t.Errorf("%d lists, want 17", n)
		}
		if z.busiest() > 3 {
			t.Errorf("%d lookups in a second", z.busiest())
		}
	})
}

// Whatever fails, there are three lookups a second at most, roots included, and
// fewer the longer it goes on; what works is used.
func TestH5Failures(t *testing.T) {
	servfail := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	for name, test := range map[string]struct {
		change func(z *zone)
		nodes  int
		most   int // lookups in an hour
	}{
		"H5 NXDOMAIN of all": {func(z *zone) { clear(z.records) }, 0, 10},
		"H5 SERVFAIL of all": {func(z *zone) { z.broken = func(string, int) error { return servfail } }, 0, 10},
		"H5 30 s delay":      {func(z *zone) { z.delay = 30 * time.Second }, 0, 10},
		"H5 two TXT of the root": {func(z *zone) {
			z.records["a.example.org."] = append(z.records["a.example.org."], z.records["a.example.org."][0])
		}, 0, 10},
		"H5 other TXT": {func(z *zone) {
			for name := range z.records {
				z.records[name] = append([]string{"v=spf1 -all"}, z.records[name]...)
			}
		}, 30, 40},
		"H5 each fails twice": {func(z *zone) {
			z.broken = func(_ string, n int) error {
				if n < 2 {
					return servfail
				}
				return nil
			}
		}, 30, 200},
		"H5 mismatch below the root": {func(z *zone) {
			for name := range z.records {
				if name != "a.example.org." {
					z.records[name] = []string{branchPrefix + "AAAAAAAAAAAAAAAAAAAAAAAAAA"}
				}
			}
		}, 0, 200},
		"H5 one node missing": {func(z *zone) {
			for name, texts := range z.records {
				if strings.HasPrefix(texts[0], recordPrefix) {
					delete(z.records, name)
					return
				}
			}
		}, 29, 400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone()
				link := signed(t, z, 1, "a.example.org", 1, spread(t, 30))
				test.change(z)
				c := client(t, Config{Lists: []Link{link}, Resolver: z})
				got := during(c, time.Hour)
				if len(got) != test.nodes || len(z.times) > test.most || z.busiest() > 3 {
					t.Errorf("%d nodes, %d lookups in an hour, %d in a second; want %d, at most %d and 3",
						len(got), len(z.times), z.busiest(), test.nodes, test.most)
				}
				t.Logf("%d lookups in an hour", len(z.times))
			})
		})
	}
}

// Nodes that a list must not lead to: more than two of a network, those in
// networks of our own, those without an address.
func TestH6Addresses(t *testing.T) {
	var crowd, lan []*enode.Node
	for i := range 400 { // signatures take long; the bound is the same for any number
		crowd = append(crowd, node(t, i, netip.AddrFrom4([4]byte{20, 1, 1, byte(i)}).String()))
	}
	for i, addr := range []string{"10.0.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "fd00::1", "::1"} {
		lan = append(lan, node(t, 5000+i, addr))
	}
	six := []*enode.Node{node(t, 6000, "2a00:1:2:3::1"), node(t, 6001, "2a00:1:2:4::1"), node(t, 6002, "2a00:1:2:5::1")}
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		a := signed(t, z, 1, "a.example.org", 1, crowd[:200])
		b := signed(t, z, 2, "b.example.org", 1, slices.Concat(crowd[200:], lan, six))
		c := client(t, Config{Lists: []Link{a, b}, Resolver: z})
		got := during(c, 10*time.Minute)
		if len(got) != 4 {
			t.Errorf("H6: %d nodes, want 2 of the /24 and 2 of the /48", len(got))
		}
		for _, n := range lan {
			if got[n.ID()] != 0 {
				t.Errorf("H6: node at %v", n.Addr())
			}
		}
		b = signed(t, z, 2, "b.example.org", 2, slices.Concat(crowd[:3], lan))
		c = client(t, Config{Lists: []Link{b}, Resolver: z, Private: true})
		if got := during(c, 10*time.Minute); len(got) != 2+len(lan) {
			t.Errorf("private network: %d nodes, want %d", len(got), 2+len(lan))
		}
	})
}

// What was kept under a hash is compared with all of it before it is used.
func TestH7Cache(t *testing.T) {
	l := &list{cache: map[hash]kept{}}
	h := hashOf("a")
	l.cache[h] = kept{text: "b"}
	if k, ok := l.known(h); ok {
		t.Errorf("%q is used for the hash of another entry", k.text)
	}
	l.cache[h] = kept{text: "a"}
	if _, ok := l.known(h); !ok {
		t.Error("the right entry is not used")
	}
}

// Two readers share rate and knowledge, and one that stops in the middle of a
// lookup takes nothing with it.
func TestSharedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.delay = 100 * time.Millisecond
		c := client(t, Config{Lists: []Link{signed(t, z, 1, "a.example.org", 1, spread(t, 30))}, Resolver: z})
		during(c, 1050*time.Millisecond) // ends within a lookup
		var wg sync.WaitGroup
		var got [2]map[enode.ID]int
		for i := range got {
			wg.Go(func() { got[i] = during(c, 20*time.Second) })
		}
		wg.Wait()
		if n := len(got[0]) + len(got[1]); n < 27 || z.busiest() > 3 || len(z.times) > 40 {
			t.Errorf("%d nodes, %d lookups, %d in a second", n, len(z.times), z.busiest())
		}
	})
}

func TestNewClientRefuses(t *testing.T) {
	_, err := NewClient(Config{Rate: -1, Timeout: -1, Lists: []Link{{}}})
	if err == nil || strings.Count(err.Error(), "\n") != 2 || !errors.Is(err, ErrKey) {
		t.Errorf("NewClient = %v, want three mistakes", err)
	}
}

// A client without a store refuses an older root as long as it lives.
func TestH2WithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		nodes := spread(t, 6)
		c := client(t, Config{Lists: []Link{signed(t, z, 1, "a.example.org", 5, nodes[:4])}, Resolver: z})
		during(c, time.Minute)
		signed(t, z, 1, "a.example.org", 4, nodes[4:])
		if got := during(c, 2*time.Hour); len(got) != 4 || !errors.Is(c.Lists()[0].Err, ErrSeq) {
			t.Errorf("%d nodes, %v", len(got), c.Lists()[0].Err)
		}
	})
}

// An answer that comes after the root has changed brings nothing of the old
// tree into the new one.
func TestLateAnswer(t *testing.T) {
	z := newZone()
	nodes := spread(t, 30)
	link := signed(t, z, 1, "a.example.org", 1, nodes[:20])
	w := client(t, Config{Lists: []Link{link}, Resolver: z}).walk
	now := time.Unix(1_800_000_000, 0)
	take := func() query {
		s := w.next(now)
		if !s.lookup {
			t.Fatalf("next = %+v", s)
		}
		return s.query
	}
	adopt := func() {
		q := take()
		out := w.answer(now, q, z.records[q.name()], nil)
		w.adopt(now, q.list, *out.root)
	}
	adopt()
	late := take()
	for late.ref.links {
		w.answer(now, late, z.records[late.name()], nil)
		late = take()
	}
	texts := z.records[late.name()] // the top branch of 20 nodes
	signed(t, z, 1, "a.example.org", 2, nodes[20:])
	now = now.Add(rootEvery)
	adopt()
	before := len(w.lists[0].work)
	if out := w.answer(now, late, texts, nil); out.node != nil || out.err != nil {
		t.Errorf("late answer gives %+v", out)
	}
	if l := w.lists[0]; len(l.work) != before || l.flight != 0 {
		t.Errorf("%d entries to resolve, %d in flight; want %d, 0", len(l.work), l.flight, before)
	}
}
