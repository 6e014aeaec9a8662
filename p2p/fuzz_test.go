package p2p

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"parley/internal/simnet"
	"parley/rlp"
	"parley/rlpx"
)

// fuzzProtocols are ours when a fuzzed Hello is matched: several versions, names
// that sort differently from their order here, and the largest length.
var fuzzProtocols = []Protocol{
	{Name: "z", Version: 1, Length: 1},
	{Name: "eth", Version: 68, Length: 17},
	{Name: "eth", Version: 70, Length: 18},
	{Name: "eth", Version: 69, Length: 18},
	{Name: "snap", Version: 1, Length: maxProtocolLength},
	{Name: "a", Version: 0, Length: 3},
}

// checkHello reports what is wrong with a Hello that was accepted.
func checkHello(t *testing.T, h *Hello) {
	if len(h.Name) > maxName || !utf8.ValidString(h.Name) || strings.ContainsFunc(h.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("name %q is kept", h.Name)
	}
	if again := cleanName(h.Name); again != h.Name {
		t.Errorf("cleanName is not done: %q becomes %q", h.Name, again)
	}
	if len(h.Caps) > maxCaps {
		t.Errorf("%d capabilities are kept", len(h.Caps))
	}
	for i, c := range h.Caps {
		if !validCapName(c.Name) || slices.Contains(h.Caps[:i], c) {
			t.Errorf("capability %d, %q, is kept", i, c)
		}
	}
	run := match(fuzzProtocols, h.Caps)
	next, last := uint64(baseLength), ""
	for _, r := range run {
		if r.offset != next || r.Name <= last || !slices.Contains(h.Caps, r.Cap()) {
			t.Errorf("%v runs at offset %d after %q, want offset %d", r.Cap(), r.offset, last, next)
		}
		for _, code := range []uint64{r.offset, r.offset + r.Length - 1} {
			if owner(run, code) != r {
				t.Errorf("code %#x does not belong to %v", code, r.Cap())
			}
		}
		for i := range fuzzProtocols {
			if p := &fuzzProtocols[i]; p.Name == r.Name && p.Version > r.Version && slices.Contains(h.Caps, p.Cap()) {
				t.Errorf("%v runs although both have %v", r.Cap(), p.Cap())
			}
		}
		next, last = next+r.Length, r.Name
	}
	if owner(run, next) != nil || owner(run, baseLength-1) != nil {
		t.Error("a code outside all protocols has an owner")
	}
}

// helloSeeds are payloads of Hello as they come, and as they should not.
func helloSeeds() [][]byte {
	key := testKey(2).Public()
	seed := func(change func(*helloItems)) []byte {
		items := helloItems{Version: 5, Name: "Geth/v1.17.0-stable/linux-amd64/go1.26", Caps: []capItem{{Name: "eth", Version: 69}, {Name: "snap", Version: 1}}, ListenPort: rlp.Raw{0x80}, Key: key[:]}
		change(&items)
		b, err := rlp.Encode(&items)
		if err != nil {
			panic(err)
		}
		return b
	}
	many := make([]capItem, 100)
	for i := range many {
		many[i] = capItem{Name: "eth", Version: uint64(i)}
	}
	return [][]byte{
		seed(func(*helloItems) {}),
		seed(func(h *helloItems) { h.Caps = many }),
		seed(func(h *helloItems) { h.Caps = nil; h.Version = 1 << 63 }),
		seed(func(h *helloItems) {
			h.Caps = append(h.Caps, capItem{Name: "eth", Version: 70}, capItem{Name: "eth", Version: 68}, capItem{Name: "z", Version: 1}, capItem{Name: "a"})
		}),
		seed(func(h *helloItems) { h.Name = "\x1b[2J\u202e\xff\x00" + strings.Repeat("é", 300) }),
		seed(func(h *helloItems) { h.Name = strings.Repeat("x", maxName-1) + "世界" }),
		seed(func(h *helloItems) { h.Key = h.Key[:63] }),
		seed(func(h *helloItems) { h.ListenPort = rlp.Raw{0xc1, 0x80} }),
		seed(func(h *helloItems) { h.Rest = []rlp.Raw{{0xc0}, {0x81, 0xff}} }),
		seed(func(h *helloItems) { h.Caps = append(h.Caps, capItem{Name: "a\n", Rest: []rlp.Raw{{0x01}}}) }),
		{}, {0xc0}, {0xf8}, {0xc5, 5, 0x80, 0xc0, 0x80, 0x80}, bytes.Repeat([]byte{0xc1}, 100),
	}
}

// Whatever the payload of a Hello, reading it does not panic, allocates in
// proportion to it, and what is kept is printable, bounded, and leads to protocols
// whose message codes do not overlap.
func FuzzHello(f *testing.F) {
	for _, seed := range helloSeeds() {
		f.Add(seed)
	}
	key := testKey(2).Public()
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > maxHello {
			return // refused by the frame's limit
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h, err := parseHello(payload, key)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 2*maxHello+64<<10 {
			t.Errorf("%d bytes are allocated for %d", used, len(payload))
		}
		if err != nil {
			if reason, ok := errors.AsType[DiscReason](err); !ok || reason.String() == "" {
				t.Errorf("parseHello = %v; want an error with a reason", err)
			}
			if h != nil { // what is known of it, for the verdict
				checkHello(t, h)
			}
			return
		}
		checkHello(t, h)
		again, err := h.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		same, err := parseHello(again, key)
		if err != nil || same.Version != h.Version || same.Name != h.Name || same.ListenPort != h.ListenPort || !slices.Equal(same.Caps, h.Caps) {
			t.Errorf("%+v written and read is %+v, %v", h, same, err)
		}
	})
}

// Whatever the payload of a Disconnect, it has a reason with a text, and each
// reason is read as it was written.
func FuzzDisconnect(f *testing.F) {
	for r := range 256 {
		f.Add(appendDisconnect(nil, DiscReason(r)))
	}
	for _, seed := range []string{"", "\xc0", "\x04", "\x80", "\x81\x80", "\xc1\xc0", "\xc3\x82\x01\x00", "\xf8", "\xc2\x81\x04", "\xc1\x04junk", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		reason := parseDisconnect(payload)
		if reason.String() == "" || reason.Error() != reason.String() {
			t.Errorf("%d has the text %q", uint8(reason), reason)
		}
		if reason != DiscInvalid {
			if again := parseDisconnect(appendDisconnect(nil, reason)); again != reason {
				t.Errorf("%v written and read is %v", reason, again)
			}
		}
	})
}

// Whatever the first message after the handshake, it is refused with a SetupError
// at the step of Hello or leads to a sound Hello, and no buffer is left behind.
func FuzzFirstFrame(f *testing.F) {
	for _, seed := range helloSeeds() {
		f.Add(uint64(codeHello), seed)
	}
	f.Add(uint64(codeDisconnect), []byte{0xc1, 4})
	f.Add(uint64(codeDisconnect), []byte{0x04})
	f.Add(uint64(codePing), []byte{0xc0})
	f.Add(uint64(baseLength), []byte{0xc0})
	f.Add(uint64(1<<64-1), bytes.Repeat([]byte{0xff}, maxHello))
	f.Fuzz(func(t *testing.T, code uint64, payload []byte) {
		x, y := simnet.Pipe(simnet.PipeOptions{Link: simnet.Link{Window: 1 << 20}})
		defer x.Close()
		defer y.Close()
		bufs := rlpx.NewPoisonedBuffers()
		l := &link{fd: &stream{Conn: y, meter: new(traffic)}}
		var handshake sync.WaitGroup
		handshake.Go(func() {
			var err error
			if l.conn, err = rlpx.Accept(l.fd, testKey(1), bufs); err != nil {
				t.Error(err)
			}
		})
		them, err := rlpx.Initiate(x, testKey(2), testKey(1).Public(), nil)
		handshake.Wait()
		if err != nil || l.conn == nil {
			t.Fatal(err)
		}
		if err := them.WriteMsg(code, payload[:min(len(payload), 4*maxHello)]); err != nil {
			t.Fatal(err)
		}
		x.Close()
		switch err := l.readHello(nil); {
		case err == nil:
			if code != codeHello || !l.proven || l.conn.Snappy() != (l.hello.Version >= snappyVersion) {
				t.Errorf("code %#x is taken as Hello, proven %v, Snappy %v for version %d", code, l.proven, l.conn.Snappy(), l.hello.Version)
			}
			checkHello(t, l.hello)
		case err.Step != StepHello || err.byRemote != (code == codeDisconnect && l.proven):
			t.Errorf("refused at step %q, by remote %v, proven %v: %v", err.Step, err.byRemote, l.proven, err)
		}
		l.conn.Close()
		if held := bufs.InUse(); held != 0 {
			t.Errorf("%d bytes are held afterwards", held)
		}
	})
}
