package eth

import (
	"fmt"
	"strings"
	"testing"
)

// The messages of each version are those of the specification and its change log.
func TestMessageTables(t *testing.T) {
	for v, want := range map[uint]uint64{0: 0, 67: 0, 68: 17, 69: 18, 70: 18, 71: 20, 72: 22, 73: 0} {
		if got := Length(v); got != want {
			t.Errorf("Length(%d) = %d, want %d", v, got, want)
		}
	}
	var out strings.Builder
	for v := uint(MinVersion); v <= MaxVersion; v++ {
		fmt.Fprintf(&out, "eth/%d\n", v)
		for code := range Length(v) {
			m, ok := Describe(v, code)
			if !ok {
				continue
			}
			if m.Code != code {
				t.Errorf("eth/%d: description of %#x has code %#x", v, code, m.Code)
			}
			fmt.Fprintf(&out, "  0x%02x %s", code, m.Name)
			switch m.Role {
			case Handshake:
				out.WriteString(" handshake")
			case Gossip:
				out.WriteString(" gossip")
			case Obsolete:
				out.WriteString(" obsolete")
			case Request:
				a, ok := Describe(v, m.Answer)
				if !ok || a.Role != Response {
					t.Errorf("eth/%d: the answer to %s is %#x, which is no response", v, m.Name, m.Answer)
				}
				fmt.Fprintf(&out, " request of %d, answered by %s", m.Items, a.Name)
			case Response:
				fmt.Fprintf(&out, " response of %d", m.Items)
			default:
				t.Errorf("eth/%d: %s has no role", v, m.Name)
			}
			out.WriteString("\n")
		}
		for _, code := range []uint64{0x0b, 0x0c, 0x0d, 0x0e, Length(v), 1 << 63} {
			if m, ok := Describe(v, code); ok {
				t.Errorf("eth/%d: %#x is %s, want no message", v, code, m.Name)
			}
		}
	}
	golden(t, "messages.txt", out.String())
}
