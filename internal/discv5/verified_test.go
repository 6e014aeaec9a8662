package discv5

import (
	"bytes"
	"net/netip"
	"testing"
)

// A record is remembered by all its bytes: one that differs is verified, and
// refused, even if it begins like one that was valid.
func TestVerified(t *testing.T) {
	w := newWorld(t, 50)
	var v verified
	good := signed(t, testKey(t, w.rng), 1, netip.MustParseAddrPort("20.0.0.1:30303")).Record().Bytes()
	first, err := v.parse(good)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := v.parse(bytes.Clone(good)); err != nil || again != first {
		t.Errorf("the same record again: %p, %v; want %p", again, err, first)
	}
	if n := testing.AllocsPerRun(10, func() { v.parse(good) }); n != 0 {
		t.Errorf("%v allocations for a record that is known", n)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if n, err := v.parse(bad); err == nil {
			t.Errorf("byte %d changed: %v", i, n)
		}
	}
	for n := range good {
		if _, err := v.parse(good[:n]); err == nil {
			t.Errorf("%d bytes are a record", n)
		}
	}
}
