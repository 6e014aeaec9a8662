package main

import "testing"

// All the works can be done, as a node would, and another cannot be asked for.
func TestMeasure(t *testing.T) {
	for name := range works() {
		if cost, err := measure(name, 1); err != nil || cost <= 0 {
			t.Errorf("%s: %v, %v", name, cost, err)
		}
	}
	if _, err := measure("nothing", 1); err == nil {
		t.Error("a work that there is not")
	}
}
