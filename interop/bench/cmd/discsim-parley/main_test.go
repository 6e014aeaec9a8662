package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// A small network prints the lines that compare reads: tables, memory, lookups; idle
// nodes print no lookups.
func TestLines(t *testing.T) {
	tables, memory, lookups := `(?m)^sim %: t=\S+ table mean=[\d.]+ min=\d+ cpu=`, `(?m)^sim %: n=4 settled: goroutines/node=[\d.]+ rss/node=`,
		`(?m)^sim %: pass 2 lookups=2 p50=\S+ p90=\S+ max=\S+ mean-results=[\d.]+ found-target=\d cpu/lookup=`
	for _, c := range []struct {
		protocol string
		lookups  int
		lines    []string
	}{
		{"v4", 2, []string{tables, memory, lookups}},
		{"v5", 2, []string{tables, memory, lookups}},
		{"both", 0, []string{tables, memory}},
	} {
		var out strings.Builder
		if err := run(&out, options{protocol: c.protocol, n: 4, lookups: c.lookups, warm: 40 * time.Millisecond}); err != nil {
			t.Errorf("%s: %v", c.protocol, err)
		}
		for _, line := range c.lines {
			if !regexp.MustCompile(strings.ReplaceAll(line, "%", c.protocol)).MatchString(out.String()) {
				t.Errorf("%s: no line like %s in\n%s", c.protocol, line, out.String())
			}
		}
		if got := strings.Contains(out.String(), "pass"); got != (c.lookups > 0) {
			t.Errorf("%s: lookups are printed: %v", c.protocol, got)
		}
	}
}

// What cannot be measured is an error.
func TestWrongOptions(t *testing.T) {
	for _, o := range []options{{protocol: "v6", n: 3}, {protocol: "v4"}, {protocol: "v4", n: 1, lookups: 1}} {
		if err := run(&strings.Builder{}, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
