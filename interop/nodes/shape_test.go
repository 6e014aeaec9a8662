package nodes

import (
	"slices"
	"testing"
)

func TestShape(t *testing.T) {
	got, err := Shape([]byte(`[{"b":{"c":[1,2]},"a":"x"},{"d":null,"a":true}]`))
	want := []string{"[].a boolean", "[].a string", "[].b.c[] number", "[].d null"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Shape = %q, %v; want %q", got, err, want)
	}
	if _, err := Shape([]byte(`{`)); err == nil {
		t.Error("half an object has a shape")
	}
}
