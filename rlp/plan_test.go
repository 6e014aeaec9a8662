package rlp

import (
	"reflect"
	"sync"
	"testing"
)

// Goroutines that meet a type at the same time agree on its plan, and no plan
// gets lost.
func TestPlansConcurrent(t *testing.T) {
	types := make([]reflect.Type, 40)
	for i := range types {
		types[i] = reflect.ArrayOf(1000+i, reflect.TypeFor[uint64]())
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, typ := range types {
				v := reflect.New(typ)
				enc, err := Encode(v.Interface())
				if err == nil {
					err = Decode(enc, v.Interface())
				}
				if err != nil {
					t.Errorf("%v: %v", typ, err)
				}
			}
		})
	}
	wg.Wait()
	for _, typ := range types {
		p, ok := (*plans.Load())[typ]
		if !ok || p != planOf(typ) || p != planOf(typ) {
			t.Errorf("the plan of %v is not kept", typ)
		}
	}
}

// A plan is made once: later uses of a type allocate nothing.
func TestPlansOnce(t *testing.T) {
	typ := reflect.TypeFor[[]map[string]int]()
	planOf(typ)
	if n := testing.AllocsPerRun(100, func() { planOf(typ) }); n != 0 {
		t.Errorf("planOf allocates %v times for a known type, want 0", n)
	}
}
