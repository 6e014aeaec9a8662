package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/daemon/logging"
	"parley/enode"
	"parley/p2p"
)

// A fake is a Server as a reporter sees it.
type fake struct {
	mu    sync.Mutex // guards the fields below
	stats p2p.Stats
	about p2p.Explanation // of every node
}

func (f *fake) Stats() p2p.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

func (f *fake) Explain(enode.ID) p2p.Explanation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.about
}

func (f *fake) set(stats p2p.Stats, about p2p.Explanation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stats, f.about = stats, about
}

// A logged is what was logged since it was last taken.
type logged struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(text)
}

func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

func newLog(t *testing.T, format string) (*logged, *slog.Logger) {
	t.Helper()
	l := &logged{}
	log, _, err := logging.New(logging.Options{Format: format, Writer: l})
	if err != nil {
		t.Fatal(err)
	}
	return l, log
}

// takeWithoutTime takes the lines of a logfmt log without their time.
func (l *logged) takeWithoutTime() string {
	var out strings.Builder
	for line := range strings.Lines(l.take()) {
		_, rest, _ := strings.Cut(line, " ")
		out.WriteString(rest)
	}
	return out.String()
}

// A peer that comes or goes is one line, with the reason in words and who asked.
func TestTell(t *testing.T) {
	b, log := newLog(t, "logfmt")
	r := newReporter(&fake{}, nil, log)
	id := enode.ID{0xab, 1}
	r.follow(slices.Values([]p2p.Event{
		{Type: p2p.EventAdd, Peer: id, Name: "Geth/v1", Remote: "192.0.2.1:30303"},
		{Type: p2p.EventMsgRecv, Peer: id},
		{Type: p2p.EventDrop, Peer: id, Name: "Geth/v1", Remote: "192.0.2.1:30303", Error: "too many peers", ByRemote: true},
		{Type: p2p.EventDrop, Peer: id, Inbound: true, Error: "read timeout", Reason: p2p.DiscReadTimeout},
		{Type: p2p.EventDrop, Peer: id, Error: "EOF", Reason: p2p.DiscNetworkError},
	}))
	want := `level=INFO msg="Peer added" peer=ab01000000000000 name=Geth/v1 remote=192.0.2.1:30303 conn=dialed
level=INFO msg="Peer dropped" peer=ab01000000000000 name=Geth/v1 remote=192.0.2.1:30303 conn=dialed by=them reason="too many peers"
level=INFO msg="Peer dropped" peer=ab01000000000000 name="" remote="" conn=inbound by=us reason="read timeout"
level=INFO msg="Peer dropped" peer=ab01000000000000 name="" remote="" conn=dialed by=network reason=EOF
`
	if got := b.takeWithoutTime(); got != want {
		t.Errorf("log\n%s\nwant\n%s", got, want)
	}
}

// What strangers say about themselves stays on one line and in its quotes, in
// every format.
func TestTellHostileNames(t *testing.T) {
	for _, format := range []string{"terminal", "logfmt", "json"} {
		for _, name := range []string{"a\nlevel=ERROR msg=gone", "\x1b[2J\x1b]0;x\a", "\u202egnp.exe", "a\x00b", "\xff\xfe", "a\r\b\b"} {
			b, log := newLog(t, format)
			r := newReporter(&fake{}, nil, log)
			r.tell(p2p.Event{Type: p2p.EventDrop, Name: name, Error: name})
			line := b.take()
			if strings.Count(line, "\n") != 1 || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\n\r\b\x00\x1b\a") {
				t.Errorf("%s: name %q was logged as %q", format, name, line)
			}
			if format != "json" && strings.Contains(line, "\u202e") {
				t.Errorf("%s: name %q can turn the line around: %q", format, name, line)
			}
		}
	}
}

// Strangers who come and go cause at most 10 lines a second; the rest is counted
// in the summary.
func TestLogBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := newLog(t, "logfmt")
		r := newReporter(&fake{}, nil, log)
		r.follow(func(yield func(p2p.Event) bool) {
			for range 3 { // seconds
				for range 1000 {
					yield(p2p.Event{Type: p2p.EventAdd})
				}
				<-time.After(time.Second)
			}
			yield(p2p.Event{Type: p2p.EventLost, Lost: 7})
		})
		if lines := strings.Count(b.take(), "\n"); lines != 3*linesPerSecond {
			t.Errorf("%d lines for 3,000 events in 3 s, want %d", lines, 3*linesPerSecond)
		}
		r.summary()
		if line := b.take(); !strings.Contains(line, " unlogged=2977\n") {
			t.Errorf("summary %q, want unlogged=2977", line)
		}
		r.summary()
		if line := b.take(); strings.Contains(line, "unlogged") {
			t.Errorf("summary %q counts twice", line)
		}
	})
}

// There is a summary every 30 s with what is new since the last, and a line about
// each static node that is not connected, when there is something new to say.
func TestSummarize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, err := enode.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		n := enode.NewV4(key.Public(), netip.MustParseAddr("192.0.2.1"), 30303, 30303)
		refused := p2p.Explanation{
			Verdicts: []p2p.Verdict{{Gate: p2p.GateDial, Err: errors.New("connection refused")}}, Advice: "Do something.",
		}
		srv := &fake{about: refused}
		b, log := newLog(t, "logfmt")
		r := newReporter(srv, []*enode.Node{n}, log)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.summarize(ctx) }()

		expect := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := b.takeWithoutTime(); got != want {
				t.Errorf("log\n%s\nwant\n%s", got, want)
			}
		}
		complaint := fmt.Sprintf("level=WARN msg=\"Static node not connected\" peer=%s url=%s at=dial reason=\"connection refused\" advice=\"Do something.\"\n",
			n.ID().TerminalString(), n.URL())
		looking := func(dials int) string {
			return fmt.Sprintf("level=INFO msg=\"Looking for peers\" peers=0 inbound=0 dialed=0 dials=%d accepted=0 rx=0 tx=0\n", dials)
		}
		<-time.After(firstLook)
		expect(complaint)
		srv.set(p2p.Stats{Dials: 3}, refused)
		<-time.After(25 * time.Second)
		expect(looking(3))
		srv.set(p2p.Stats{Dials: 5}, refused)
		<-time.After(30 * time.Second)
		expect(looking(2))

		srv.set(p2p.Stats{Peers: 1, Dialed: 1, Dials: 5, BytesIn: 10, BytesOut: 20}, p2p.Explanation{Connected: true})
		<-time.After(30 * time.Second)
		expect("level=INFO msg=Peers peers=1 inbound=0 dialed=1 dials=0 accepted=0 rx=10 tx=20\n")
		cancel()
		<-done
	})
}
