package discv5

import (
	"bytes"
	"net/netip"
	"testing"
)

// fuzzed is an engine with a session and a call to its stranger.
func fuzzed(f *testing.F) (*host, *stranger) {
	w := newWorld(f, 40)
	h := w.add()
	s := newStranger(f, 40, "22.0.0.1:30303")
	s.join(epoch, h)
	h.HandleTalk("x", true)
	return h, s
}

// Whatever the header, nothing is read and no more is sent than came.
func FuzzPacket(f *testing.F) {
	h, s := fuzzed(f)
	for _, data := range [][]byte{s.random(h.id, s.nonce()), s.message(h.id, s.nonce(), appendPing(nil, ownID(1), 1)), s.challenge(epoch, h)} {
		p, _ := newCodec(h.id, DefaultProtocol).open(data)
		f.Add(append(bytes.Clone(p.head), p.message...))
	}
	whoareyou := s.challenge(epoch, h)
	data := s.handshake(h, whoareyou, nil, nil)
	p, _ := newCodec(h.id, DefaultProtocol).open(data)
	f.Add(append(bytes.Clone(p.head), p.message...))
	f.Fuzz(func(t *testing.T, data []byte) {
		// data is not masked, so that the fuzzer gets behind the first block.
		if n := len(data); n > ivSize {
			data = bytes.Clone(data)
			h.codec.mask(maskOf(h.id), data[:min(n, MaxPacket)])
		}
		h.Receive(epoch, netip.MustParseAddrPort("22.0.0.9:30303"), data)
		sent := 0
		for _, p := range h.Take().Packets {
			if p.To.Addr() == netip.MustParseAddr("22.0.0.9") {
				sent += len(p.Data)
			}
		}
		if sent > len(data) {
			t.Errorf("%d bytes are answered with %d", len(data), sent)
		}
	})
}

// Whatever the message in a session, the answer is of the right kind and in
// few packets.
func FuzzMessage(f *testing.F) {
	h, s := fuzzed(f)
	for _, plain := range [][]byte{
		appendPing(nil, ownID(1), 1), appendPong(nil, ownID(1), 1, s.addr), appendFindNode(nil, ownID(1), []uint{0, 256}),
		appendNodes(nil, ownID(1), 1, nil), appendTalkReq(nil, ownID(1), "x", []byte("y")), appendTalkResp(nil, ownID(1), []byte("y")),
	} {
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) > maxPlaintext {
			return
		}
		s.t, h.talks = t, nil
		got := s.packets(epoch, h, s.message(h.id, s.nonce(), plain))
		if len(got) > maxNodesPackets {
			t.Errorf("%d packets in answer", len(got))
		}
		for _, data := range got {
			if s.open(data).flag != flagMessage {
				t.Errorf("the session is lost")
				continue
			}
			if m := s.plain(data); m.kind != Kind(plain[0])+1 {
				t.Errorf("%v is answered with %v", Kind(plain[0]), m.kind)
			}
		}
	})
}
