package testnode

import (
	"context"
	"testing"
	"time"
)

// A key belongs to its number, in every run; new ones are nobody's.
func TestKeys(t *testing.T) {
	three, again, four := Key(t, 3).Public(), Key(t, 3).Public(), Key(t, 4).Public()
	if three != again || three == four {
		t.Error("a key does not belong to its number")
	}
	if a, b := NewKey(t).Public(), NewKey(t).Public(); a == b {
		t.Error("two new keys are the same")
	}
}

// A node that listens answers by its protocol, with the record that was returned.
func TestListen(t *testing.T) {
	for _, v4 := range []bool{true, false} {
		_, n := Listen(t, v4)
		asker, _ := Listen(t, v4, n)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		got, err := asker.RequestENR(ctx, n)
		if err != nil || got.ID() != n.ID() || got.Seq() != 7 {
			t.Errorf("v4 %v: RequestENR = %v, %v; want %v with number 7", v4, got, err, n)
		}
	}
}
