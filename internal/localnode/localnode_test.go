package localnode

import (
	"net/netip"
	"testing"

	"parley/enode"
	"parley/enr"
)

func newLocal(t *testing.T) *Local {
	t.Helper()
	key, err := enode.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(key, 7)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Each change, and only a change, raises the sequence number by one, and the
// record is signed by the node's key.
func TestSequenceNumberCountsChanges(t *testing.T) {
	l := newLocal(t)
	ap := netip.MustParseAddrPort("192.0.2.1:30303")
	for _, c := range []struct {
		what string
		do   func() error
		want uint64
	}{
		{"nothing", func() error { return l.Set() }, 7},
		{"endpoint", func() error { return l.Set(Endpoint(ap)...) }, 8},
		{"the same endpoint", func() error { return l.Set(Endpoint(ap)...) }, 8},
		{"another port", func() error { return l.Set(enr.TCP(30304)) }, 9},
		{"deleting what is not there", func() error { return l.Delete("eth") }, 9},
		{"deleting", func() error { return l.Delete("tcp") }, 10},
		{"IPv6 endpoint", func() error { return l.Set(Endpoint(netip.MustParseAddrPort("[2001:db8::1]:30303"))...) }, 11},
	} {
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if got := l.Node().Seq(); got != c.want {
			t.Errorf("after %s the sequence number is %d, want %d", c.what, got, c.want)
		}
	}
	again, err := enr.Parse(l.Node().Record().String())
	if err != nil {
		t.Fatalf("the record does not verify: %v", err)
	}
	if got := enode.PubkeyID(again.PublicKey()); got != l.ID() {
		t.Errorf("the record is signed by %v, want %v", got, l.ID())
	}
}

// An entry that does not fit leaves the record as it was.
func TestSetRefusesWhatDoesNotFit(t *testing.T) {
	l := newLocal(t)
	before := l.Node()
	if err := l.Set(enr.With("big", make([]byte, 300))); err == nil {
		t.Error("Set of an entry of 300 bytes succeeded")
	}
	if l.Node() != before {
		t.Error("the record changed")
	}
	if err := l.Set(enr.TCP(1)); err != nil || l.Node().Seq() != 8 {
		t.Errorf("Set after a refusal = %v, sequence number %d; want nil, 8", err, l.Node().Seq())
	}
}
