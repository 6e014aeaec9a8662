package eth

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/internal/simnet"
	"parley/p2p"
)

// A simDialer dials from a simulated host.
type simDialer struct{ host *simnet.Host }

func (d simDialer) DialNode(ctx context.Context, n *enode.Node) (net.Conn, error) {
	ep, ok := n.TCPEndpoint()
	if !ok {
		return nil, errors.New("no TCP endpoint")
	}
	return d.host.DialContext(ctx, "tcp", ep.String())
}

// A world is a simulated network with links of 10 ms, in a bubble.
type world struct {
	*testing.T
	net *simnet.Network
}

func inWorld(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t, simnet.New(1)}
		w.net.SetDefaultLink(simnet.Link{Delay: 10 * time.Millisecond})
		t.Cleanup(w.net.Close)
		f(w)
	})
}

// start runs a p2p.Server with the Service's protocols.
func (w *world) start(n byte, s *Service) (*p2p.Server, *enode.Node) {
	w.Helper()
	return w.serve(n, s.Protocols())
}

func (w *world) serve(n byte, protocols []p2p.Protocol) (*p2p.Server, *enode.Node) {
	w.Helper()
	key, err := enode.ParsePrivateKey(append(make([]byte, 31), n))
	if err != nil {
		w.Fatal(err)
	}
	host := w.net.Host(netip.AddrFrom4([4]byte{10, 0, 0, n}))
	listener, err := host.Listen(30303)
	if err != nil {
		w.Fatal(err)
	}
	srv := &p2p.Server{Config: p2p.Config{
		PrivateKey: key,
		Listener:   listener,
		Dialer:     simDialer{host},
		Logger:     slog.New(slog.DiscardHandler),
		Protocols:  protocols,
	}}
	if err := srv.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(srv.Stop)
	return srv, enode.NewV4(key.Public(), host.Addr(), 30303, 30303)
}

// Between two servers the highest version that both have runs, and each shows the
// other in its list of peers.
func TestServersChooseVersion(t *testing.T) {
	sets := [][]uint{nil, {68}, {69}, {68, 69}, {70, 71}, {72}}
	want := [][]uint{
		{72, 68, 69, 69, 71, 72},
		{68, 68, 0, 68, 0, 0},
		{69, 0, 69, 69, 0, 0},
		{69, 68, 69, 69, 0, 0},
		{71, 0, 0, 0, 71, 0},
		{72, 0, 0, 0, 0, 72},
	}
	for i, ours := range sets {
		for j, theirs := range sets {
			t.Run(fmt.Sprint(ours, theirs), func(t *testing.T) {
				inWorld(t, func(w *world) {
					ca, cb := testConfig(), testConfig()
					ca.Versions, cb.Versions = ours, theirs
					a, b := newService(w.T, ca), newService(w.T, cb)
					sa, _ := w.start(1, a)
					_, nb := w.start(2, b)
					if err := sa.AddPeer(nb); err != nil {
						w.Fatal(err)
					}
					<-time.After(time.Second)
					var got uint
					if p, ok := a.Peer(nb.ID()); ok {
						got = p.Version()
					}
					if got != want[i][j] {
						w.Fatalf("eth/%d runs, want eth/%d", got, want[i][j])
					}
					if got == 0 {
						return
					}
					info := sa.PeersInfo()
					if len(info) != 1 || info[0].Protocols["eth"].(PeerInfo).Version != got {
						w.Errorf("peers %+v", info)
					}
				})
			})
		}
	}
}

// When two servers part over Status, the first to find out says why in words, and
// the other is told the reason; if it was another chain, both can say which, since
// each Status goes out before the Disconnect.
func TestServersRefuse(t *testing.T) {
	other := testConfig()
	other.Network = 1
	for _, tt := range []struct {
		name   string
		a, b   Config
		want   error
		reason p2p.DiscReason
		within time.Duration
		know   int // sides whose error is want
	}{
		{"another network", testConfig(), other, ErrNetworkMismatch, p2p.DiscSubprotocolError, 100 * time.Millisecond, 2},
		{"two mirrors", mirrorConfig(), mirrorConfig(), ErrStatusTimeout, p2p.DiscUselessPeer, 1100 * time.Millisecond, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				sa, _ := w.start(1, newService(w.T, tt.a))
				sb, nb := w.start(2, newService(w.T, tt.b))
				ctx, cancel := context.WithTimeout(w.Context(), 4*time.Second)
				defer cancel()
				start := time.Now()
				seen := []iter.Seq[p2p.Event]{sa.Events(ctx), sb.Events(ctx)}
				if err := sa.AddPeer(nb); err != nil {
					w.Fatal(err)
				}
				said, told, know := 0, 0, 0
				for _, events := range seen {
					for e := range events {
						if e.Type != p2p.EventDrop {
							continue
						}
						if e.Reason != tt.reason || e.Time.Sub(start) > tt.within {
							w.Errorf("dropped after %v with %v; want %v within %v", e.Time.Sub(start), e.Reason, tt.reason, tt.within)
						}
						if errors.Is(e.Err, tt.want) {
							know++
						}
						if e.ByRemote {
							told++
						} else if errors.Is(e.Err, tt.want) && e.Error == e.Err.Error() {
							said++
						}
					}
				}
				if said < 1 || said+told != 2 || know < tt.know {
					w.Errorf("%d said why and %d were told, of 2; %d know, want %d", said, told, know, tt.know)
				}
			})
		})
	}
}

// Row P8 through the listener: the other side is a server whose eth misbehaves.
func TestServersP8(t *testing.T) {
	cfg := testConfig()
	status := theirStatus(69)
	for _, tt := range []struct {
		name   string
		run    func(rw p2p.MsgReadWriter) error
		reason p2p.DiscReason
		after  time.Duration // at most
	}{
		{"late", func(p2p.MsgReadWriter) error { return nil }, p2p.DiscReadTimeout, 5100 * time.Millisecond},
		{"twice", func(rw p2p.MsgReadWriter) error {
			return errors.Join(p2p.Send(rw, StatusMsg, status), p2p.Send(rw, StatusMsg, status))
		}, p2p.DiscProtocolError, 100 * time.Millisecond},
		{"10 MiB and 1", func(rw p2p.MsgReadWriter) error {
			return errors.Join(p2p.Send(rw, StatusMsg, status),
				rw.WriteMsg(p2p.Msg{Code: TransactionsMsg, Payload: make([]byte, MaxMessageSize+1)}))
		}, p2p.DiscProtocolError, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				good := newService(w.T, cfg)
				sa, na := w.start(1, good)
				sb, _ := w.serve(2, []p2p.Protocol{{Name: "eth", Version: 69, Length: Length(69),
					Run: func(_ *p2p.Peer, rw p2p.MsgReadWriter) error {
						if err := tt.run(rw); err != nil {
							return err
						}
						for {
							if _, err := rw.ReadMsg(); err != nil {
								return err
							}
						}
					}}})
				ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
				defer cancel()
				start := time.Now()
				ea, eb := sa.Events(ctx), sb.Events(ctx)
				if err := sb.AddPeer(na); err != nil {
					w.Fatal(err)
				}
				drops := 0
				for e := range ea {
					if e.Type == p2p.EventDrop {
						drops++
						if e.Reason != tt.reason || e.ByRemote || e.Time.Sub(start) > tt.after {
							w.Errorf("dropped after %v with %v (%s); want %v within %v", e.Time.Sub(start), e.Reason, e.Error, tt.reason, tt.after)
						}
						break
					}
				}
				for e := range eb {
					if e.Type == p2p.EventDrop {
						drops++
						if e.Reason != tt.reason || !e.ByRemote {
							w.Errorf("the other side was dropped with %v, want to be told %v", e.Reason, tt.reason)
						}
						break
					}
				}
				if drops != 2 {
					w.Errorf("%d drops, want 2", drops)
				}
			})
		})
	}
}

// A mirror stays the peer of a node with a chain, in silence, and hears of its
// new range.
func TestServersMirror(t *testing.T) {
	inWorld(t, func(w *world) {
		var heard []BlockRange
		cfg := mirrorConfig()
		cfg.Handler.BlockRange = func(_ *Peer, r BlockRange) { heard = append(heard, r) }
		mirror, chain := newService(w.T, cfg), newService(w.T, testConfig())
		sm, _ := w.start(1, mirror)
		sc, nc := w.start(2, chain)
		if err := sm.AddPeer(nc); err != nil {
			w.Fatal(err)
		}
		<-time.After(10 * time.Minute)
		if sm.PeerCount() != 1 || sc.PeerCount() != 1 {
			w.Fatalf("%d and %d peers after ten minutes, want 1", sm.PeerCount(), sc.PeerCount())
		}
		head := Head{Number: 601, Hash: Hash{6}, Time: 1_750_000_012}
		if _, err := chain.SetHead(head); err != nil {
			w.Fatal(err)
		}
		if missed := chain.BroadcastRange(sc); len(missed) != 0 {
			w.Errorf("missed %v", missed)
		}
		<-time.After(time.Second)
		if len(heard) != 1 || heard[0] != (BlockRange{Latest: 601, LatestHash: head.Hash}) {
			w.Errorf("the mirror heard %+v", heard)
		}
		p, ok := mirror.Peer(nc.ID())
		if !ok {
			w.Fatal("no session")
		}
		if items, err := p.RequestHeaders(w.Context(), HeaderQuery{Limit: 5}); err != nil || len(items) != 0 {
			w.Errorf("headers: %v, %v; want none", items, err)
		}
	})
}
