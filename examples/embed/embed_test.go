package embed

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"parley/enode"
)

// Two nodes in one process greet each other.
func TestStart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, b := make(chan string, 1), make(chan string, 1)
	first, err := Start(newKey(t), "127.0.0.1:0", func(text string) { a <- text })
	if err != nil {
		t.Fatal(err)
	}
	defer first.Stop()
	second, err := Start(newKey(t), "", func(text string) { b <- text }, first.Self())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Stop()
	for _, heard := range []chan string{a, b} {
		select {
		case text := <-heard:
			if want := "hello mychain/v0.1"; text != want {
				t.Errorf("heard %q, want %q", text, want)
			}
		case <-ctx.Done():
			t.Fatal("heard nothing")
		}
	}
}

func newKey(t *testing.T) *enode.PrivateKey {
	t.Helper()
	key, err := enode.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The README shows the code of this package, without the package clause and its
// comment.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("embed.go")
	if err != nil {
		t.Fatal(err)
	}
	_, snippet, _ := strings.Cut(string(code), "package embed\n\n")
	if !strings.Contains(string(readme), "\n```go\n"+snippet+"```\n") {
		t.Errorf("README.md has no code block with this content:\n%s", snippet)
	}
}
