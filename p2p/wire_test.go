package p2p

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"

	"parley/internal/simnet"
	"parley/rlpx"
)

// An outcome is all that the other side of a connection learns: how many bytes it
// was sent, and how long after its own last byte the connection ended.
type outcome struct {
	answered uint64
	after    time.Duration
}

// hangs is how long a byte and its answer are on the way.
const hangs = 20 * time.Millisecond

// offer sends raw to the server from a new connection and reads to the end.
func (s *testServer) offer(host *simnet.Host, raw []byte) outcome {
	s.w.Helper()
	fd := s.dialFrom(host)
	defer fd.Close()
	began := time.Now()
	if _, err := fd.Write(raw); err != nil {
		s.w.Error(err)
	}
	return untilClosed(fd, began)
}

// untilClosed reads to the end of a connection.
func untilClosed(fd net.Conn, began time.Time) (o outcome) {
	fd.SetReadDeadline(began.Add(time.Hour))
	buf := make([]byte, 8192)
	for {
		n, err := fd.Read(buf)
		o.answered += uint64(n)
		if err != nil {
			o.after = time.Since(began)
			return o
		}
	}
}

// wantNothingHeld checks that failed connections left nothing behind.
func (s *testServer) wantNothingHeld() {
	s.w.Helper()
	s.w.pass(time.Second)
	if st := s.Stats(); st.PendingIn != 0 || st.PendingOut != 0 || st.Peers != 0 || st.Buffered != 0 {
		s.w.Errorf("%d handshakes in, %d out, %d peers, %d bytes are left; want none", st.PendingIn, st.PendingOut, st.Peers, st.Buffered)
	}
}

// B1: an auth that is cut off at any byte, with the connection kept open, gets no
// answer and is closed 5 s after it was accepted; if its sender hangs up, nothing
// stays either.
func TestB1TruncatedAuth(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.MaxPendingPeers = 1000 })
		host := w.net.Host(privateAddr(600))
		auth := sealTo(s.PrivateKey.Public(), packetBody(authFields(50, s.PrivateKey.Public()), 4))
		results := make(chan outcome, len(auth))
		for n := range len(auth) {
			go func() { results <- s.offer(host, auth[:n]) }()
			gone := s.dialFrom(host)
			gone.Write(auth[:n])
			gone.Close()
		}
		w.pass(4 * time.Second)
		if st := s.Stats(); st.PendingIn > len(auth) || st.Buffered > int64(len(auth))*8<<10 {
			t.Errorf("%d handshakes in flight hold %d bytes, want at most %d and 8 KiB each", st.PendingIn, st.Buffered, len(auth))
		}
		for range auth {
			if got, want := <-results, (outcome{0, setupTimeout + hangs}); got != want {
				t.Errorf("%d bytes answered, closed after %v; want %d and %v", got.answered, got.after, want.answered, want.after)
			}
		}
		s.wantNothingHeld()
	})
}

// B2 to B9, B16: every auth that cannot be accepted, for whatever reason, is
// answered with nothing and closed at once: the sender cannot tell why.
func TestB2ToB9BadAuth(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		to := s.PrivateKey.Public()
		host := w.net.Host(privateAddr(600))
		fields := authFields(50, to)
		packets := badPackets(to, fields, 1)
		for name, p := range badSignatures(to, fields) {
			packets[name] = p
		}
		for name, p := range packets {
			if got, want := s.offer(host, p), (outcome{0, hangs}); got != want {
				t.Errorf("%s: %d bytes answered, closed after %v; want %d and %v", name, got.answered, got.after, want.answered, want.after)
			}
		}
		st := s.Stats()
		if got := st.Refused[GateRLPx]; got != uint64(len(packets)) || st.PreEIP8 != 0 {
			t.Errorf("%d refused by gate rlpx, %d as old format; want %d, 0", got, st.PreEIP8, len(packets))
		}
		if vs := s.Explain(newID(50)).Verdicts; len(vs) != 0 {
			t.Errorf("%d verdicts on the node that was named, want none", len(vs))
		}
		// B16: 307 bytes without a size, as before EIP-8.
		old := make([]byte, 2, 309)
		point := testKey(7777).Public()
		old = append(append(old[2:], 4), point[:]...)
		old = append(old, make([]byte, 307-len(old))...)
		if got, want := s.offer(host, old), (outcome{0, hangs}); got != want {
			t.Errorf("B16: %d bytes answered, closed after %v; want %d and %v", got.answered, got.after, want.answered, want.after)
		}
		if n := s.Stats().PreEIP8; n != 1 {
			t.Errorf("B16: counted %d times, want 1", n)
		}
		s.wantNothingHeld()
	})
}

// B6, B15, B18: what the specification lets pass becomes a peer: further fields,
// junk after the list up to a packet of 2048 bytes, any version, bytes one by one.
func TestB15SoundAuth(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		to := s.PrivateKey.Public()
		for i, c := range []struct {
			name   string
			packet func(fields [][]byte) []byte
			single bool // bytes one by one
		}{
			{"plain", func(f [][]byte) []byte { return packetBody(f, 4) }, false},
			{"B15 more fields", func(f [][]byte) []byte { return packetBody(f, 4, []byte{0xc3, 1, 2, 3}, []byte{0x80}) }, false},
			{"B15 junk up to 2048", func(f [][]byte) []byte {
				b := packetBody(f, 4)
				return append(b, make([]byte, 2048-113-len(b))...)
			}, false},
			{"B15 version 3", func(f [][]byte) []byte { return packetBody(f, 3) }, false},
			{"B15 version 5", func(f [][]byte) []byte { return packetBody(f, 5) }, false},
			{"B15 version 2^63", func(f [][]byte) []byte { return packetBody(f, 1<<63) }, false},
			{"B18 bytes one by one", func(f [][]byte) []byte { return packetBody(f, 4) }, true},
		} {
			n := 100 + 2*i
			auth := sealTo(to, c.packet(authFields(n, to)))
			if c.single {
				x := &stranger{t: s, key: testKey(n), fd: s.dialFrom(w.net.Host(privateAddr(500)))}
				for _, e := range w.net.Conns() {
					e.Segments(func(int) int { return 1 })
				}
				var err error
				if x.conn, err = rlpx.Initiate(x.fd, x.key, to, nil); err != nil {
					w.Fatal(err)
				}
				x.exchange(x.hello())
			} else {
				f := s.forge(n, auth)
				f.fd.Write(f.sound(helloBody(n, 5)))
			}
			w.pass(50 * time.Millisecond)
			if !s.Explain(newID(n)).Connected {
				t.Errorf("%s: not a peer", c.name)
			}
		}
	})
}

// B6: an auth whose static key has the other Y names a point nobody has to hold;
// it is answered like any other and ends with the first frame.
// B18: a second auth in the place of the first frame is a frame with a bad MAC.
func TestB18SecondAuth(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		to := s.PrivateKey.Public()
		fields := authFields(50, to)
		auth := sealTo(to, packetBody(fields, 4))
		mirrored := slices.Clone(fields)
		mirrored[1] = numbers(fields[1], func(_, y *big.Int) { y.Sub(curveP, y) })
		for name, raw := range map[string][]byte{
			"B18 auth twice": append(slices.Clone(auth), auth...),
			"B6 Y negated":   append(sealTo(to, packetBody(mirrored, 4)), make([]byte, 64)...),
		} {
			got := s.offer(w.net.Host(privateAddr(600+len(name))), raw)
			if got.after != hangs || got.answered < 2+113+100 || got.answered > 2048 {
				t.Errorf("%s: %d bytes answered, closed after %v; want ack and Hello and %v", name, got.answered, got.after, hangs)
			}
		}
		if vs := s.Explain(newID(50)).Verdicts; len(vs) != 0 {
			t.Errorf("%d verdicts on the node that was named, want none", len(vs))
		}
		s.wantNothingHeld()
	})
}

// answer runs a simulated host that accepts one connection, reads an auth, sends
// raw and reads to the end. What was sent to it counts from the auth on, the time
// from raw on.
func (w *world) answer(host *simnet.Host, raw []byte) <-chan outcome {
	w.Helper()
	l, err := host.Listen(30303)
	if err != nil {
		w.Fatal(err)
	}
	done := make(chan outcome, 1)
	go func() {
		defer l.Close()
		fd, err := l.Accept()
		if err != nil {
			return
		}
		defer fd.Close()
		auth, _ := fd.Read(make([]byte, 8192))
		fd.Write(raw)
		o := untilClosed(fd, time.Now())
		o.answered += uint64(auth)
		done <- o
	}()
	return done
}

// B17: every hostile ack ends the dial at once, with nothing sent after our auth;
// a cut one ends it 5 s after the connection was made. What the specification
// lets pass is answered with Hello.
func TestB17HostileAck(t *testing.T) {
	type row struct {
		name string
		raw  []byte
		want time.Duration
		ok   bool
	}
	to := testKey(1).Public()
	ephemeral, nonce := testKey(60).Public(), sha256.Sum256([]byte("ack"))
	fields := [][]byte{ephemeral[:], nonce[:]}
	sound := sealTo(to, packetBody(fields, 4))
	var rows []row
	for name, raw := range badPackets(to, fields, 0) {
		rows = append(rows, row{name, raw, hangs, false})
	}
	for _, n := range []int{0, 1, 2, 66, 67, 83, len(sound) - 33, len(sound) - 1} {
		rows = append(rows, row{fmt.Sprintf("B1 cut at %d", n), sound[:n], setupTimeout, false})
	}
	old := append(append([]byte{4}, ephemeral[:]...), make([]byte, 210-65)...)
	rows = append(rows, row{"B16 old format", old, hangs, false},
		row{"sound", sound, setupTimeout, true},
		row{"B15 more fields", sealTo(to, packetBody(fields, 1<<63, []byte{0xc0})), setupTimeout, true},
		row{"B15 junk", sealTo(to, append(packetBody(fields, 4), make([]byte, 500)...)), setupTimeout, true})
	for at, batch := 0, 0; at < len(rows); at, batch = at+40, batch+1 {
		inWorld(t, func(w *world) {
			s := w.server(1, nil)
			part := rows[at:min(at+40, len(rows))]
			results := make([]<-chan outcome, len(part))
			for i, r := range part {
				host := w.net.Host(privateAddr(3000 + i))
				results[i] = w.answer(host, r.raw)
				s.AddPeer(nodeAt(3000+i, host.Addr()))
			}
			for i, r := range part {
				got := <-results[i]
				least, most := uint64(2+113+100), uint64(2+2048)
				if r.ok {
					least = least + 200 // and Hello
				}
				// The deadline runs from the time when the dial returned, 10 ms after
				// the other side saw the connection, and its end takes 10 ms more.
				if d := got.after - r.want; d < -hangs || d > hangs || r.want == hangs && d != 0 || got.answered < least || got.answered > most {
					t.Errorf("%s: %d bytes sent, closed after %v; want %d to %d and %v", r.name, got.answered, got.after, least, most, r.want)
				}
				gate := GateRLPx
				if r.ok {
					gate = GateHello
				}
				w.pass(100 * time.Millisecond)
				if v := s.lastVerdict(newID(3000 + i)); v.Gate != gate || v.Inbound {
					t.Errorf("%s: verdict of gate %q: %v; want %q", r.name, v.Gate, v.Err, gate)
				}
			}
			s.wantNothingHeld()
		})
	}
}

// A clump gathers what is written until there are as many writes as it waits for,
// so that they arrive together.
type clump struct {
	net.Conn
	wait int
	buf  []byte
}

func (c *clump) Write(b []byte) (int, error) {
	c.buf = append(c.buf, b...)
	if c.wait--; c.wait > 0 {
		return len(b), nil
	}
	all := c.buf
	c.buf = nil
	_, err := c.Conn.Write(all)
	return len(b), err
}

// B18: ack, Hello and the first message in one segment are taken apart.
func TestB18AckAndHelloTogether(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.net.Host(privateAddr(70))
		l, err := host.Listen(30303)
		if err != nil {
			w.Fatal(err)
		}
		defer l.Close()
		got := make(chan string, 1)
		s := w.server(1, func(c *Config) { c.Protocols = []Protocol{noting(got)} })
		s.AddPeer(nodeAt(70, host.Addr()))
		fd, err := l.Accept()
		if err != nil {
			w.Fatal(err)
		}
		conn, err := rlpx.Accept(&clump{Conn: fd, wait: 3}, testKey(70), nil)
		if err != nil {
			w.Fatal(err)
		}
		hello := &Hello{Version: 4, Name: "clump", Caps: []Cap{{"idle", 1}}, PublicKey: testKey(70).Public()}
		payload, _ := hello.append(nil)
		conn.WriteMsg(codeHello, payload)
		conn.WriteMsg(baseLength+3, []byte{0xc1, 7})
		if g := <-got; g != "3 c107" {
			t.Errorf("the protocol got %q, want code 3 with c107", g)
		}
		fd.Close()
	})
}

// noting is a protocol that tells code and payload of what it reads: in hex up to
// 20 bytes, the length of larger ones.
func noting(got chan<- string) Protocol {
	return Protocol{Name: "idle", Version: 1, Length: 4, Run: func(_ *Peer, rw MsgReadWriter) error {
		for {
			m, err := rw.ReadMsg()
			if err != nil {
				return err
			}
			if m.Size() > 20 {
				got <- fmt.Sprint(m.Code, " ", m.Size())
			} else {
				got <- fmt.Sprintf("%d %x", m.Code, m.Payload)
			}
			m.Release()
		}
	}}
}
