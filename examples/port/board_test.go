package port

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/p2p"
)

func newKey(t *testing.T) *enode.PrivateKey {
	t.Helper()
	key, err := enode.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// onPipe runs b with a peer whose part is played by the test, at the other end
// of a pipe, and returns the error that ends it. The peer was dialed, so that b
// greets first.
func onPipe(t *testing.T, b *Board, play func(rw *p2p.MsgPipeRW) error) (ended error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		peer := p2p.NewPeer(enode.NewV4(newKey(t).Public(), netip.Addr{}, 0, 0), "test", nil)
		ours, theirs := p2p.MsgPipe()
		done := make(chan error, 1)
		go func() {
			err := b.run(peer, ours)
			ours.Close()
			done <- err
		}()
		if err := play(theirs); err != nil {
			t.Error(err)
		}
		theirs.Close()
		ended = <-done
	})
	return ended
}

// A step of a script is a message to send, or one to expect.
type step struct {
	send bool
	code uint64
	what any
}

// script plays a peer.
func script(steps ...step) func(*p2p.MsgPipeRW) error {
	return func(rw *p2p.MsgPipeRW) error {
		for _, s := range steps {
			var err error
			if s.send {
				err = p2p.Send(rw, s.code, s.what)
			} else {
				err = p2p.ExpectMsg(rw, s.code, s.what)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func hash(note string) Hash { return sha256.Sum256([]byte(note)) }

// A board greets, says what it has, asks for what it lacks, and answers what it
// is asked with what is there. When the peer is gone it is forgotten.
func TestPipe(t *testing.T) {
	var heard []string
	b := New("go", func(note string) { heard = append(heard, note) })
	if err := b.Post("ours"); err != nil {
		t.Fatal(err)
	}
	err := onPipe(t, b, script(
		step{false, helloMsg, Greeting{"go", 1}},
		step{true, helloMsg, Greeting{"go", 7}},
		step{false, haveMsg, []Hash{hash("ours")}},
		step{true, haveMsg, []Hash{hash("ours"), hash("theirs")}},
		step{false, getMsg, []Hash{hash("theirs")}},
		step{true, notesMsg, []string{"theirs"}},
		step{true, getMsg, []Hash{hash("nobody's"), hash("ours")}},
		step{false, notesMsg, []string{"ours"}},
	))
	if !errors.Is(err, p2p.ErrPipeClosed) {
		t.Errorf("run = %v, want the end of the pipe", err)
	}
	if note, ok := b.Note(hash("theirs")); !ok || note != "theirs" || len(heard) != 1 || heard[0] != "theirs" {
		t.Errorf("Note = %q, %v, heard %q; want the peer's note, once", note, ok, heard)
	}
	if len(b.peers) != 0 {
		t.Errorf("%d peers are left after the end of the pipe", len(b.peers))
	}
}

// A peer that is of no use, or asks too much, is told the reason, and the error
// says what was wrong.
func TestRefusals(t *testing.T) {
	hello := step{false, helloMsg, nil}
	welcome := []step{hello, {true, helloMsg, Greeting{"go", 0}}, {false, haveMsg, []Hash{}}}
	for name, test := range map[string]struct {
		steps  []step
		reason p2p.DiscReason
		text   string
	}{
		"topic":   {[]step{hello, {true, helloMsg, Greeting{"rust", 0}}}, p2p.DiscUselessPeer, `ours "go", theirs "rust"`},
		"no list": {[]step{hello, {true, helloMsg, "go"}}, p2p.DiscProtocolError, "expected a list"},
		"order":   {[]step{hello, {true, haveMsg, []Hash{}}}, p2p.DiscProtocolError, "message 1 before hello"},
		"twice":   {append(welcome[:3:3], step{true, helloMsg, Greeting{}}), p2p.DiscProtocolError, "second hello"},
		"flood":   {append(welcome[:3:3], step{true, getMsg, make([]Hash, maxAsk+1)}), 0, "too much at once: 101 notes"},
	} {
		t.Run(name, func(t *testing.T) {
			err := onPipe(t, New("go", nil), script(test.steps...))
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("run = %v, want an error with %q", err, test.text)
			}
			if reason, _ := errors.AsType[p2p.DiscReason](err); reason != test.reason {
				t.Errorf("run gives the reason %v, want %v", reason, test.reason)
			}
		})
	}
}

// Two nodes on the loopback interface learn each other's notes, those from before
// they met and those posted later, and are told when the other one leaves.
func TestServers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	heardA, heardB := make(chan string, 8), make(chan string, 8)
	a, b := New("go", func(n string) { heardA <- n }), New("go", func(n string) { heardB <- n })
	if err := errors.Join(a.Post("from before, a"), b.Post("from before, b")); err != nil {
		t.Fatal(err)
	}
	srvA, err := Start(a, newKey(t), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srvA.Stop()
	srvB, err := Start(b, newKey(t), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srvB.Stop()

	told := make(chan string, 8)
	defer Watch(srvA, func(s string) { told <- s })()
	self := srvA.Self()
	endpoint, _ := self.TCPEndpoint()
	if err := Meet(srvB, self.PublicKey(), endpoint.Addr(), endpoint.Port()); err != nil {
		t.Fatal(err)
	}
	expect(ctx, t, heardA, "from before, b")
	expect(ctx, t, heardB, "from before, a")
	if err := errors.Join(a.Post("later, a"), b.Post("later, b")); err != nil {
		t.Fatal(err)
	}
	expect(ctx, t, heardA, "later, b")
	expect(ctx, t, heardB, "later, a")

	if info, ok := srvA.Peers()[0].Info().Protocols["board"].(Greeting); !ok || info != (Greeting{"go", 1}) {
		t.Errorf("PeerInfo = %v, want the peer's greeting", info)
	}
	var v uint
	if err := self.Load(enr.With("board", &v)); err != nil || v != version {
		t.Errorf("the record's board entry is %d, %v; want %d", v, err, version)
	}
	srvB.Stop()
	id := srvB.Self().ID().TerminalString()
	expect(ctx, t, told, "add "+id+" ")
	expect(ctx, t, told, "drop "+id+" client quitting (said by the other side)")
}

func expect(ctx context.Context, t *testing.T, from <-chan string, want string) {
	t.Helper()
	select {
	case got := <-from:
		if got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	case <-ctx.Done():
		t.Fatalf("did not hear %q: %v", want, ctx.Err())
	}
}
