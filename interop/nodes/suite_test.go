package nodes

import (
	"slices"
	"testing"
)

// The outcome of a suite is read from its lines, and a summary that says
// otherwise is an error: a test that was lost must not count as passed.
func TestParseSuite(t *testing.T) {
	const text = `-- RUN Status
 This test is just a sanity check.
 wrong head block in status, want: 600, have 0
-- FAIL Status (3.3ms)
-- RUN MaliciousHandshake
-- OK MaliciousHandshake (8.6ms)
`
	s, err := parseSuite(text + "1/2 tests passed.\n")
	if err != nil || !slices.Equal(s.Passed, []string{"MaliciousHandshake"}) || !slices.Equal(s.Failed, []string{"Status"}) {
		t.Errorf("parseSuite = %+v, %v; want MaliciousHandshake passed, Status failed", s, err)
	}
	for _, summary := range []string{"", "2/2 tests passed.\n", "1/3 tests passed.\n"} {
		if _, err := parseSuite(text + summary); err == nil {
			t.Errorf("summary %q: no error", summary)
		}
	}
}
