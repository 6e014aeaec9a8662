package discover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/internal/discv5"
	"parley/internal/simnet"
)

// The rows G6, G7, G9, G10 and G12 of discovery v5 as bytes into the socket of a
// Service: messages, good and bad, in a session.

// polite answers what the service asks in the session: PING with PONG, FINDNODE with
// no nodes.
func (s *v5Stranger) polite(to *host) {
	s.w.t.Helper()
	for _, p := range s.take() {
		if p.flag() != v5Message {
			continue
		}
		switch m := s.plain(p); m.kind {
		case discv5.KindPing:
			s.send(to, s.message(s.nonce(), v5Pong(m.id, to)).masked(to.node.ID()))
		case discv5.KindFindNode:
			s.send(to, s.message(s.nonce(), v5Nodes(m.id, 1)).masked(to.node.ID()))
		}
	}
}

// Whatever is said in NODES, a call ends within 700 ms with at most 16 nodes, which
// were asked for, of at most 5 packets.
func TestG6Nodes(t *testing.T) {
	// Nodes at distance 256 from the stranger, and some that are not to be kept.
	id := enode.PubkeyID(testKey(t, 100).Public())
	var keys []*enode.PrivateKey
	var near []byte
	for i := 0; len(keys) < 24 || near == nil; i++ {
		key := testKey(t, 8000+i)
		if enode.LogDistance(id, enode.PubkeyID(key.Public())) == 256 {
			keys = append(keys, key)
		} else {
			near = nodeOf(t, key, 1, netip.MustParseAddrPort("62.1.0.1:30303")).Record().Bytes()
		}
	}
	record := func(i int, at string) []byte {
		return nodeOf(t, keys[i], 1, netip.MustParseAddrPort(at)).Record().Bytes()
	}
	lan, loop, low := record(20, "192.168.1.1:30303"), record(21, "127.0.0.1:30303"), record(22, "62.2.0.1:53")
	changed := record(23, "62.3.0.1:30303")
	changed[9]++
	var far [][]byte
	for i := range 20 {
		far = append(far, record(i, fmt.Sprintf("62.0.%d.1:30303", i)))
	}
	for _, c := range []struct {
		name  string
		total uint64
		sends [][][]byte
		nodes int
		waits bool
	}{
		{"total 0", 0, [][][]byte{far[:2]}, 2, false},
		{"total 1", 1, [][][]byte{far[:2], far[2:4]}, 2, false},
		{"total 6", 6, [][][]byte{far[:1], far[1:2], far[2:3], far[3:4], far[4:5], far[5:6]}, 5, false},
		{"total 65535", 65535, [][][]byte{far[:2]}, 2, true},
		{"total 2^64-1", 1<<64 - 1, [][][]byte{far[:2]}, 2, true},
		{"rest never sent", 3, [][][]byte{far[:2], far[2:4]}, 4, true},
		{"nothing sent", 3, nil, 0, true},
		{"too many", 4, [][][]byte{far[:6], far[6:12], far[12:18], far[18:]}, 16, false},
		{"not asked for", 1, [][][]byte{{near, far[0], nodeOf(t, testKey(t, 100), 1, zeroEndpoint).Record().Bytes()}}, 1, false},
		{"twice", 2, [][][]byte{{far[0], far[0]}, {far[0], far[1]}}, 2, false},
		{"where nobody is contacted", 1, [][][]byte{{lan, loop, low, far[0]}}, 1, false},
		{"changed", 1, [][][]byte{{changed, far[0]}}, 1, false},
		{"no record", 1, [][][]byte{{{0xc0}, {0x80}, far[0]}}, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, simnet.Link{}, func(w *world) {
				a := w.add(onlyV5)
				s := w.v5Stranger(100)
				type result struct {
					nodes []*enode.Node
					err   error
				}
				done := make(chan result, 1)
				start := time.Now()
				go func() {
					nodes, err := a.FindNode(context.Background(), s.reachable(), []uint{256})
					done <- result{nodes, err}
				}()
				m := s.accept(a, s.take()[0])
				if m.kind != discv5.KindFindNode {
					t.Fatalf("the stranger is asked %v", m.kind)
				}
				for _, records := range c.sends {
					s.send(a, s.message(s.nonce(), v5Nodes(m.id, c.total, records...)).masked(a.node.ID()))
				}
				synctest.Wait()
				if over := len(done) == 1; over == c.waits {
					t.Errorf("the call is over: %v, want %v", over, !c.waits)
				}
				r := <-done
				// Twice the usual time, because no answer was measured yet.
				if took := time.Since(start); took > 1405*time.Millisecond {
					t.Errorf("the call took %v", took)
				}
				if len(r.nodes) != c.nodes || (r.err == nil) != (len(c.sends) > 0) || r.err != nil && !errors.Is(r.err, ErrTimeout) {
					t.Errorf("%d nodes, %v; want %d", len(r.nodes), r.err, c.nodes)
				}
			})
		})
	}
}

// FINDNODE is answered with at most 16 nodes in at most 5 packets, whatever is asked.
func TestG7FindNode(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV5)
		pad := enr.With("pad", make([]byte, 152))
		var crowd []*v5Stranger
		for i := range 40 {
			s := w.v5Stranger(200 + i)
			s.record = nodeOf(t, s.key, 1, s.at, pad).Record().Bytes()
			if len(s.record) > 300 || len(s.record) < 290 {
				t.Fatalf("a record of %d bytes", len(s.record))
			}
			s.join(a)
			crowd = append(crowd, s)
		}
		for range 300 { // all of them get into the table
			for _, s := range crowd {
				s.polite(a)
			}
			w.wait(50 * time.Millisecond)
		}
		if _, live := a.Table().Live(); live < 20 {
			t.Fatalf("%d live nodes", live)
		}
		s := w.v5Stranger(100)
		s.join(a)
		var all, twice, beyond []uint64
		for d := range uint64(257) {
			all, twice, beyond = append(all, 256-d), append(twice, 256), append(beyond, 257+d)
		}
		for _, c := range []struct {
			name           string
			distances      []uint64
			nodes, packets int
		}{
			{"256 distances", all[:256], 15, 5}, // 3 of 300 bytes fit a packet
			{"257 distances", all, 15, 5},
			{"0 and all others", append([]uint64{0}, all[:256]...), 16, 5},
			{"256 a lot of times", twice, 15, 5},
			{"beyond 256", beyond, 0, 1},
			{"2^64-1 and 0", []uint64{1<<64 - 1, 0, 0}, 1, 1},
			{"none", nil, 0, 1},
			{"an empty bucket", []uint64{3}, 0, 1},
		} {
			seen := make(map[string]int)
			got := s.packets(a, s.message(s.nonce(), v5FindNode([]byte{9}, c.distances...)))
			for _, p := range got {
				m := s.plain(p)
				total, err := m.rest.Uint64()
				if m.kind != discv5.KindNodes || !bytes.Equal(m.id, []byte{9}) || err != nil || total != uint64(c.packets) {
					t.Errorf("%s: %v to %x, total %d, %v", c.name, m.kind, m.id, total, err)
				}
				records, err := m.rest.List()
				if err != nil {
					t.Fatal(err)
				}
				for records.More() {
					raw, err := records.Raw()
					if err != nil {
						t.Fatal(err)
					}
					if seen[string(raw)]++; seen[string(raw)] > 1 {
						t.Errorf("%s: a node is told twice", c.name)
					}
				}
			}
			if len(seen) != c.nodes || len(got) != c.packets {
				t.Errorf("%s: %d nodes in %d packets, want %d in %d", c.name, len(seen), len(got), c.nodes, c.packets)
			}
		}
		// A distance that is no number ends the session with nobody.
		bad := v5Say(discv5.KindFindNode, []byte{1}, []byte{0xc2, 0x81, 0x01})
		s.quiet("not a number", a, s.message(s.nonce(), bad).masked(a.node.ID()), "message")
	})
}

// Request ids come back byte for byte; those of more than 8 bytes do not, and
// neither does anything malformed.
func TestG9RequestID(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(both)
		s := w.v5Stranger(100)
		s.join(a)
		for _, id := range [][]byte{{}, {0}, {0, 0, 7}, {1}, {0x80}, make([]byte, 8), {1, 2, 3, 4, 5, 6, 7, 8}} {
			for _, plain := range [][]byte{v5Ping(id), v5FindNode(id, 0), v5Talk(id, "x")} {
				got := s.packets(a, s.message(s.nonce(), plain))
				if len(got) != 1 {
					t.Fatalf("%v with id %x gets %d packets", discv5.Kind(plain[0]), id, len(got))
				}
				if m := s.plain(got[0]); !bytes.Equal(m.id, id) || m.kind != discv5.Kind(plain[0])+1 {
					t.Errorf("id %x of %v comes back as %x in %v", id, discv5.Kind(plain[0]), m.id, m.kind)
				}
			}
		}
		nine := make([]byte, 9)
		for _, plain := range [][]byte{
			v5Ping(nine), v5FindNode(nine, 0), v5Talk(nine, "x"), v5Nodes(nine, 1), v5Pong(nine, a),
			{}, {0}, {7, 0xc0}, {255, 0xc0}, {1}, {1, 0xc0}, {1, 0xc1, 1}, {1, 0xc2, 1, 1, 0}, {3, 0xc2, 1, 1}, {1, 0xc3, 1, 0x81, 1},
		} {
			s.quiet(fmt.Sprintf("%x", plain), a, s.message(s.nonce(), plain).masked(a.node.ID()), "message")
		}
	})
}

// What was received once has no second effect, and a packet with a changed bit none
// at all.
func TestG10Replay(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV5)
		own := a.node.ID()
		var handled atomic.Int32
		a.RegisterTalkHandler("x", func(context.Context, Talk) []byte { handled.Add(1); return []byte("y") })
		s := w.v5Stranger(100)
		s.join(a)
		talk := s.message(s.nonce(), v5Talk([]byte{1}, "x"))
		if got := s.packets(a, talk); len(got) != 1 || s.plain(got[0]).kind != discv5.KindTalkResp {
			t.Fatalf("TALKREQ gets %d packets", len(got))
		}
		for range 20 {
			s.quiet("replayed TALKREQ", a, talk.masked(own), "replay")
		}
		nonce := s.nonce()
		if got := s.packets(a, s.message(nonce, v5Ping([]byte{2}))); len(got) != 1 {
			t.Fatalf("PING gets %d packets", len(got))
		}
		s.quiet("the same nonce with another message", a, s.message(nonce, v5Ping([]byte{3})).masked(own), "replay")
		if got := handled.Load(); got != 1 {
			t.Errorf("%d requests reached the application, want 1", got)
		}

		fresh := s.message(s.nonce(), v5Ping([]byte{4}))
		data := fresh.masked(own)
		before := a.Stats().V5
		for bit := range len(data) * 8 {
			flipped := bytes.Clone(data)
			flipped[bit/8] ^= 1 << (bit % 8)
			s.send(a, flipped)
			for _, got := range s.receive() {
				if len(got) > len(data) {
					t.Fatalf("bit %d: answered with %d bytes", bit, len(got))
				}
			}
		}
		if after := a.Stats().V5; after.MessagesIn["PING"] != before.MessagesIn["PING"] || after.Sessions != 1 {
			t.Errorf("packets with a changed bit: %d were read", after.MessagesIn["PING"]-before.MessagesIn["PING"])
		}
		if got := s.packets(a, fresh); len(got) != 1 || s.plain(got[0]).kind != discv5.KindPong {
			t.Error("the session does not survive")
		}

		// Answers to calls: not by another node, and not twice.
		done := make(chan error, 1)
		go func() { _, err := a.Ping(context.Background(), s.reachable()); done <- err }()
		m := s.plain(s.take()[0])
		other := w.v5Stranger(101)
		other.join(a)
		other.quiet("PONG of another node", a, other.message(other.nonce(), v5Pong(m.id, a)).masked(own), "no call")
		s.quiet("NODES for a PING", a, s.message(s.nonce(), v5Nodes(m.id, 1)).masked(own), "no call")
		pong := s.message(s.nonce(), v5Pong(m.id, a)).masked(own)
		s.send(a, pong)
		if err := <-done; err != nil {
			t.Errorf("Ping: %v", err)
		}
		s.take()
		s.quiet("the PONG again", a, pong, "replay")
		s.quiet("another PONG", a, s.message(s.nonce(), v5Pong(m.id, a)).masked(own), "no call")
		if votes := a.Take().Votes; len(votes) != 1 {
			t.Errorf("votes %v, want one", votes)
		}
	})
}

// Calls to a node that is not there are bounded, and fail at once or with the first.
// So are those to many that are not there.
func TestG12Calls(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a, b := w.add(onlyV5), w.add(onlyV5)
		dead := w.stranger(100)
		// An answer was measured, so nothing waits for longer than usual.
		if _, err := a.Ping(context.Background(), b.node); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := a.Stats().V5
		const waiting, most = 65, 4096
		ended := make(chan error, 2*most)
		ping := func(n *enode.Node) { _, err := a.Ping(context.Background(), n); ended <- err }
		for range waiting {
			go ping(dead.reachable())
		}
		synctest.Wait()
		start := time.Now()
		for range 5000 {
			if _, err := a.Ping(context.Background(), dead.reachable()); !errors.Is(err, ErrBusy) {
				t.Fatalf("one more call: %v, want ErrBusy", err)
			}
		}
		if st := a.Stats().V5; time.Since(start) != 0 || st.Calls != waiting || st.PacketsOut != before.PacketsOut+1 || before.Calls != 0 {
			t.Errorf("5000 calls too many took %v; %d calls, %d before, %d packets; want none, %d, none, 1",
				time.Since(start), st.Calls, before.Calls, st.PacketsOut-before.PacketsOut, waiting)
		}
		for range waiting {
			if err := <-ended; !errors.Is(err, ErrTimeout) {
				t.Errorf("a call to a dead node: %v", err)
			}
		}
		if took := time.Since(start); took > 705*time.Millisecond {
			t.Errorf("the calls end after %v", took)
		}
		for i := range most + 100 {
			at := netip.AddrFrom4([4]byte{63, byte(i >> 8), byte(i), 1})
			go ping(enode.NewV4(dead.key.Public(), at, 0, 30303))
		}
		synctest.Wait()
		if st := a.Stats().V5; st.Calls != most || len(ended) != 100 {
			t.Errorf("%d calls wait, %d failed; want %d, 100", st.Calls, len(ended), most)
		}
		var results []string
		for range most + 100 {
			err := <-ended
			results = append(results, fmt.Sprint(errors.Is(err, ErrBusy), errors.Is(err, ErrTimeout)))
		}
		slices.Sort(results)
		if got := slices.Compact(slices.Clone(results)); !slices.Equal(got, []string{"false true", "true false"}) {
			t.Errorf("the calls end with %v", got)
		}
		if st := a.Stats().V5; st.Calls != 0 {
			t.Errorf("%d calls are left", st.Calls)
		}
	})
}
