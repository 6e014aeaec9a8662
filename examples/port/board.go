// Package port is a sub-protocol that was moved to parley from another library; see
// docs/porting.md.
//
// It shares short notes between nodes: whoever has a new one tells its hash, and
// whoever lacks it asks for it.
package port

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"parley/enode"
	"parley/enr"
	"parley/p2p"
)

// The messages.
const (
	helloMsg = iota // [topic, count]: the first message, from the dialer first
	haveMsg         // [hash, …]: notes that the sender has
	getMsg          // [hash, …]: notes that the sender wants, at most maxAsk
	notesMsg        // [note, …]: the answer, without those that are not there
	numCodes

	version    = 1
	maxNote    = 500 // bytes
	maxNotes   = 1000
	maxAsk     = 100
	maxMessage = 64 << 10 // bytes; all hashes fit into one, and maxAsk notes
)

var (
	errTooMuch = errors.New("board: too much at once")
	errTopic   = errors.New("board: another topic")
)

// A Hash names a note.
type Hash [32]byte

// A Greeting is what a node says first.
type Greeting struct {
	Topic string
	Count uint64
}

// A Board holds the notes of one topic, and runs the protocol.
type Board struct {
	topic string
	heard func(note string)

	mu    sync.Mutex // guards the fields below
	notes map[Hash]string
	peers map[enode.ID]member
}

type member struct {
	rw       p2p.MsgReadWriter
	greeting Greeting
}

// New returns an empty Board. It calls heard with each new note of a peer.
func New(topic string, heard func(note string)) *Board {
	return &Board{topic: topic, heard: heard, notes: make(map[Hash]string), peers: make(map[enode.ID]member)}
}

// Protocol returns the protocol for a server's configuration.
func (b *Board) Protocol() p2p.Protocol {
	return p2p.Protocol{
		Name:       "board",
		Version:    version,
		Length:     numCodes,
		Run:        b.run,
		NodeInfo:   func() any { return b.greeting() },
		PeerInfo:   b.peerInfo,
		Attributes: []enr.Entry{enr.With("board", uint(version))},
		MaxMsgSize: maxMessage,
	}
}

// Post adds a note and tells the peers.
func (b *Board) Post(note string) error {
	if len(note) > maxNote {
		return fmt.Errorf("board: the note has %d bytes, at most %d", len(note), maxNote)
	}
	if hash, isNew := b.add(note); isNew {
		b.tell(hash, enode.ID{})
	}
	return nil
}

// Note returns the note with the given hash.
func (b *Board) Note(hash Hash) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	note, ok := b.notes[hash]
	return note, ok
}

// run is the protocol with one peer.
func (b *Board) run(peer *p2p.Peer, rw p2p.MsgReadWriter) error {
	theirs, err := b.greet(peer, rw)
	if err != nil {
		return err
	}
	peer.Log().Debug("Board joined", "notes", theirs.Count)
	b.join(peer.ID(), member{rw, theirs})
	defer b.leave(peer.ID())
	if err := p2p.Send(rw, haveMsg, b.hashes()); err != nil {
		return err
	}
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		err = b.handle(peer, rw, msg)
		msg.Release()
		if err != nil {
			return err
		}
	}
}

// greet exchanges greetings, the dialer's first.
func (b *Board) greet(peer *p2p.Peer, rw p2p.MsgReadWriter) (theirs Greeting, err error) {
	if !peer.Inbound() {
		if err := p2p.Send(rw, helloMsg, b.greeting()); err != nil {
			return theirs, err
		}
	}
	msg, err := rw.ReadMsg()
	if err != nil {
		return theirs, err
	}
	defer msg.Release()
	if msg.Code != helloMsg {
		return theirs, fmt.Errorf("board: message %d before hello: %w", msg.Code, p2p.DiscProtocolError)
	}
	if err := msg.Decode(&theirs); err != nil {
		return theirs, fmt.Errorf("board: hello: %w: %w", p2p.DiscProtocolError, err)
	}
	if theirs.Topic != b.topic {
		return theirs, fmt.Errorf("%w: ours %q, theirs %q: %w", errTopic, b.topic, theirs.Topic, p2p.DiscUselessPeer)
	}
	if peer.Inbound() {
		return theirs, p2p.Send(rw, helloMsg, b.greeting())
	}
	return theirs, nil
}

// handle answers one message.
func (b *Board) handle(peer *p2p.Peer, rw p2p.MsgReadWriter, msg p2p.Msg) error {
	switch msg.Code {
	case haveMsg:
		var hashes []Hash
		if err := msg.Decode(&hashes); err != nil {
			return err
		}
		for ask := range slices.Chunk(b.lacking(hashes), maxAsk) {
			if err := p2p.Send(rw, getMsg, ask); err != nil {
				return err
			}
		}
	case getMsg:
		var hashes []Hash
		if err := msg.Decode(&hashes); err != nil {
			return err
		}
		if len(hashes) > maxAsk {
			return fmt.Errorf("%w: %d notes", errTooMuch, len(hashes))
		}
		return p2p.Send(rw, notesMsg, b.find(hashes))
	case notesMsg:
		var notes []string
		if err := msg.Decode(&notes); err != nil {
			return err
		}
		for _, note := range notes {
			if hash, isNew := b.add(note); isNew {
				b.heard(note)
				b.tell(hash, peer.ID())
			}
		}
	default:
		return fmt.Errorf("board: a second hello: %w", p2p.DiscProtocolError)
	}
	return nil
}

func (b *Board) greeting() Greeting {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Greeting{Topic: b.topic, Count: uint64(len(b.notes))}
}

func (b *Board) peerInfo(id enode.ID) any {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m, ok := b.peers[id]; ok {
		return m.greeting
	}
	return nil
}

func (b *Board) join(id enode.ID, m member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers[id] = m
}

func (b *Board) leave(id enode.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.peers, id)
}

// add keeps a note unless it is known, too long or one too many.
func (b *Board) add(note string) (hash Hash, isNew bool) {
	hash = sha256.Sum256([]byte(note))
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.notes[hash]
	if known || len(note) > maxNote || len(b.notes) >= maxNotes {
		return hash, false
	}
	b.notes[hash] = note
	return hash, true
}

// tell tells all peers of a note, but not the one that it came from.
func (b *Board) tell(hash Hash, from enode.ID) {
	b.mu.Lock()
	var others []p2p.MsgReadWriter
	for id, m := range b.peers {
		if id != from {
			others = append(others, m.rw)
		}
	}
	b.mu.Unlock()
	for _, rw := range others {
		_ = p2p.Send(rw, haveMsg, []Hash{hash}) // who cannot be reached is leaving
	}
}

func (b *Board) hashes() []Hash {
	b.mu.Lock()
	defer b.mu.Unlock()
	hashes := []Hash{}
	for hash := range b.notes {
		hashes = append(hashes, hash)
	}
	return hashes
}

func (b *Board) lacking(hashes []Hash) (lacking []Hash) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, hash := range hashes {
		if _, ok := b.notes[hash]; !ok {
			lacking = append(lacking, hash)
		}
	}
	return lacking
}

// find returns the notes that are there.
func (b *Board) find(hashes []Hash) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := []string{}
	for _, hash := range hashes {
		if note, ok := b.notes[hash]; ok {
			found = append(found, note)
		}
	}
	return found
}

// Start runs a node with the board.
func Start(b *Board, key *enode.PrivateKey, listen string) (*p2p.Server, error) {
	srv := &p2p.Server{Config: p2p.Config{
		PrivateKey:  key,
		MaxPeers:    50,
		Name:        "board/v1",
		NoDiscovery: true,
		Protocols:   []p2p.Protocol{b.Protocol()},
		ListenAddr:  listen,
	}}
	return srv, srv.Start()
}

// Meet stays connected to the node with the given key and address.
func Meet(srv *p2p.Server, key enode.PublicKey, ip netip.Addr, port uint16) error {
	return srv.AddPeer(enode.NewV4(key, ip, port, port))
}

// Watch tells of peers that come and go, from now until stop is called.
func Watch(srv *p2p.Server, tell func(string)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	events := srv.Events(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for e := range events {
			tell(fmt.Sprintf("%s %s %s", e.Type, e.Peer.TerminalString(), e.Error))
		}
	})
	return func() { cancel(); watcher.Wait() }
}
