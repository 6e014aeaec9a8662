package jsonrpc

import (
	"bufio"
	"encoding/json"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Values are cut out of a stream where they end, and refused where they break a
// limit.
func TestReadValue(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	batch := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]" }
	tests := []struct {
		name, in, value, rest string
		err                   error
	}{
		{name: "object", in: ` {"a":"}"} next`, value: `{"a":"}"}`, rest: " next"},
		{name: "escapes", in: `{"a\"]":"\\"}{}`, value: `{"a\"]":"\\"}`, rest: "{}"},
		{name: "depth 32", in: deep(32), value: deep(32)},
		{name: "depth 33", in: deep(33), err: errTooDeep},
		{name: "depth 10^5", in: strings.Repeat(`{"a":`, 100_000), err: errTooDeep},
		{name: "batch of 100", in: batch(100), value: batch(100)},
		{name: "batch of 101", in: batch(101), err: errTooMany},
		{name: "batch of 10^5", in: batch(100_000), err: errTooMany},
		{name: "commas inside", in: `[` + batch(100) + `,{"a":` + batch(100) + `}]`, value: `[` + batch(100) + `,{"a":` + batch(100) + `}]`},
		{name: "5 MiB", in: `{"a":"` + strings.Repeat("x", MaxBody-8) + `"}`, value: `{"a":"` + strings.Repeat("x", MaxBody-8) + `"}`},
		{name: "5 MiB and 1", in: `{"a":"` + strings.Repeat("x", MaxBody-7) + `"}`, err: errTooLarge},
		{name: "number", in: `7`, err: errNoObject},
		{name: "string", in: `"{}"`, err: errNoObject},
		{name: "closing", in: `}`, err: errNoObject},
		{name: "truncated", in: `{"a`, err: io.ErrUnexpectedEOF},
		{name: "nothing", in: " \n", err: io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(tt.in))
			value, err := readValue(r)
			if string(value) != tt.value || err != tt.err {
				t.Fatalf("readValue = %.60q, %v; want %.60q, %v", value, err, tt.value, tt.err)
			}
			if rest, _ := io.ReadAll(r); err == nil && string(rest) != tt.rest {
				t.Errorf("rest = %.60q, want %.60q", rest, tt.rest)
			}
		})
	}
}

// A request costs at most 10 MiB at a time, whatever is in it: the buffer it was
// read into and, while that grew, the one before (J3). All buffers together are
// 13 MiB; one more for each of the millions of parameters would show.
func TestJ3Memory(t *testing.T) {
	const most = 14 << 20
	for name, in := range map[string]string{
		"string":  `{"a":"` + strings.Repeat("x", MaxBody-10) + `"}`,
		"params":  `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":[` + strings.Repeat("1,", MaxBody/2-40) + `1]}`,
		"members": `{` + strings.Repeat(`"":1,`, MaxBody/5-10) + `"":1}`,
		"endless": `{"a":"` + strings.Repeat("x", 2*MaxBody),
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestServer()
			body := strings.NewReader(in)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if raw, err := readBody(body); err == nil {
				(&session{server: s}).answer(t.Context(), raw)
			}
			runtime.ReadMemStats(&after)
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > most {
				t.Errorf("a request of %d bytes took %d bytes, want at most %d", len(in), allocated, most)
			}
		})
	}
}

// elements and splitMember agree with encoding/json.
func FuzzElements(f *testing.F) {
	for _, seed := range []string{`[1, "a,\"b", [2,3], {"x":[]}]`, `{"a" : 1,"b:,":{"c":2}}`, `[]`, `{ }`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw := []byte(strings.TrimSpace(text))
		var list []json.RawMessage
		var object map[string]json.RawMessage
		switch {
		case json.Unmarshal(raw, &list) == nil && raw[0] == '[':
			var got []string
			for element := range elements(raw) {
				got = append(got, string(element))
			}
			var want []string
			for _, element := range list {
				want = append(want, strings.TrimSpace(string(element)))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("elements(%q) = %q, want %q", raw, got, want)
			}
		case json.Unmarshal(raw, &object) == nil && raw[0] == '{':
			got := make(map[string]string)
			for member := range elements(raw) {
				key, value := splitMember(member)
				var name string
				if err := json.Unmarshal(key, &name); err != nil {
					t.Fatalf("splitMember(%q): key %q: %v", member, key, err)
				}
				got[name] = string(value)
			}
			for name, value := range object {
				if got[name] != strings.TrimSpace(string(value)) {
					t.Fatalf("elements(%q)[%q] = %q, want %q", raw, name, got[name], value)
				}
			}
			if len(got) != len(object) {
				t.Fatalf("elements(%q) has %d members, want %d", raw, len(got), len(object))
			}
		}
	})
}
