package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Subtests count, their parents do not; a failure is counted once, at the
// deepest place, and shown with its output.
func TestCounts(t *testing.T) {
	var out bytes.Buffer
	s := newSummary(&out)
	s.read(strings.NewReader(`{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA/two","Output":"    a_test.go:7: got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestA/two"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"noise of a test that passes\n"}
{"Action":"pass","Package":"p","Test":"TestB/x"}
{"Action":"pass","Package":"p","Test":"TestB/y/z"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Test":"ExampleC"}
{"Action":"skip","Package":"p","Test":"TestD"}
not an event
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p","Elapsed":0.1}
`))
	if s.close() {
		t.Error("close reports that all is well")
	}
	want := `FAIL p TestA/two
         a_test.go:7: got 1, want 2
FAIL p TestA
not an event
FAIL p: 4 passed, 1 failed
skipped: p TestD
4 passed, 1 failed
`
	if out.String() != want {
		t.Errorf("summary:\n%s\nwant:\n%s", out.String(), want)
	}
}

// Real modules: one that passes, one in which tests fail, panic and do not
// build, one whose go.mod is broken and one without tests.
func TestRun(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		end   string
		has   string
	}{
		{
			name: "passes",
			files: map[string]string{
				"go.mod":    "module m\n\ngo 1.26\n",
				"a_test.go": "package m\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {}\n\nfunc TestB(t *testing.T) { t.Run(\"x\", TestA) }\n",
			},
			end: "2 passed, 0 failed\n", has: "ok   m: 2 passed",
		},
		{
			name: "fails",
			files: map[string]string{
				"go.mod":      "module m\n\ngo 1.26\n",
				"a/a_test.go": "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Error(\"boo\") }\n\nfunc TestB(t *testing.T) {}\n",
				"b/b_test.go": "package b\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { panic(\"aargh\") }\n",
				"c/c_test.go": "package c\n\nvar x int = \"\"\n",
			},
			end: "1 passed, 3 failed\n", has: "cannot use \"\"",
		},
		{name: "broken", files: map[string]string{"go.mod": "modul m\n"}, end: "0 passed, 1 failed\n", has: "unknown directive"},
		{name: "empty", files: map[string]string{"go.mod": "module m\n\ngo 1.26\n", "m.go": "package m\n"}, end: "0 passed, 0 failed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range test.files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			s := newSummary(&out)
			run(s, dir, []string{"./..."})
			if ok := s.close(); ok != (test.name == "passes") {
				t.Errorf("close = %v", ok)
			}
			if !strings.HasSuffix(out.String(), "\n"+test.end) && out.String() != test.end || !strings.Contains(out.String(), test.has) {
				t.Errorf("summary:\n%s\nwant it to contain %q and end in %q", out.String(), test.has, test.end)
			}
		})
	}
}
