package crawl

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"parley/daemon/internal/testnode"
	"parley/dnsdisc"
	"parley/enode"
	"parley/enr"
)

var began = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)

var errNobody = errors.New("no answer")

// testNode returns a node of key i, with a record of the given number at a port.
func testNode(t testing.TB, i int, seq uint64, port uint16) *enode.Node {
	t.Helper()
	return testnode.Node(t, testnode.Key(t, i), seq, enr.IP(netip.AddrFrom4([4]byte{60, byte(i >> 8), byte(i), 7})), enr.UDP(port))
}

// bare returns n as discovery v4 tells of it, at another port.
func bare(n *enode.Node, port uint16) *enode.Node {
	return enode.NewV4(n.PublicKey(), n.Addr4(), 30303, port)
}

func statusOf(n *enode.Node, score int) dnsdisc.NodeStatus {
	return dnsdisc.NodeStatus{Seq: n.Seq(), Record: n.Record(), Score: score, FirstResponse: began.Add(-time.Hour), LastResponse: began.Add(-time.Hour)}
}

func newCore(t testing.TB, cfg Config) *Core {
	t.Helper()
	cfg.Rand = rand.New(rand.NewPCG(1, 2))
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A clock asks a Core at the moments that it names.
type clock struct {
	*Core
	t   testing.TB
	now time.Time
}

// ask returns the next question, after as much time as it takes.
func (c *clock) ask() *Question {
	c.t.Helper()
	q, wake := c.Next(c.now)
	if q == nil && !wake.IsZero() {
		if !wake.After(c.now) {
			c.t.Fatalf("wake at %v, which is past", wake)
		}
		c.now = wake
		q, _ = c.Next(c.now)
	}
	return q
}

// answer answers, 50 ms later.
func (c *clock) answer(q *Question, a Answer) {
	c.now = c.now.Add(50 * time.Millisecond)
	c.Answer(c.now, q, a)
}

// over fails the test unless the crawl is.
func (c *clock) over() {
	c.t.Helper()
	if q := c.ask(); q != nil {
		c.t.Fatalf("asks %v for %v; want no more questions", q.Node.ID(), q.Distances)
	}
}

// Each check that is passed adds one to the score, one that is not halves it; at 0
// the node is given up. A check that was not made changes nothing.
func TestStatus(t *testing.T) {
	n, newer := testNode(t, 1, 5, 1), testNode(t, 1, 6, 2)
	at, before := began, began.Add(-time.Hour)
	none := dnsdisc.NodeStatus{}
	for _, tt := range []struct {
		name  string
		entry entry
		want  dnsdisc.NodeStatus
		gone  bool
	}{
		{"new, not checked", entry{}, none, true},
		{"new, failed", entry{outcome: failed, at: at}, none, true},
		{"new, passed", entry{outcome: passed, at: at, record: n},
			dnsdisc.NodeStatus{Seq: 5, Record: n.Record(), Score: 1, FirstResponse: at, LastResponse: at, LastCheck: at}, false},
		{"old, not checked", entry{old: statusOf(n, 3)}, statusOf(n, 3), false},
		{"old, passed", entry{old: statusOf(n, 3), outcome: passed, at: at, record: n},
			dnsdisc.NodeStatus{Seq: 5, Record: n.Record(), Score: 4, FirstResponse: before, LastResponse: at, LastCheck: at}, false},
		{"newer record", entry{old: statusOf(n, 3), outcome: passed, at: at, record: newer},
			dnsdisc.NodeStatus{Seq: 6, Record: newer.Record(), Score: 4, FirstResponse: before, LastResponse: at, LastCheck: at}, false},
		{"older record", entry{old: statusOf(newer, 3), outcome: passed, at: at, record: n},
			dnsdisc.NodeStatus{Seq: 6, Record: newer.Record(), Score: 4, FirstResponse: before, LastResponse: at, LastCheck: at}, false},
		{"old, failed", entry{old: statusOf(n, 7), outcome: failed, at: at},
			dnsdisc.NodeStatus{Seq: 5, Record: n.Record(), Score: 3, FirstResponse: before, LastResponse: before, LastCheck: at}, false},
		{"old with score 1, failed", entry{old: statusOf(n, 1), outcome: failed, at: at}, none, true},
		{"old without score, passed", entry{old: statusOf(n, 0), outcome: passed, at: at, record: n},
			dnsdisc.NodeStatus{Seq: 5, Record: n.Record(), Score: 1, FirstResponse: before, LastResponse: at, LastCheck: at}, false},
	} {
		got, ok := tt.entry.status()
		if ok == tt.gone || ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, ok, tt.want)
		}
	}
}

// A node that does not answer is tried at every place that was told, with v5 three
// times at each, and the newest record first.
func TestPlaces(t *testing.T) {
	first, newer := testNode(t, 1, 5, 1), testNode(t, 1, 6, 2)
	for _, tt := range []struct {
		v4   bool
		want []uint16 // ports
	}{{true, []uint16{1, 2, 3}}, {false, []uint16{1, 1, 1, 2, 2, 2, 3, 3, 3}}} {
		c := &clock{newCore(t, Config{V4: tt.v4, Seeds: []*enode.Node{first, bare(first, 3), newer, bare(first, 4)}}), t, began}
		for i, want := range tt.want {
			q := c.ask()
			if q == nil || q.Find() || q.V4 != tt.v4 {
				t.Fatalf("question %d: %+v", i, q)
			}
			if at, _ := q.Node.UDPEndpoint(); at.Port() != want {
				t.Errorf("question %d goes to port %d, want %d", i, at.Port(), want)
			}
			c.answer(q, Answer{Err: errNobody})
		}
		c.over()
		if p := c.Progress(c.now); p.Checked != 1 || p.Alive != 0 || len(c.NodeSet()) != 0 {
			t.Errorf("%+v, and %d nodes in the result", p, len(c.NodeSet()))
		}
	}
}

// A node that was given up is asked again if somebody tells of it at another
// place, and counts once.
func TestAnotherPlace(t *testing.T) {
	lost, teller := testNode(t, 1, 5, 1), testNode(t, 2, 1, 1)
	c := &clock{newCore(t, Config{V4: true, Seeds: []*enode.Node{lost, teller}, Known: dnsdisc.NodeSet{lost.ID(): statusOf(lost, 1)}}), t, began}
	c.answer(c.ask(), Answer{Err: errNobody})
	if _, ok := c.NodeSet()[lost.ID()]; ok {
		t.Error("a node that failed at score 1 is still there")
	}
	c.answer(c.ask(), Answer{Record: teller})
	c.answer(c.ask(), Answer{Nodes: []*enode.Node{bare(lost, 9)}})
	q := c.ask()
	if at, _ := q.Node.UDPEndpoint(); q.Node.ID() != lost.ID() || at.Port() != 9 {
		t.Fatalf("asks %v at %v, want the lost node at port 9", q.Node.ID(), at)
	}
	c.answer(q, Answer{Record: lost})
	c.answer(c.ask(), Answer{}) // it knows nobody
	c.over()
	if status := c.NodeSet()[lost.ID()]; status.Score != 2 {
		t.Errorf("the score is %d, want 2", status.Score)
	}
	if p := c.Progress(c.now); p.Found != 2 || p.Checked != 2 || p.Alive != 2 {
		t.Errorf("%+v, want 2 of each", p)
	}
}

// Nodes that were told of are asked, each once, and neither ourselves nor nodes
// without an endpoint, outside of the permitted networks, or beyond the limit.
func TestTold(t *testing.T) {
	self, teller, good := testNode(t, 1, 1, 1), testNode(t, 2, 1, 1), testNode(t, 3, 1, 1)
	outside := good.WithAddr(netip.MustParseAddr("9.9.9.9"))
	outside = enode.NewV4(testNode(t, 4, 1, 1).PublicKey(), outside.Addr(), 1, 1)
	mute := enode.NewV4(testNode(t, 5, 1, 1).PublicKey(), netip.Addr{}, 0, 0)
	more := testNode(t, 6, 1, 1)
	c := &clock{newCore(t, Config{
		Self: self.ID(), Seeds: []*enode.Node{teller}, MaxNodes: 2,
		Restrict: []netip.Prefix{netip.MustParsePrefix("60.0.0.0/8")},
	}), t, began}
	c.answer(c.ask(), Answer{Record: teller})
	for q := c.ask(); q != nil; q = c.ask() {
		if q.Node.ID() != teller.ID() && q.Node.ID() != good.ID() {
			t.Errorf("asks %v", q.Node.ID())
		}
		if !q.Find() {
			c.answer(q, Answer{Record: q.Node})
		} else {
			c.answer(q, Answer{Nodes: []*enode.Node{self, teller, outside, mute, good, good, more}})
		}
	}
	if p := c.Progress(c.now); p.Found != 2 || p.Dropped == 0 {
		t.Errorf("%+v, want 2 found, and others dropped", p)
	}
	if len(c.hosts) != 1 {
		t.Errorf("nodes are counted at %v, want only those that were entered", c.hosts)
	}
}

// Of the nodes that are told to be at one public host only so many are asked;
// private networks have no such limit.
func TestToldPerHost(t *testing.T) {
	teller := testNode(t, 0, 1, 1)
	for addr, want := range map[string]int{"9.9.9.9": maxPerHost, "2a01::9": maxPerHost, "10.0.0.9": 100, "127.0.0.1": 100, "fd00::9": 100} {
		c := &clock{newCore(t, Config{V4: true, Seeds: []*enode.Node{teller}}), t, began}
		c.answer(c.ask(), Answer{Record: teller})
		var told []*enode.Node
		at := netip.MustParseAddr(addr)
		for i := range 100 {
			told = append(told, enode.NewV4(targetAt(c.cfg.Rand, teller, farthest), at, 1, uint16(i+1)))
			if at.Is6() {
				at = at.Next() // the same network
			}
		}
		c.answer(c.ask(), Answer{Nodes: told})
		if p := c.Progress(c.now); p.Found != 1+want || p.Dropped != 100-want {
			t.Errorf("%s: %d found, %d dropped; want %d and %d", addr, p.Found, p.Dropped, 1+want, 100-want)
		}
	}
}

// What is known of nodes outside of the permitted networks stays as it is; one
// without an endpoint cannot be there.
func TestKnownOutside(t *testing.T) {
	outside, inside := testNode(t, 1, 1, 1), testNode(t, 300, 1, 1)
	known := dnsdisc.NodeSet{outside.ID(): statusOf(outside, 5), inside.ID(): statusOf(inside, 5)}
	c := &clock{newCore(t, Config{Known: known, CheckOnly: true, Restrict: []netip.Prefix{netip.MustParsePrefix("60.1.0.0/16")}}), t, began}
	q := c.ask()
	if q == nil || q.Node.ID() != inside.ID() {
		t.Fatalf("asks %+v, want the node inside", q)
	}
	c.answer(q, Answer{Record: inside})
	c.over()
	set := c.NodeSet()
	if set[inside.ID()].Score != 6 || !reflect.DeepEqual(set[outside.ID()], known[outside.ID()]) {
		t.Errorf("%+v", set)
	}
}

// Only what is known is asked, and for its record alone, if that is all one wants.
func TestCheckOnly(t *testing.T) {
	known, seed := testNode(t, 1, 1, 1), testNode(t, 2, 1, 1)
	c := &clock{newCore(t, Config{Known: dnsdisc.NodeSet{known.ID(): statusOf(known, 1)}, Seeds: []*enode.Node{seed}, CheckOnly: true}), t, began}
	q := c.ask()
	if q == nil || q.Find() || q.Node.ID() != known.ID() {
		t.Fatalf("asks %+v", q)
	}
	c.answer(q, Answer{Record: known})
	c.over()
}

// Questions keep their distance: those to one node 200 ms from the last answer, and
// all of them what the rate demands.
func TestPace(t *testing.T) {
	a, b := testNode(t, 1, 1, 1), testNode(t, 2, 1, 1)
	c := newCore(t, Config{Seeds: []*enode.Node{a, b}, Rate: 20})
	first, _ := c.Next(began)
	if q, wake := c.Next(began); first == nil || q != nil || !wake.Equal(began.Add(50*time.Millisecond)) {
		t.Fatalf("%v, and the second question in %v; want 50ms", first, wake.Sub(began))
	}
	second, _ := c.Next(began.Add(50 * time.Millisecond))
	if second == nil || second.Node.ID() == first.Node.ID() {
		t.Fatalf("the second question is %+v", second)
	}
	if q, wake := c.Next(began.Add(time.Second)); q != nil || !wake.IsZero() {
		t.Fatalf("with a question out to each: %v, %v", q, wake)
	}
	answered := began.Add(time.Second)
	c.Answer(answered, first, Answer{Record: a})
	if q, wake := c.Next(answered); q != nil || !wake.Equal(answered.Add(pause)) {
		t.Errorf("%v, the third question in %v; want %v", q, wake.Sub(answered), pause)
	}
	if q, _ := c.Next(answered.Add(pause)); q == nil || q.Node.ID() != a.ID() || !q.Find() {
		t.Errorf("the third question is %+v", q)
	}
}

// A question that could not be put says nothing about the node; it is put again,
// but not for ever.
func TestBusy(t *testing.T) {
	n := testNode(t, 1, 1, 1)
	c := &clock{newCore(t, Config{Known: dnsdisc.NodeSet{n.ID(): statusOf(n, 8)}}), t, began}
	for range maxBusy + 1 {
		before := c.now
		q := c.ask()
		if q == nil {
			t.Fatal("the question was given up too early")
		}
		if c.now != before && c.now.Sub(before) < retryPause-50*time.Millisecond {
			t.Errorf("put again after %v", c.now.Sub(before))
		}
		c.answer(q, Answer{Err: errNobody, Busy: true})
	}
	c.over()
	if p := c.Progress(c.now); p.Checked != 0 || p.Requests != 0 || c.NodeSet()[n.ID()].Score != 8 {
		t.Errorf("%+v, score %d", p, c.NodeSet()[n.ID()].Score)
	}
}

// A question for nodes that is not answered is repeated once.
func TestRepeats(t *testing.T) {
	n := testNode(t, 1, 1, 1)
	c := &clock{newCore(t, Config{Seeds: []*enode.Node{n}}), t, began}
	c.answer(c.ask(), Answer{Record: n})
	for range 2 {
		q := c.ask()
		if q == nil || len(q.Distances) != farthest-nearest+1 {
			t.Fatalf("asks %+v", q)
		}
		c.answer(q, Answer{Err: errNobody})
	}
	c.over()
}

// A node that leaves three questions open is let go, and still counts as alive.
func TestSilentAboutOthers(t *testing.T) {
	n := testNode(t, 1, 1, 1)
	c := &clock{newCore(t, Config{Seeds: []*enode.Node{n}}), t, began}
	c.answer(c.ask(), Answer{Record: n})
	c.visits[0].plan = newPlan(false, 1000)
	for range maxFailures {
		q := c.ask()
		if q == nil || !q.Find() {
			t.Fatalf("asks %+v", q)
		}
		c.answer(q, Answer{Err: errNobody})
	}
	c.over()
	if set := c.NodeSet(); set[n.ID()].Score != 1 {
		t.Errorf("%+v", set)
	}
}
