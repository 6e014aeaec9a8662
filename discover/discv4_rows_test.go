package discover

import (
	"bytes"
	"context"
	"math"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/enr"
	"parley/internal/discv4"
	"parley/internal/simnet"
)

// The rows F1 to F6 of discovery v4 as bytes into the socket of a Service: what a
// packet must be to be heard, and who is answered.

// An expiration is good from now to five minutes from now, and nothing overflows.
func TestF1Expiration(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV4)
		now := uint64(time.Now().Unix())
		for i, c := range []struct {
			name    string
			exp     uint64
			dropped string
		}{
			{"now", now, ""},
			{"in 20 s", now + 20, ""},
			{"in 5 min", now + 300, ""},
			{"in 5 min and 1 s", now + 301, "far future"},
			{"1 s ago", now - 1, "expired"},
			{"20 s ago", now - 20, "expired"},
			{"0", 0, "expired"},
			{"2^63-1", math.MaxInt64, "far future"},
			{"2^64-1", math.MaxUint64, "far future"},
		} {
			s := w.v4Stranger(100 + i)
			s.bond(a)
			before := a.Stats().V4.Dropped[c.dropped]
			for m, answer := range map[discv4.Message]discv4.Kind{
				&discv4.Ping{Version: 4, Expiration: c.exp}: discv4.KindPong,
				&discv4.FindNode{Expiration: c.exp}:         discv4.KindNeighbors,
				&discv4.ENRRequest{Expiration: c.exp}:       discv4.KindENRResponse,
			} {
				s.say(a, m)
				if c.dropped == "" {
					s.expect(c.name, answer)
				} else {
					s.expect(c.name)
				}
			}
			// An answer too: an old one does not end a call.
			ended := make(chan error, 1)
			ctx, cancel := context.WithCancel(context.Background())
			go func() { _, err := a.Ping(ctx, s.node()); ended <- err }()
			asked := s.expect(c.name+": Ping", discv4.KindPing)
			s.say(a, &discv4.Pong{PingHash: asked[0].Hash, Expiration: c.exp})
			synctest.Wait()
			if over := len(ended) == 1; over != (c.dropped == "") {
				t.Errorf("PONG that expires %s: ended the call: %v", c.name, over)
			}
			cancel()
			<-ended
			if got := a.Stats().V4.Dropped[c.dropped] - before; c.dropped != "" && got != 4 {
				t.Errorf("%s: %d of 4 packets dropped as %s", c.name, got, c.dropped)
			}
		}
	})
}

// Junk goes into the socket and nothing comes out; each is counted for its reason,
// and the service lives.
func TestF2Junk(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(both)
		s := w.v4Stranger(100)
		try := func(name, reason string, data []byte) {
			t.Helper()
			before := a.Stats().V4.Dropped[reason]
			s.send(a, data)
			s.expect(name)
			if a.Stats().V4.Dropped[reason] != before+1 {
				t.Errorf("%s: dropped %v, want one more for %q", name, a.Stats().V4.Dropped, reason)
			}
		}
		good, _, err := discv4.Seal(s.key, &discv4.Ping{Version: 4, Expiration: soon()})
		if err != nil {
			t.Fatal(err)
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 0x10
			try("one bit flipped", "wrong hash", bad)
		}
		for _, kind := range []byte{0, 7, 255} {
			try("kind", "unknown kind", sealRaw(t, s.key, kind, []byte{0xc0}))
		}
		// The gate has had enough of one host by its packets with a good hash.
		for i, c := range []struct {
			name string
			at   int
			to   []byte
		}{
			{"recovery id 4", 96, []byte{4}}, {"recovery id 255", 96, []byte{255}},
			{"r of zero", 32, make([]byte, 32)}, {"s of zero", 64, make([]byte, 32)},
			{"s above N", 64, bytes.Repeat([]byte{255}, 32)},
		} {
			s = w.v4Stranger(101 + i)
			bad := bytes.Clone(good)
			copy(bad[c.at:], c.to)
			try(c.name, "bad signature", rehash(bad))
		}
		for i, content := range [][]byte{{0x80}, {0xc0}, {0xf8, 0xff}, {0xc2, 0x81, 0x01}} {
			s = w.v4Stranger(110 + i)
			try("content", "malformed", sealRaw(t, s.key, 1, content))
		}
		s.send(a, good)
		s.expect("the good one", discv4.KindPong, discv4.KindPing)
	})
}

// A packet is 99 to 1280 bytes long. One that is longer is not read as its
// beginning.
func TestF3Length(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(both)
		s := w.v4Stranger(100)
		data, _, err := discv4.Seal(s.key, &discv4.Ping{Version: 4, Expiration: soon()})
		if err != nil {
			t.Fatal(err)
		}
		ping := data[98:]
		full := sealRaw(t, s.key, 1, append(bytes.Clone(ping), make([]byte, 1280-98-len(ping))...))
		for _, c := range []struct {
			name, dropped string
			data          []byte
		}{
			{"0", "too short", nil},
			{"97", "too short", make([]byte, 97)},
			{"98", "too short", full[:98]},
			{"99", "wrong hash", make([]byte, 99)},
			{"1281", "too long", sealRaw(t, s.key, 1, append(bytes.Clone(ping), make([]byte, 1281-98-len(ping))...))},
			{"1280 and one more", "too long", append(bytes.Clone(full), 0)},
			{"65507", "too long", append(bytes.Clone(full), make([]byte, 65507-1280)...)},
		} {
			s.send(a, c.data)
			s.expect(c.name + " bytes")
			if got := a.Stats().V4.Dropped[c.dropped]; got == 0 {
				t.Errorf("%s bytes: not dropped as %s: %v", c.name, c.dropped, a.Stats().V4.Dropped)
			}
		}
		if got := a.Stats().V4.Dropped["too long"]; got != 3 {
			t.Errorf("%d of 3 packets dropped as too long", got)
		}
		s.send(a, full)
		s.expect("1280 bytes", discv4.KindPong, discv4.KindPing)
	})
}

// Only who proved an ID at an IP and port within 12 hours is answered.
func TestF4Unbonded(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV4)
		s := w.v4Stranger(100)
		// ask asks for nodes and for the record, and wants both or neither.
		ask := func(what string, from v4Stranger, want bool) {
			t.Helper()
			s.serial++
			from.say(a, &discv4.FindNode{Target: testKey(t, int(s.serial)).Public(), Expiration: soon()})
			from.say(a, &discv4.ENRRequest{Expiration: soon() + uint64(s.serial)})
			got := make(map[discv4.Kind]int)
			for _, p := range from.take() {
				got[p.Message.Kind()]++
			}
			nodes, records, n := got[discv4.KindNeighbors], got[discv4.KindENRResponse], 0
			if want {
				n = 1
			}
			if nodes != n || records != n {
				t.Errorf("%s: %d NEIGHBORS, %d ENRRESPONSE, want %d of each", what, nodes, records, n)
			}
		}
		ask("a stranger", s, false)
		if s.n != 0 {
			t.Errorf("%d packets to a stranger", s.n)
		}
		s.bond(a)
		bonded := time.Now()
		ask("another port", v4Stranger{s.beside(30304)}, false)
		ask("another IP", v4Stranger{w.stranger(101).under(s.key)}, false)
		ask("another key", v4Stranger{s.under(testKey(t, 101))}, false)
		if got := a.Stats().V4.Dropped["no endpoint proof"]; got != 8 {
			t.Errorf("%d of 8 dropped for want of a proof", got)
		}
		ask("with a proof", s, true)
		w.wait(12*time.Hour - time.Since(bonded) - time.Second)
		s.take()
		ask("1 s before the end of 12 h", s, true)
		w.wait(2 * time.Second)
		s.take()
		ask("1 s after 12 h", s, false)
	})
}

// A proof is a PONG with the hash of a PING of ours, from where that was sent, and
// once.
func TestF5Pong(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV4)
		s := w.v4Stranger(100)
		s.ping(a)
		hash := s.expect("PING of a stranger", discv4.KindPong, discv4.KindPing)[1].Hash
		wrong := hash
		wrong[0] ^= 1
		lie := discv4.Endpoint{Addr: netip.MustParseAddr("8.8.8.8"), UDP: 53}
		for i, c := range []struct {
			name string
			from *stranger
			hash [32]byte
		}{
			{"wrong hash", s.stranger, wrong},
			{"zero hash", s.stranger, [32]byte{}},
			{"other IP", w.stranger(101).under(s.key), hash},
			{"other port", s.beside(30304), hash},
			{"other key", s.under(testKey(t, 101)), hash},
		} {
			v4Stranger{c.from}.say(a, &discv4.Pong{To: lie, PingHash: c.hash, Expiration: soon()})
			s.expect(c.name)
			st := a.Stats().V4
			if news := a.Take(); st.Bonds != 0 || len(news.Votes)+len(news.Proven) != 0 || st.Dropped["unsolicited"] != uint64(i+1) {
				t.Errorf("%s: %d bonds, news %v, dropped %v", c.name, st.Bonds, news, st.Dropped)
			}
		}
		good := s.say(a, &discv4.Pong{To: lie, PingHash: hash, Expiration: soon()})
		s.expect("PONG")
		if st, news := a.Stats().V4, a.Take(); st.Bonds != 1 || len(news.Votes) != 1 || len(news.Proven) != 1 || news.Proven[0].ID() != s.node().ID() {
			t.Errorf("the true PONG: %d bonds, news %v; want one of each", st.Bonds, news)
		}
		s.send(a, good)
		s.expect("PONG again")
		if news := a.Take(); len(news.Votes)+len(news.Proven) != 0 || a.Stats().V4.Dropped["unsolicited"] != 6 {
			t.Errorf("a PONG counts twice: news %v, dropped %v", news, a.Stats().V4.Dropped)
		}
	})
}

// A packet with a spoofed source causes one PONG of at most one and a half times
// its size and one PING; its replays, from there or elsewhere, nothing.
func TestF6Amplification(t *testing.T) {
	for _, from := range []string{"61.0.0.1", "2607:f8b0::1"} {
		t.Run(from, func(t *testing.T) {
			inWorld(t, simnet.Link{}, func(w *world) {
				a := w.addAt(func(c *Config) {
					both(c)
					// A record number as large as can be makes the largest PONG.
					c.Self = nodeOf(t, c.PrivateKey, math.MaxUint64, netip.MustParseAddrPort("60.0.0.7:30303"), enr.With("x", "y"))
				}, netip.MustParseAddr("60.0.0.7"), netip.MustParseAddr("2a00::7"))
				m, conn, _ := w.machineAt(100, netip.MustParseAddr(from))
				defer conn.Close()
				s := v4Stranger{&stranger{w: w, key: testKey(t, 100), host: m, conn: conn, at: m.AddrPort(30303)}}

				data := s.say(a, &discv4.Ping{Expiration: soon()}) // the smallest PING
				s.send(a, data)                                    // while the first is being opened
				got := s.expect("PING of a stranger", discv4.KindPong, discv4.KindPing)
				if len(got) > 0 && 2*got[0].Size > 3*len(data) {
					t.Errorf("PING of %d bytes, PONG of %d", len(data), got[0].Size)
				}
				for range 1000 {
					s.send(a, data)
				}
				s.expect("1000 replays")
				elsewhere := w.v4Stranger(101)
				elsewhere.send(a, data)
				elsewhere.expect("a replay from elsewhere")
				if got := a.Stats().V4.Dropped["replay"]; got != 1002 {
					t.Errorf("%d of 1002 dropped as replays", got)
				}
				if news := a.Take(); len(news.Votes)+len(news.Proven) != 0 {
					t.Errorf("a stranger made news: %v", news)
				}
			})
		})
	}
}

// A PING comes back only for a PING, two seconds apart, three times in a minute.
func TestF6PingBack(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV4)
		s := w.v4Stranger(100)
		pongs := 0
		var pings []time.Time
		for range 119 {
			s.ping(a)
			for _, p := range s.take() {
				switch p.Message.Kind() {
				case discv4.KindPong:
					pongs++
				case discv4.KindPing:
					pings = append(pings, time.Now())
				default:
					t.Errorf("%v for a PING", p.Message.Kind())
				}
			}
			w.wait(500 * time.Millisecond)
		}
		if pongs != 119 || len(pings) != 3 {
			t.Errorf("119 PINGs in a minute: %d PONGs, %d PINGs, want 119 and 3", pongs, len(pings))
		}
		for i := range pings[min(1, len(pings)):] {
			if d := pings[i+1].Sub(pings[i]); d < 2*time.Second {
				t.Errorf("PINGs %v apart", d)
			}
		}
		w.wait(time.Minute)
		s.expect("no PING, in a minute")
		// Whoever asks for anything else is not asked in return.
		s = w.v4Stranger(101)
		s.say(a, &discv4.FindNode{Expiration: soon()})
		s.say(a, &discv4.ENRRequest{Expiration: soon()})
		s.expect("FINDNODE and ENRREQUEST of a stranger")
	})
}

// One source that floods gets 40 answers at once and 10 a second, by the budget of
// a host.
func TestF6OneSource(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(both)
		s := w.v4Stranger(100)
		sent := 0
		for range 400 {
			sent += len(s.ping(a))
		}
		kinds := []discv4.Kind{}
		for _, p := range s.take() {
			kinds = append(kinds, p.Message.Kind())
		}
		if len(kinds) != 41 || slices.Index(kinds, discv4.KindPing) != 1 || 2*s.in > 3*sent {
			t.Errorf("%d packets, %d bytes for %d; want 40 PONGs and a PING: %v", s.n, s.in, sent, kinds)
		}
		if got := a.Stats().V4.Dropped["host rate"]; got != 360 {
			t.Errorf("%d of 360 dropped for the rate of a host", got)
		}
	})
}
