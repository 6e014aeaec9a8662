package eth

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"parley/p2p"
	"parley/rlp"
)

// eachVersion runs a test in a bubble of virtual time for every version.
func eachVersion(t *testing.T, f func(t *testing.T, version uint)) {
	for v := uint(MinVersion); v <= MaxVersion; v++ {
		t.Run(fmt.Sprintf("eth%d", v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, v) })
		})
	}
}

// Two nodes of one chain exchange Status at once and stay connected; each knows
// what the other told, and admin_peers shows it in the form of the version.
func TestConfiguredMeetsConfigured(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint) {
		start := time.Now()
		other := testConfig()
		other.Earliest, other.Head.Number, other.Head.Hash = 100, 500, Hash{5}
		a, b := newService(t, testConfig()), newService(t, other)
		left, right := p2p.MsgPipe()
		sa, sb := serve(t, a, version, 2, left), serve(t, b, version, 1, right)
		synctest.Wait()

		pa, ok := a.Peer(sa.conn.ID())
		if !ok || time.Since(start) != 0 {
			t.Fatalf("no session at once: %v after %v", ok, time.Since(start))
		}
		want := BlockRange{Earliest: 100, Latest: 500, LatestHash: Hash{5}}
		info := `{"version":` + fmt.Sprint(version) + `,"earliestBlock":100,"latestBlock":500,"latestBlockHash":"` + Hash{5}.String() + `"}`
		if version == 68 {
			want.Earliest, want.Latest = 0, 0
			info = `{"version":68,"difficulty":131072,"head":"` + Hash{5}.String() + `"}`
		}
		if pa.Version() != version || pa.BlockRange() != want {
			t.Errorf("peer %v with range %+v, want eth/%d with %+v", pa, pa.BlockRange(), version, want)
		}
		if st := pa.Status(); st.Network != other.Network || st.Genesis != other.Genesis || st.Version != version {
			t.Errorf("status %+v", st)
		}
		if got, err := json.Marshal(a.peerInfo(pa.ID())); err != nil || string(got) != info {
			t.Errorf("peer info %s, %v\nwant %s", got, err, info)
		}
		if n := a.Stats().Peers[version]; n != 1 {
			t.Errorf("%d sessions of eth/%d, want 1", n, version)
		}

		<-time.After(24 * time.Hour) // nothing is due
		if _, ok := b.Peer(sb.conn.ID()); !ok {
			t.Error("session ended by itself")
		}
		sa.conn.Disconnect(p2p.DiscQuitting)
		sa.wait()
		right.Close()
		sb.wait()
		if n := len(a.Peers()) + len(b.Peers()); n != 0 || a.peerInfo(pa.ID()) != nil {
			t.Errorf("%d peers are left", n)
		}
	})
}

// A mirror says what the other side says, but claims no block except the genesis.
func TestMirrorMeetsConfigured(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint) {
		cfg := testConfig()
		mirror, chain := newService(t, mirrorConfig()), newService(t, cfg)
		left, right := p2p.MsgPipe()
		sm, sc := serve(t, mirror, version, 2, left), serve(t, chain, version, 1, right)
		synctest.Wait()

		p, ok := chain.Peer(sc.conn.ID())
		if !ok {
			t.Fatal("the configured node refused the mirror")
		}
		got, want := p.Status(), Status{
			Version: version,
			Network: cfg.Network,
			Genesis: cfg.Genesis,
			ForkID:  cfg.Forks.ID(cfg.Genesis, cfg.Head),
			Range:   BlockRange{LatestHash: cfg.Genesis},
		}
		if got.TotalDifficulty != nil && got.TotalDifficulty.Sign() == 0 {
			got.TotalDifficulty = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the mirror said %+v, want %+v", got, want)
		}
		if p, ok := mirror.Peer(sm.conn.ID()); !ok || p.BlockRange().LatestHash != cfg.Head.Hash {
			t.Error("the mirror did not take the other side's status")
		}
		left.Close()
		sm.wait()
		sc.wait()
	})
}

// Two mirrors have nothing to say to each other: after exactly a second they part as
// useless peers. Both come to this at the same time; one of them may see the other's
// end first.
func TestMirrorMeetsMirror(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint) {
		a, b := newService(t, mirrorConfig()), newService(t, mirrorConfig())
		left, right := p2p.MsgPipe()
		late := 0
		sa, sb := serve(t, a, version, 2, left), serve(t, b, version, 1, right)
		for _, x := range []struct {
			*session
			service *Service
		}{{sa, a}, {sb, b}} {
			err := x.wait()
			switch refused := x.service.Stats().Refused; {
			case x.ended != time.Second:
				t.Errorf("ended after %v with %v, want 1s", x.ended, err)
			case errors.Is(err, ErrStatusTimeout):
				late++
				if x.reason != p2p.DiscUselessPeer || !reflect.DeepEqual(refused, map[string]uint64{"timeout": 1}) {
					t.Errorf("ended with %v, refused %v; want %v and one timeout", x.reason, refused, p2p.DiscUselessPeer)
				}
			case !errors.Is(err, p2p.ErrPipeClosed):
				t.Errorf("ended with %v, want %v", err, ErrStatusTimeout)
			}
		}
		if late == 0 {
			t.Error("nobody found the other one late")
		}
	})
}

// P8 of ADVERSARIES.md: a Status that is late, doubled, of another chain or too
// large ends the session within 5 s, with the right reason and in plain words.
func TestP8(t *testing.T) {
	cfg := testConfig()
	ours := cfg.Forks.ID(cfg.Genesis, cfg.Head)
	for _, tt := range []struct {
		name   string
		change func(*Status)
		want   error
		reason p2p.DiscReason
		cause  string
		text   string
	}{
		{"network", func(s *Status) { s.Network = 1 }, ErrNetworkMismatch, p2p.DiscSubprotocolError, "network",
			"eth: network mismatch: ours 3503995874084926, theirs 1"},
		{"genesis", func(s *Status) { s.Genesis = Mainnet().Genesis }, ErrGenesisMismatch, p2p.DiscSubprotocolError, "genesis",
			"eth: genesis mismatch: ours 0x1518c33d…, theirs 0xd4e56740…"},
		{"fork", func(s *Status) { s.ForkID = ForkID{Hash: 0xdeadbeef} }, ErrLocalStale, p2p.DiscSubprotocolError, "forkid",
			"eth: fork id incompatible: another chain, or local needs a software update: ours " + ours.String() + ", theirs 0xdeadbeef,0"},
		{"stale fork", func(s *Status) { s.ForkID = cfg.Forks.ID(cfg.Genesis, Head{}); s.ForkID.Next = 0 }, ErrRemoteStale, p2p.DiscSubprotocolError, "forkid",
			"eth: fork id incompatible: remote needs a software update: ours " + ours.String() + ", theirs " + ForkID{Hash: cfg.Forks.ID(cfg.Genesis, Head{}).Hash}.String()},
		{"version", func(s *Status) { s.Version = s.Version - 60 }, ErrVersionMismatch, p2p.DiscProtocolError, "version", ""},
		{"zero latest hash", func(s *Status) { s.Range.LatestHash = Hash{} }, ErrBlockRange, p2p.DiscProtocolError, "range", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, version uint) {
				s := newService(t, testConfig())
				r := connect(t, s, version, 1)
				r.read()
				status := theirStatus(version)
				form := *status
				tt.change(&form)
				if tt.name == "version" { // in the form of the session all the same
					b := encode(t, status)
					b[2] = byte(form.Version)
					if err := r.rw.WriteMsg(p2p.Msg{Code: StatusMsg, Payload: b}); err != nil {
						t.Fatal(err)
					}
				} else {
					r.send(StatusMsg, &form)
				}
				r.wantEnd(tt.want, tt.reason)
				if tt.text != "" && r.err.Error() != tt.text {
					t.Errorf("error text %q\nwant %q", r.err, tt.text)
				}
				if r.ended != 0 {
					t.Errorf("ended after %v, want at once", r.ended)
				}
				if got := s.Stats(); !reflect.DeepEqual(got.Refused, map[string]uint64{tt.cause: 1}) || got.Sessions != 0 {
					t.Errorf("refused %v after %d sessions, want one for %s", got.Refused, got.Sessions, tt.cause)
				}
			})
		})
	}
	t.Run("network without reading ours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := connect(t, newService(t, testConfig()), 69, 1)
			status := theirStatus(69)
			status.Network = 1
			r.send(StatusMsg, status)
			r.wantEnd(ErrNetworkMismatch, p2p.DiscSubprotocolError)
			if r.ended != statusGrace {
				t.Errorf("ended after %v, want %v: ours is still to go out", r.ended, statusGrace)
			}
		})
	})
	t.Run("late", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version uint) {
			r := connect(t, newService(t, testConfig()), version, 1)
			r.read()
			r.wantEnd(ErrStatusTimeout, p2p.DiscReadTimeout)
			if r.ended != 5*time.Second {
				t.Errorf("ended after %v, want 5s", r.ended)
			}
		})
	})
	t.Run("late without reading ours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := connect(t, newService(t, testConfig()), 69, 1)
			r.wantEnd(ErrStatusTimeout, p2p.DiscReadTimeout)
			if r.ended != 5*time.Second {
				t.Errorf("ended after %v, want 5s", r.ended)
			}
		})
	})
	t.Run("just in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, testConfig())
			r := connect(t, s, 69, 1)
			r.read()
			<-time.After(5*time.Second - 1)
			r.send(StatusMsg, theirStatus(69))
			r.roundTrip()
			<-time.After(time.Minute)
			if len(s.Peers()) != 1 {
				t.Error("a status after 4.999… s ended the session")
			}
			r.close()
		})
	})
	t.Run("twice", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version uint) {
			s := newService(t, testConfig())
			r := connect(t, s, version, 1)
			r.greet(s)
			r.send(StatusMsg, theirStatus(version))
			r.wantEnd(ErrExtraStatus, p2p.DiscProtocolError)
		})
	})
	t.Run("10 MiB and 1", func(t *testing.T) {
		for _, before := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, testConfig())
				r := connect(t, s, 69, 1)
				code := uint64(StatusMsg)
				if before {
					r.read()
				} else {
					r.greet(s)
					code = TransactionsMsg
				}
				if err := r.rw.WriteMsg(p2p.Msg{Code: code, Payload: make([]byte, MaxMessageSize+1)}); err != nil {
					t.Fatal(err)
				}
				r.wantEnd(ErrMessageSize, p2p.DiscProtocolError)
			})
		}
		// And before it is inflated, by the limit that the Server enforces.
		for _, p := range newService(t, testConfig()).Protocols() {
			if p.MaxMsgSize != 10<<20 {
				t.Errorf("%v: MaxMsgSize %d, want 10 MiB", p.Cap(), p.MaxMsgSize)
			}
		}
	})
}

// From eth/69 on, a Status whose range ends before it begins is refused, by a
// mirror too.
func TestStatusRange(t *testing.T) {
	for _, cfg := range []Config{testConfig(), mirrorConfig()} {
		synctest.Test(t, func(t *testing.T) {
			r := connect(t, newService(t, cfg), 70, 1)
			if !cfg.Mirror {
				r.read()
			}
			status := theirStatus(70)
			status.Range.Earliest = status.Range.Latest + 1
			r.send(StatusMsg, status)
			r.wantEnd(ErrBlockRange, p2p.DiscProtocolError)
		})
	}
}

// The first message must be Status, and one that can be read.
func TestFirstMessage(t *testing.T) {
	for _, cfg := range []Config{testConfig(), mirrorConfig()} {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, cfg)
			r := connect(t, s, 69, 1)
			if !cfg.Mirror {
				r.read()
			}
			r.send(GetBlockHeadersMsg, []any{uint(1), []any{uint(0), uint(1), uint(0), uint(0)}})
			r.wantEnd(ErrNoStatus, p2p.DiscProtocolError)
			if want := "eth: first message is not status but GetBlockHeaders"; r.err.Error() != want {
				t.Errorf("error text %q, want %q", r.err, want)
			}

			r = connect(t, s, 69, 1)
			if !cfg.Mirror {
				r.read()
			}
			r.send(StatusMsg, []any{uint(69)})
			r.wantEnd(rlp.ErrTooFewElements, p2p.DiscProtocolError)
			if got := s.Stats().Refused["malformed"]; got != 2 {
				t.Errorf("%d counted as malformed, want 2", got)
			}
		})
	}
	// A genesis hash of zeros is nothing to mirror.
	synctest.Test(t, func(t *testing.T) {
		r := connect(t, newService(t, mirrorConfig()), 69, 1)
		status := theirStatus(69)
		status.Genesis = Hash{}
		r.send(StatusMsg, status)
		r.wantEnd(ErrGenesisMismatch, p2p.DiscProtocolError)
	})
}

// A connection that ends during the handshake leaves nothing behind.
func TestHandshakeCut(t *testing.T) {
	for _, cfg := range []Config{testConfig(), mirrorConfig()} {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, cfg)
			r := connect(t, s, 69, 1)
			<-time.After(time.Second / 2)
			r.rw.Close()
			if err := r.wait(); !errors.Is(err, p2p.ErrPipeClosed) || r.ended != time.Second/2 {
				t.Errorf("ended after %v with %v", r.ended, err)
			}
			if got := s.Stats().Refused; !reflect.DeepEqual(got, map[string]uint64{"peer": 1}) {
				t.Errorf("refused %v, want one by the peer", got)
			}
		})
	}
}
