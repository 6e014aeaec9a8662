package p2p

import (
	"fmt"
	"strings"
	"testing"
)

// After a Lost the sequence goes on with what happens then.
func TestEventsAfterLost(t *testing.T) {
	var h hub
	sub := h.subscribe()
	for range maxEvents + 3 {
		h.emit(Event{Type: EventAdd})
	}
	for range maxEvents {
		h.next(sub)
	}
	h.emit(Event{Type: EventDrop})
	var types []string
	for range 2 {
		e, _ := h.next(sub)
		types = append(types, fmt.Sprint(e.Type, e.Lost))
	}
	if got, want := strings.Join(types, " "), "lost3 drop0"; got != want {
		t.Errorf("after the lost ones came %s, want %s", got, want)
	}
}
