package main

import "testing"

// Both sides open what they wrote, all of it: of ours that is checked at each opening.
func TestRun(t *testing.T) {
	for _, side := range []string{"geth", "parley"} {
		if err := run(side, 30); err != nil {
			t.Errorf("%s: %v", side, err)
		}
	}
	if err := run("nobody", 30); err == nil {
		t.Error("a side that there is not")
	}
}
