package peerset

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// at is a time for tests; only differences matter.
var at = time.Unix(1_000_000, 0)

// A valid public key for nodes of tests whose ID is then overridden is not
// available, so nodes are made from small private keys.
func node(t testing.TB, n byte, endpoint string) *enode.Node {
	t.Helper()
	secret := [32]byte{31: n}
	key, err := enode.ParsePrivateKey(secret[:])
	if err != nil {
		t.Fatal(err)
	}
	if endpoint == "" {
		return enode.NewV4(key.Public(), netip.Addr{}, 0, 0)
	}
	ep := netip.MustParseAddrPort(endpoint)
	return enode.NewV4(key.Public(), ep.Addr(), ep.Port(), 0)
}

// rng returns a random source that depends only on the seed.
func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

func id(n byte) ID { return ID{31: n} }

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func newSet(limits Limits) *Set { return New(id(100), limits, netaddr.List{}, rng(1)) }

// add enters a peer and fails the test if it is refused.
func add(t *testing.T, s *Set, now time.Time, id ID, addr string, inbound bool) {
	t.Helper()
	if _, err := s.Add(now, Conn{ID: id, Addr: addrPort(addr), Inbound: inbound}); err != nil {
		t.Fatalf("Add(%v) = %v", id, err)
	}
}

// Inbound connections fill their share and no more, so that dialed ones find a
// place; trusted nodes come on top, and nobody is admitted twice.
func TestAdmitKeepsTheShares(t *testing.T) {
	s := newSet(Limits{Peers: 4, Dialed: 2, Pending: 10})
	trusted := node(t, 50, "10.0.0.50:1")
	if err := s.Trust(trusted); err != nil {
		t.Fatal(err)
	}
	add(t, s, at, id(1), "10.0.0.1:1", true)
	add(t, s, at, id(2), "10.0.0.2:1", true)
	for _, c := range []struct {
		name    string
		id      ID
		inbound bool
		want    error
	}{
		{"third inbound", id(3), true, ErrTooManyPeers},
		{"dialed", id(3), false, nil},
		{"trusted inbound", trusted.ID(), true, nil},
		{"again", id(1), true, ErrAlreadyConnected},
		{"self", id(100), true, ErrSelf},
		{"self, dialed", id(100), false, ErrSelf},
	} {
		if err := s.Admit(at, Conn{ID: c.id, Inbound: c.inbound}); !errors.Is(err, c.want) {
			t.Errorf("%s: Admit = %v, want %v", c.name, err, c.want)
		}
	}
	add(t, s, at, id(3), "10.0.0.3:1", false)
	add(t, s, at, id(4), "10.0.0.4:1", false)
	if err := s.Admit(at, Conn{ID: id(5), Inbound: false}); !errors.Is(err, ErrTooManyPeers) {
		t.Errorf("Admit of a fifth peer = %v, want ErrTooManyPeers", err)
	}
	add(t, s, at, trusted.ID(), "10.0.0.50:1", true)
	if in, out := s.Counts(); in != 3 || out != 2 {
		t.Errorf("Counts = %d inbound, %d dialed, want 3, 2", in, out)
	}
	// A trusted node holds none of the places: who loses the right competes.
	s.Remove(at, id(4), CauseEnded)
	if err := s.Admit(at, Conn{ID: id(5), Inbound: false}); err != nil {
		t.Errorf("Admit beside a trusted peer = %v, want a place", err)
	}
	s.Untrust(trusted.ID())
	if err := s.Admit(at, Conn{ID: id(5), Inbound: false}); !errors.Is(err, ErrTooManyPeers) {
		t.Errorf("Admit beside a peer no longer trusted = %v, want ErrTooManyPeers", err)
	}
}

// The sums are right after any order of coming, going, trusting and making
// static.
func TestSlotsAddUp(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	n := node(t, 7, "80.1.1.1:30303")
	add(t, s, at, n.ID(), "80.1.1.1:5000", true)
	s.Trust(n)
	s.AddStatic(at, n)
	s.Remove(at, n.ID(), CauseEnded)
	add(t, s, at, n.ID(), "80.1.1.1:5000", false)
	s.Untrust(n.ID())
	s.RemoveStatic(n.ID())
	s.Remove(at, n.ID(), CauseEnded)
	s.Remove(at, n.ID(), CauseEnded) // a second time does nothing

	if s.inbound != 0 || s.dialed != 0 || s.above != 0 || len(s.peers) != 0 || len(s.friends) != 0 {
		t.Errorf("inbound %d, dialed %d, above %d, peers %d, friends %d; want all 0",
			s.inbound, s.dialed, s.above, len(s.peers), len(s.friends))
	}
	if len(s.door.hosts)+len(s.door.nets) != 0 {
		t.Errorf("%d hosts and %d networks are still counted, want 0", len(s.door.hosts), len(s.door.nets))
	}
}

// Of two connections made at the same time both sides keep the one that the
// lower ID dialed, whichever comes first; later the older one stays.
func TestSimultaneousConnections(t *testing.T) {
	low, high := id(1), id(200)
	for _, c := range []struct {
		self, other  ID
		firstInbound bool
		after        time.Duration
		replaced     bool
	}{
		{self: low, other: high, firstInbound: true, replaced: true},   // ours is the lower ID's
		{self: low, other: high, firstInbound: false, replaced: false}, //
		{self: high, other: low, firstInbound: true, replaced: false},
		{self: high, other: low, firstInbound: false, replaced: true},
		{self: low, other: high, firstInbound: true, after: 5 * time.Second, replaced: false},
		{self: high, other: low, firstInbound: false, after: 5 * time.Second, replaced: false},
	} {
		s := New(c.self, Limits{Peers: 10, Dialed: 5, Pending: 10}, netaddr.List{}, rng(1))
		add(t, s, at, c.other, "10.0.0.1:1", c.firstInbound)
		added, err := s.Add(at.Add(c.after), Conn{ID: c.other, Addr: addrPort("10.0.0.1:2"), Inbound: !c.firstInbound})
		replaced := added.Replaced
		if replaced != c.replaced || (err == nil) != c.replaced {
			t.Errorf("self low %v, first inbound %v, after %v: Add = %v, %v; want replaced %v",
				c.self == low, c.firstInbound, c.after, replaced, err, c.replaced)
		}
		if len(s.peers) != 1 {
			t.Errorf("%d peers, want 1", len(s.peers))
		}
	}
	// Two connections in the same direction never replace each other.
	s := New(low, Limits{Peers: 10, Dialed: 5, Pending: 10}, netaddr.List{}, rng(1))
	add(t, s, at, high, "10.0.0.1:1", true)
	if err := s.Admit(at, Conn{ID: high, Inbound: true}); !errors.Is(err, ErrAlreadyConnected) {
		t.Errorf("Admit of a second inbound connection = %v, want ErrAlreadyConnected", err)
	}
}

// The story of a static node survives strangers who invent IDs, and strangers do
// not make the book grow.
func TestStoriesAreBounded(t *testing.T) {
	s := newSet(Limits{Peers: 10, Dialed: 5, Pending: 10})
	static := node(t, 1, "80.1.1.1:30303")
	s.AddStatic(at, static)
	s.Note(static.ID(), Verdict{Time: at, Gate: GateDial, Err: errors.New("connection refused")})
	for i := range 20_000 {
		stranger := ID{0: 1, 1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}
		for range 3 {
			s.Note(stranger, Verdict{Time: at, Gate: GateQuota, Inbound: true, Err: ErrTooManyPeers})
		}
	}
	if n := len(s.book.stories); n > maxStories {
		t.Errorf("%d stories are kept, want at most %d", n, maxStories)
	}
	if got := s.Explain(at, static.ID()).Verdicts; len(got) != 1 || got[0].Gate != GateDial {
		t.Errorf("the static node's verdicts = %v, want its one dial", got)
	}
	if got := s.Refused()[GateQuota]; got != 60_000 {
		t.Errorf("Refused[quota] = %d, want 60000", got)
	}

	// Repeats count; different verdicts push the oldest out.
	for i := range 40 {
		for range 5 {
			s.Note(static.ID(), Verdict{Time: at.Add(time.Duration(i) * time.Minute), Gate: GateDial, Err: fmt.Errorf("error %d", i)})
		}
	}
	vs := s.Explain(at, static.ID()).Verdicts
	if len(vs) != storyLength || vs[0].Err.Error() != "error 24" || vs[0].Count != 5 {
		t.Errorf("%d verdicts from %v ×%d, want %d from error 24 ×5", len(vs), vs[0].Err, vs[0].Count, storyLength)
	}
}
