package version

import (
	"regexp"
	"strings"
	"testing"
)

// The client name has the customary parts, and the operator's own where it is given.
func TestClient(t *testing.T) {
	form := regexp.MustCompile(`^Parley/(corp/)?v\d+\.\d+\.\d+/[a-z0-9]+-[a-z0-9]+/go\S+$`)
	for identity, want := range map[string]string{"": "Parley/v" + Number + "/", "corp": "Parley/corp/v" + Number + "/"} {
		if got := Client(identity); !form.MatchString(got) || !strings.HasPrefix(got, want) {
			t.Errorf("Client(%q) = %q, want it to begin with %q", identity, got, want)
		}
	}
}

// What the builder calls the build is shown behind the version.
func TestString(t *testing.T) {
	if got, want := String("abc"), Number+" (abc)"; got != want {
		t.Errorf("String(abc) = %q, want %q", got, want)
	}
}
