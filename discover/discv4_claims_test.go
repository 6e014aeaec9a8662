package discover

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/discv4"
	"parley/internal/secp"
	"parley/internal/simnet"
	"parley/rlp"
)

// The rows F8 to F10 of discovery v4 as bytes into the socket of a Service: what is
// believed of the claims of others, about this node, about third ones and about
// themselves.

// Statements about our endpoint that were not asked for are no votes; of those that
// were, each question has one.
func TestF8Votes(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV4)
		lie := discv4.Endpoint{Addr: netip.MustParseAddr("8.8.8.8"), UDP: 53}
		for i := range 12 {
			s := w.v4Stranger(100 + i)
			for j := range 20 { // 40 packets are what a host may send at once
				s.say(a, &discv4.Pong{To: lie, PingHash: [32]byte{byte(i), byte(j)}, Expiration: soon()})
				s.say(a, &discv4.Ping{Version: 4, To: lie, From: discv4.Endpoint{UDP: uint16(j)}, Expiration: soon()})
			}
			s.take()
		}
		if news := a.Take(); len(news.Votes) != 0 || a.Stats().V4.Dropped["unsolicited"] != 240 {
			t.Errorf("unasked: votes %v, dropped %v", news.Votes, a.Stats().V4.Dropped)
		}
		// One that flaps, and says each thing ten times.
		s := w.v4Stranger(200)
		s.bond(a)
		a.Take()
		var want []Vote
		for i := range 8 {
			lie.UDP = uint16(1000 + i)
			want = append(want, Vote{s.at.Addr(), netip.AddrPortFrom(lie.Addr, lie.UDP)})
			done := make(chan error, 1)
			go func() { _, err := a.Ping(context.Background(), s.node()); done <- err }()
			asked := s.asked(a, func(m discv4.Message) bool { return m.Kind() == discv4.KindPing })
			for range 10 {
				s.say(a, &discv4.Pong{To: lie, PingHash: asked.Hash, Expiration: soon()})
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			s.take()
			w.wait(100 * time.Millisecond) // a host known may send 200 packets a second
		}
		if got := a.Take().Votes; !slices.Equal(got, want) {
			t.Errorf("votes %v, want %v", got, want)
		}
	})
}

// findNearest has the service ask the stranger, whose answer is in packets, and
// returns the result.
func (s v4Stranger) findNearest(by *host, parts ...[]discv4.Neighbor) []*enode.Node {
	s.w.t.Helper()
	s.serial++
	target := testKey(s.w.t, 5000+int(s.serial)).Public()
	done := make(chan []*enode.Node, 1)
	go func() {
		nodes, err := by.FindNearest(context.Background(), s.node(), target)
		if err != nil {
			s.w.t.Error(err)
		}
		done <- nodes
	}()
	s.asked(by, func(m discv4.Message) bool { f, ok := m.(*discv4.FindNode); return ok && f.Target == target })
	for _, nodes := range parts {
		s.say(by, &discv4.Neighbors{Nodes: nodes, Expiration: soon()})
	}
	return <-done
}

// Of the nodes that another names, each that cannot be one is dropped by itself, and
// no more than 16 are kept.
func TestF9Neighbors(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV4)
		s := w.v4Stranger(100)
		s.bond(a)
		entry := func(key int, addr string, port uint16) discv4.Neighbor {
			at := discv4.Endpoint{Addr: netip.MustParseAddr(addr), UDP: port, TCP: port}
			return discv4.Neighbor{Endpoint: at, Key: testKey(t, key).Public()}
		}
		good := entry(3000, "8.8.4.4", 1025)
		bad := []discv4.Neighbor{
			entry(0, "8.8.8.8", 30303), // its own ID
			{Endpoint: good.Endpoint, Key: enode.PublicKey{1}},
		}
		for i, addr := range []string{
			"0.0.0.0", "127.0.0.1", "10.0.0.1", "192.168.1.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1",
		} {
			bad = append(bad, entry(3001+i, addr, 30303))
		}
		for i, port := range []uint16{0, 1, 1024} {
			bad = append(bad, entry(3050+i, "8.8.8.8", port))
		}
		for _, b := range bad {
			if got := s.findNearest(a, []discv4.Neighbor{b, good}); len(got) != 1 || got[0].PublicKey() != good.Key {
				t.Errorf("%v with a good one: %v", b.Endpoint, got)
			}
			w.wait(2 * time.Second)
		}
		if got := s.findNearest(a, slices.Repeat([]discv4.Neighbor{good}, 12), nil); len(got) != 1 {
			t.Errorf("12 times the same: %v", got)
		}
		var many []discv4.Neighbor
		for i := range 40 {
			many = append(many, entry(4000+i, netip.AddrFrom4([4]byte{62, byte(i), 0, 1}).String(), 30303))
		}
		if got := s.findNearest(a, many[:13], many[13:26]); len(got) != 16 {
			t.Errorf("13 and 13 nodes: %d kept", len(got))
		}
		w.wait(2 * time.Second)
		before := a.Stats().V4.Dropped["unsolicited"]
		var parts [][]discv4.Neighbor
		for i := range 20 {
			parts = append(parts, many[2*i:2*i+2])
		}
		got := s.findNearest(a, parts...)
		s.take()
		if late := a.Stats().V4.Dropped["unsolicited"] - before; len(got) > 16 || late < 12 {
			t.Errorf("20 packets: %d nodes kept, %d packets unsolicited, want at most 16, at least 12", len(got), late)
		}
		w.wait(2 * time.Second)
		s.take()
		before = a.Stats().V4.Dropped["unsolicited"]
		table := a.Table()
		s.say(a, &discv4.Neighbors{Nodes: []discv4.Neighbor{entry(4900, "9.9.9.9", 30303)}, Expiration: soon()})
		s.take()
		if a.Stats().V4.Dropped["unsolicited"] != before+1 || size(a.Table()) != size(table) {
			t.Error("NEIGHBORS that nobody asked for were used")
		}
		for _, n := range nodesIn(a.Table()) {
			if i := slices.IndexFunc(bad, func(b discv4.Neighbor) bool { return b.Key == n.PublicKey() }); i >= 0 {
				t.Errorf("%v is in the table", bad[i].Endpoint)
			}
		}
	})
}

func nodesIn(table Table) (all []*enode.Node) {
	for _, b := range slices.Concat(table.V4, table.V5) {
		for _, e := range b.Entries {
			all = append(all, e.Node)
		}
	}
	return all
}

func size(table Table) int { return len(nodesIn(table)) }

// A record is good only if it is well formed and signed by the node that was asked.
func TestF10Records(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV4)
		s := w.v4Stranger(100)
		s.bond(a)
		ask := func(record []byte) (*enode.Node, error) {
			t.Helper()
			w.wait(2 * time.Second)
			type result struct {
				n   *enode.Node
				err error
			}
			done := make(chan result, 1)
			go func() {
				n, err := a.RequestENR(context.Background(), s.node())
				done <- result{n, err}
			}()
			p := s.asked(a, func(m discv4.Message) bool { return m.Kind() == discv4.KindENRRequest })
			s.say(a, &discv4.ENRResponse{RequestHash: p.Hash, Record: record})
			r := <-done
			return r.n, r.err
		}
		pair := func(b []byte, key string, value []byte) []byte {
			return rlp.AppendBytes(rlp.AppendString(b, key), value)
		}
		good := nodeOf(t, s.key, 1<<64-1, s.at).Record().Bytes()
		flipped := bytes.Clone(good)
		flipped[10] ^= 1
		public := s.key.Public().Compress()
		id := pair(nil, "id", []byte("v4"))
		all := pair(id, "secp256k1", public[:])
		for name, b := range map[string][]byte{
			"of another node":   nodeOf(t, testKey(t, 7), 1, s.at).Record().Bytes(),
			"with a bad bit":    flipped,
			"empty":             {0xc0},
			"that is a string":  {0x80},
			"of 301 bytes":      rawRecord(t, s.key, 301, all),
			"not sorted":        rawRecord(t, s.key, 0, pair(pair(nil, "secp256k1", public[:]), "id", []byte("v4"))),
			"with a key twice":  rawRecord(t, s.key, 0, slices.Concat(id, all)),
			"without a key":     rawRecord(t, s.key, 0, id),
			"of another scheme": rawRecord(t, s.key, 0, pair(pair(nil, "id", []byte("v5")), "secp256k1", public[:])),
		} {
			before := a.Stats().V4.Dropped["bad record"]
			if n, err := ask(b); !errors.Is(err, ErrRecord) || a.Stats().V4.Dropped["bad record"] != before+1 {
				t.Errorf("a record %s: %v, %v", name, n, err)
			}
		}
		for name, b := range map[string][]byte{"as large as can be": good, "of 300 bytes": rawRecord(t, s.key, 300, all)} {
			if n, err := ask(b); err != nil || n.PublicKey() != s.key.Public() {
				t.Errorf("a good record %s: %v", name, err)
			}
		}
		// 1,000 empty items make no list of nodes.
		items := bytes.Repeat([]byte{0xc0}, 1000)
		list := append(rlp.AppendList(nil, len(items)), items...)
		content := binary.BigEndian.AppendUint32(append(list, 0x84), uint32(soon()))
		s.send(a, sealRaw(t, s.key, byte(discv4.KindNeighbors), append(rlp.AppendList(nil, len(content)), content...)))
		s.take()
		if got := a.Stats().V4.Dropped["malformed"]; got != 1 {
			t.Errorf("1000 empty items: dropped %v", a.Stats().V4.Dropped)
		}
	})
}

// rawRecord signs a record with the given pairs, whatever they are, and pads it to
// a size if that is not 0.
func rawRecord(t *testing.T, key *enode.PrivateKey, size int, pairs []byte) []byte {
	t.Helper()
	for pad := 0; ; pad++ {
		content := append([]byte{9}, pairs...)
		if size > 0 {
			content = rlp.AppendBytes(rlp.AppendString(content, "z"), make([]byte, pad))
		}
		sig, err := key.Sign(secp.Keccak256(append(rlp.AppendList(nil, len(content)), content...)))
		if err != nil {
			t.Fatal(err)
		}
		content = append(rlp.AppendBytes(nil, sig[:64]), content...)
		if b := append(rlp.AppendList(nil, len(content)), content...); size == 0 || len(b) == size {
			return b
		} else if d := size - len(b) - 1; d > pad {
			pad = d - 5 // the headers of strings and lists grow
		}
	}
}

// A newer record is adopted by the table, however great its number is. One that
// points elsewhere does not move the node.
func TestF10Adopted(t *testing.T) {
	for _, c := range []struct {
		name string
		at   string
		seq  uint64
		want uint64
	}{
		{"where it is", "60.0.100.7:30303", 9, 9},
		{"number as great as can be", "60.0.100.7:30303", 1<<64 - 1, 1<<64 - 1},
		{"other IP", "61.0.0.1:30303", 9, 0},
		{"LAN", "10.0.0.1:30303", 9, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: time.Millisecond}, func(w *world) {
				a := w.add(onlyV4)
				s := w.v4Stranger(100)
				record := nodeOf(t, s.key, c.seq, netip.MustParseAddrPort(c.at))
				s.ping(a)
				asked := 0
				for range 3000 {
					w.wait(20 * time.Millisecond)
					for _, p := range s.take() {
						if p.Message.Kind() == discv4.KindENRRequest {
							asked++
						}
						s.polite(a, p, record)
					}
				}
				nodes := nodesIn(a.Table())
				if len(nodes) != 1 || asked == 0 {
					t.Fatalf("table %v, record requested %d times", nodes, asked)
				}
				if at, _ := nodes[0].UDPEndpoint(); at != s.at || nodes[0].Seq() != c.want {
					t.Errorf("node at %v with record %d, want %v, %d", at, nodes[0].Seq(), s.at, c.want)
				}
				if c.want > 0 && asked > 1 {
					t.Errorf("the same record was requested %d times", asked)
				}
			})
		})
	}
}
