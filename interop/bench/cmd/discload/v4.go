package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/discover/v4wire"
)

// kindAt is where a packet of discovery v4 has its kind.
const kindAt = 32 + 65

// soon is the expiration of packets. Parley drops those that are valid for more
// than five minutes.
func soon() uint64 { return uint64(time.Now().Add(2 * time.Minute).Unix()) }

// A nodeV4 is a node of discovery v4 that answers PING and FINDNODE as it must to
// stay in tables.
type nodeV4 struct {
	key    *ecdsa.PrivateKey
	conn   *net.UDPConn
	serial uint16

	// The answers awaited: their kind, how many packets one has and how many of
	// those came.
	kind       byte
	each, came int
}

func newNodeV4(to target) (*nodeV4, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	conn, err := dial(to)
	return &nodeV4{key: key, conn: conn, each: 1}, err
}

func (n *nodeV4) send(packet []byte) error {
	_, err := n.conn.Write(packet)
	return err
}

// ping makes a PING that is like no other of this node.
func (n *nodeV4) ping() ([]byte, error) {
	n.serial++
	me := netip.MustParseAddrPort(n.conn.LocalAddr().String())
	packet, _, err := v4wire.Encode(n.key, &v4wire.Ping{
		Version: 4, From: v4wire.NewEndpoint(me, n.serial), To: v4wire.NewEndpoint(me, 0), Expiration: soon(),
	})
	return packet, err
}

// findnode makes a FINDNODE for a random target.
func (n *nodeV4) findnode() ([]byte, error) {
	req := &v4wire.Findnode{Expiration: soon()}
	if _, err := rand.Read(req.Target[:]); err != nil {
		return nil, err
	}
	packet, _, err := v4wire.Encode(n.key, req)
	return packet, err
}

// take answers what the node asks, and counts what it answers.
func (n *nodeV4) take(packet []byte) (int, error) {
	if len(packet) <= kindAt {
		return 0, fmt.Errorf("the node sent %d bytes", len(packet))
	}
	var answer v4wire.Packet
	switch packet[kindAt] {
	case v4wire.PingPacket:
		me := netip.MustParseAddrPort(n.conn.LocalAddr().String())
		answer = &v4wire.Pong{To: v4wire.NewEndpoint(me, 0), ReplyTok: packet[:32], Expiration: soon()}
	case v4wire.FindnodePacket:
		answer = &v4wire.Neighbors{Expiration: soon()}
	case n.kind:
		n.came++
		if n.came < n.each {
			return 0, nil
		}
		n.came = 0
		return 1, nil
	default:
		return 0, nil
	}
	data, _, err := v4wire.Encode(n.key, answer)
	if err != nil {
		return 0, err
	}
	return 0, n.send(data)
}

// newStreamV4 returns a load from a node whose endpoint is proven, after so many others have
// been put into the table.
func newStreamV4(to target, fill int) (*stream, *nodeV4, error) {
	for range fill {
		n, err := newNodeV4(to)
		if err != nil {
			return nil, nil, err
		}
		if err := introduceV4(n, time.Millisecond); err != nil {
			return nil, nil, err
		}
		go serve(&stream{asker: n, conn: n.conn}) // ends with the process
	}
	n, err := newNodeV4(to)
	if err != nil {
		return nil, nil, err
	}
	if err := introduceV4(n, 2*time.Second); err != nil {
		return nil, nil, err
	}
	return &stream{asker: n, conn: n.conn}, n, nil
}

// introduceV4 sends a PING and answers the one in return.
func introduceV4(n *nodeV4, settle time.Duration) error {
	packet, err := n.ping()
	if err != nil {
		return err
	}
	if err := n.send(packet); err != nil {
		return err
	}
	return (&stream{asker: n, conn: n.conn}).settle(settle)
}

// serve answers what the node asks, without end.
func serve(s *stream) {
	for {
		_ = s.settle(time.Hour) // an error says that the node has ended
	}
}

func newPingV4(to target, _ int) (load, error) {
	s, n, err := newStreamV4(to, 0)
	if err != nil {
		return nil, err
	}
	n.kind, s.make = v4wire.PongPacket, n.ping
	return s, nil
}

func newFindnodeV4(to target, fill int) (load, error) {
	s, n, err := newStreamV4(to, fill)
	if err != nil {
		return nil, err
	}
	n.kind, s.make = v4wire.NeighborsPacket, n.findnode
	packet, err := n.findnode()
	if err != nil {
		return nil, err
	}
	// One trial says how many packets an answer has.
	n.each = 1 << 20
	if err := n.send(packet); err != nil {
		return nil, err
	}
	if err := s.settle(patience); err != nil {
		return nil, err
	}
	if n.came == 0 {
		return nil, fmt.Errorf("FINDNODE has no answer")
	}
	n.each, n.came = n.came, 0
	return s, nil
}

// junkV4 is a load of packets whose hash is wrong.
type junkV4 struct {
	to    target
	conn  *net.UDPConn
	ready [][]byte
}

func newJunkV4(to target, _ int) (load, error) {
	conn, err := dial(to)
	return &junkV4{to: to, conn: conn}, err
}

func (j *junkV4) prepare(n int) error {
	for range n {
		packet := make([]byte, 130)
		if _, err := rand.Read(packet); err != nil {
			return err
		}
		packet[kindAt] = v4wire.PingPacket
		j.ready = append(j.ready, packet)
	}
	return nil
}

// run waits until the node has read all. What its socket had no room for is lost.
func (j *junkV4) run(n int) (lost int, err error) {
	before, err := socketOf(j.to)
	if err != nil {
		return 0, err
	}
	for _, packet := range j.ready[:n] {
		if _, err := j.conn.Write(packet); err != nil {
			return 0, err
		}
	}
	j.ready = j.ready[n:]
	for {
		s, err := socketOf(j.to)
		if err != nil {
			return 0, err
		}
		if s.queued == 0 {
			return s.drops - before.drops, nil
		}
		<-time.After(time.Millisecond)
	}
}
