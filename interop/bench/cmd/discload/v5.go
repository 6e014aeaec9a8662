package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common/mclock"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/discover/v5wire"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

// A nodeV5 is a node of discovery v5 that answers PING and FINDNODE as it must to
// stay in tables.
type nodeV5 struct {
	to    target
	ln    *enode.LocalNode
	codec *v5wire.Codec
	conn  *net.UDPConn
	next  uint64         // request ID
	parts map[string]int // packets that came of answers with several
	begun []byte         // the packet that begins a handshake
}

// newNodeV5 makes a node that sends from conn.
func newNodeV5(to target, db *enode.DB, conn *net.UDPConn) (*nodeV5, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	at, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, fmt.Errorf("the socket has the address %v", conn.LocalAddr())
	}
	ln := enode.NewLocalNode(db, key)
	ln.SetStaticIP(at.IP)
	ln.SetFallbackUDP(at.Port)
	ln.Node() // signs the record
	return &nodeV5{
		to: to, ln: ln, conn: conn, codec: v5wire.NewCodec(ln, key, mclock.System{}, nil), parts: make(map[string]int),
	}, nil
}

func (n *nodeV5) send(packet []byte) error {
	_, err := n.conn.Write(packet)
	return err
}

// seal makes a packet of a message. The codec's memory is not kept.
func (n *nodeV5) seal(p v5wire.Packet, challenge *v5wire.Whoareyou) ([]byte, error) {
	packet, _, err := n.codec.Encode(n.to.node.ID(), n.to.addr.String(), p, challenge)
	return append([]byte(nil), packet...), err
}

// id returns a new request ID.
func (n *nodeV5) id() []byte {
	n.next++
	return binary.BigEndian.AppendUint64(nil, n.next)
}

func (n *nodeV5) ping() ([]byte, error) {
	return n.seal(&v5wire.Ping{ReqID: n.id(), ENRSeq: n.ln.Seq()}, nil)
}

// findnode asks for the buckets in which seven of eight nodes are.
func (n *nodeV5) findnode() ([]byte, error) {
	return n.seal(&v5wire.Findnode{ReqID: n.id(), Distances: []uint{256, 255, 254}}, nil)
}

// take answers what the node asks, and counts what it answers.
func (n *nodeV5) take(packet []byte) (int, error) {
	_, _, message, err := n.codec.Decode(packet, n.to.addr.String())
	if err != nil {
		return 0, nil //nolint:nilerr // it may be for another node on this socket
	}
	var answer v5wire.Packet
	var challenge *v5wire.Whoareyou
	switch m := message.(type) {
	case *v5wire.Whoareyou:
		m.Node = n.to.node
		challenge = m
		answer = &v5wire.Ping{ReqID: n.id(), ENRSeq: n.ln.Seq()}
	case *v5wire.Ping:
		answer = &v5wire.Pong{ReqID: m.ReqID, ENRSeq: n.ln.Seq(), ToIP: n.to.addr.IP.To4(), ToPort: uint16(n.to.addr.Port)}
	case *v5wire.Findnode:
		answer = &v5wire.Nodes{ReqID: m.ReqID, RespCount: 1}
	case *v5wire.Pong:
		return 1, nil
	case *v5wire.Nodes:
		id := string(m.ReqID)
		n.parts[id]++
		if n.parts[id] < int(m.RespCount) {
			return 0, nil
		}
		delete(n.parts, id)
		return 1, nil
	default:
		return 0, nil
	}
	data, err := n.seal(answer, challenge)
	if err != nil {
		return 0, err
	}
	return 0, n.send(data)
}

// handshake begins one and waits for the PONG that ends it.
func (n *nodeV5) handshake() error {
	if n.begun == nil {
		var err error
		if n.begun, err = n.ping(); err != nil { // without a session, any bytes
			return err
		}
	}
	if err := n.send(n.begun); err != nil {
		return err
	}
	s := &stream{asker: n, conn: n.conn}
	for {
		done, err := s.answer(patience)
		if err != nil || done > 0 {
			return err
		}
	}
}

// join makes a node with a session with the node under load.
func join(to target) (*stream, *nodeV5, error) {
	conn, err := dial(to)
	if err != nil {
		return nil, nil, err
	}
	db, err := enode.OpenDB("")
	if err != nil {
		return nil, nil, err
	}
	n, err := newNodeV5(to, db, conn)
	if err != nil {
		return nil, nil, err
	}
	return &stream{asker: n, conn: conn}, n, n.handshake()
}

func newPingV5(to target, _ int) (load, error) {
	s, n, err := join(to)
	if err != nil {
		return nil, err
	}
	s.make = n.ping
	return s, s.settle(time.Second)
}

func newFindnodeV5(to target, fill int) (load, error) {
	for range fill {
		s, _, err := join(to)
		if err != nil {
			return nil, err
		}
		go serve(s) // ends with the process
	}
	s, n, err := join(to)
	if err != nil {
		return nil, err
	}
	s.make = n.findnode
	return s, s.settle(2 * time.Second)
}

// handshakesV5 is a load of handshakes, each by a node that was never seen.
type handshakesV5 struct {
	to    target
	db    *enode.DB
	conns []*net.UDPConn
	ready []*nodeV5
}

func newHandshakeV5(to target, _ int) (load, error) {
	db, err := enode.OpenDB("")
	if err != nil {
		return nil, err
	}
	h := &handshakesV5{to: to, db: db, conns: make([]*net.UDPConn, 4)}
	for i := range h.conns {
		if h.conns[i], err = dial(to); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// prepare makes n nodes with their records. The handshake itself has to wait for
// the challenge.
func (h *handshakesV5) prepare(n int) error {
	for range n {
		node, err := newNodeV5(h.to, h.db, h.conns[len(h.ready)%len(h.conns)])
		if err != nil {
			return err
		}
		if node.begun, err = node.ping(); err != nil {
			return err
		}
		h.ready = append(h.ready, node)
	}
	return nil
}

// run does handshakes, on each socket one after the other.
func (h *handshakesV5) run(n int) (int, error) {
	nodes := h.ready[:n]
	h.ready = h.ready[n:]
	var lost atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, len(h.conns))
	for i, conn := range h.conns {
		group.Go(func() {
			for _, node := range nodes {
				if node.conn != conn {
					continue
				}
				err := node.handshake()
				if errors.Is(err, os.ErrDeadlineExceeded) {
					lost.Add(1)
				} else if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	group.Wait()
	return int(lost.Load()), errors.Join(errs...)
}

// junkV5 has packets that the node cannot decrypt, because there is no session.
// Each is answered with a challenge.
type junkV5 struct{ *nodeV5 }

// take counts the challenges, which may be for any of the nodes that sent.
func (junkV5) take([]byte) (int, error) { return 1, nil }

// newJunkV5 sends in the name of so many nodes in turn.
func newJunkV5(to target, _ int) (load, error) {
	const names = 256
	conn, err := dial(to)
	if err != nil {
		return nil, err
	}
	db, err := enode.OpenDB("")
	if err != nil {
		return nil, err
	}
	nodes := make([]*nodeV5, names)
	for i := range nodes {
		if nodes[i], err = newNodeV5(to, db, conn); err != nil {
			return nil, err
		}
	}
	turn := 0
	return &stream{asker: junkV5{nodes[0]}, conn: conn, make: func() ([]byte, error) {
		turn++
		return nodes[turn%names].ping()
	}}, nil
}
