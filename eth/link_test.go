package eth

import (
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/netip"
	"sync"
	"testing"
	"time"

	"parley/enode"
	"parley/p2p"
	"parley/rlp"
)

// testConfig is that of a node on the chain of testStatus.
func testConfig() Config {
	s := testStatus(69)
	return Config{
		Network: s.Network,
		Genesis: s.Genesis,
		Forks: ForkList{
			Blocks: []uint64{10, 20},
			Times:  []uint64{1_700_000_000, 1_800_000_000},
		},
		Head:            Head{Number: 600, Hash: s.Range.LatestHash, Time: 1_750_000_000},
		TotalDifficulty: big.NewInt(0x20000),
		Logger:          slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// theirStatus is one that fits testConfig.
func theirStatus(version uint) *Status {
	cfg := testConfig()
	s := testStatus(version)
	s.ForkID = cfg.Forks.ID(cfg.Genesis, cfg.Head)
	return s
}

func mirrorConfig() Config {
	return Config{Mirror: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func newService(t *testing.T, cfg Config) *Service {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testNode is a node with a key of its own for each n.
func testNode(t *testing.T, n byte) *enode.Node {
	t.Helper()
	key, err := enode.ParsePrivateKey(append(make([]byte, 31), n))
	if err != nil {
		t.Fatal(err)
	}
	return enode.NewV4(key.Public(), netip.MustParseAddr("203.0.113.1"), 30303, 30303)
}

// A session is one that a Service runs over a pipe, as a p2p.Server would.
type session struct {
	conn  *p2p.Peer
	start time.Time
	wg    sync.WaitGroup

	// Set when wait returns.
	ended  time.Duration // from start to the end of the connection
	err    error         // what Run returned
	reason p2p.DiscReason
}

// serve runs the protocol of the given version over one end of a pipe until it
// returns.
func serve(t *testing.T, s *Service, version uint, n byte, rw *p2p.MsgPipeRW) *session {
	t.Helper()
	for _, p := range s.Protocols() {
		if p.Version != version {
			continue
		}
		ses := &session{conn: p2p.NewPeer(testNode(t, n), "test", nil), start: time.Now(), reason: p2p.DiscInvalid}
		// The connection ends when a protocol asks for it or returns.
		ses.wg.Go(func() {
			<-ses.conn.Context().Done()
			ses.ended = time.Since(ses.start)
			rw.Close()
		})
		ses.wg.Go(func() {
			ses.err = p.Run(ses.conn, rw)
			if reason, ok := errors.AsType[p2p.DiscReason](ses.err); ok {
				ses.reason = reason
			}
			ses.conn.Disconnect(ses.reason)
		})
		return ses
	}
	t.Fatalf("the service does not offer eth/%d", version)
	return nil
}

// wait returns when the session has ended.
func (ses *session) wait() error {
	ses.wg.Wait()
	return ses.err
}

// A remote is the test's end of a session: it plays the other side.
type remote struct {
	*session
	t       *testing.T
	rw      *p2p.MsgPipeRW
	version uint
}

// connect starts a session whose other side is the test.
func connect(t *testing.T, s *Service, version uint, n byte) *remote {
	t.Helper()
	ours, theirs := p2p.MsgPipe()
	return &remote{session: serve(t, s, version, n, ours), t: t, rw: theirs, version: version}
}

// greet exchanges Status with a configured Service and returns the Service's
// Peer.
func (r *remote) greet(s *Service) *Peer {
	r.t.Helper()
	msg := r.read()
	if msg.Code != StatusMsg {
		r.t.Fatalf("first message has code %#x, want Status", msg.Code)
	}
	r.send(StatusMsg, theirStatus(r.version))
	r.roundTrip()
	p, ok := s.Peer(r.conn.ID())
	if !ok {
		r.t.Fatal("no session after Status")
	}
	return p
}

func (r *remote) send(code uint64, v any) {
	r.t.Helper()
	if err := p2p.Send(r.rw, code, v); err != nil {
		r.t.Fatalf("send %s: %v", messageName(r.version, code), err)
	}
}

func (r *remote) read() p2p.Msg {
	r.t.Helper()
	msg, err := r.rw.ReadMsg()
	if err != nil {
		r.t.Fatalf("read: %v (session: %v)", err, r.wait())
	}
	return msg
}

// roundTrip returns when the Service has dealt with everything sent so far.
func (r *remote) roundTrip() {
	r.t.Helper()
	r.send(GetBlockBodiesMsg, []any{uint64(0xabcdef), []Hash{}})
	if err := p2p.ExpectMsg(r.rw, BlockBodiesMsg, []any{uint64(0xabcdef), []Hash{}}); err != nil {
		r.t.Fatal(err)
	}
}

// close ends the session from the other side and waits for it.
func (r *remote) close() {
	r.rw.Close()
	r.wait()
}

// wantEnd checks how the session ended.
func (r *remote) wantEnd(err error, reason p2p.DiscReason) {
	r.t.Helper()
	got := r.wait()
	if !errors.Is(got, err) || r.reason != reason {
		r.t.Errorf("session ended with %q, reason %q; want %q, %q", got, r.reason, err, reason)
	}
}

// encode is the encoding of v, which must have one.
func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := rlp.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
