package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/discover"
	"parley/dnsdisc"
	"parley/enode"
	"parley/enr"
	"parley/internal/localnode"
	"parley/internal/netaddr"
	"parley/internal/nodedb"
	"parley/internal/peerset"
	"parley/internal/reach"
	"parley/nat"
	"parley/rlpx"
)

// Errors of Start and of calls at the wrong time.
var (
	ErrRunning    = errors.New("p2p: server is running already")
	ErrStopped    = errors.New("p2p: server was stopped; make a new one")
	ErrNotRunning = errors.New("p2p: not running")
)

// A Server is a node. The zero value with a Config is ready to Start; it can be
// started once. All methods are safe for concurrent use, before Start and after
// Stop too.
type Server struct {
	Config

	life sync.Mutex // held by Start and Stop, which take their turns

	mu      sync.Mutex // guards the fields below
	changed sync.Cond  // something happened that may make a dial possible, or Stop
	state   state
	set     *peerset.Set
	local   *localnode.Local
	peers   map[enode.ID]*Peer
	pending map[*stream]peerset.Ticket // connections without a peer, to be closed by Stop
	reach   reach.Book

	protocols []Protocol                 // that are offered; replaced, never written to
	hello     []byte                     // our Hello that offers them; nil until it is needed
	sources   map[Cap]context.CancelFunc // of protocols that are asked for candidates

	identifying int                   // candidates that are asked for their records
	early       []func(*Server) error // what was asked for before Start, and meanwhile

	// Set by Start and not changed after.
	cfg      Config
	log      *slog.Logger
	bufs     *rlpx.Buffers
	listener net.Listener
	disc     *discover.Service // nil without discovery
	dns      *dnsdisc.Client   // nil without lists in DNS
	db       *nodedb.DB
	ctx      context.Context
	cancel   context.CancelFunc

	keeping sync.Mutex // held while bans, scores and anchors are written

	publishing sync.Mutex // guards reserved, and the order in which records and NetRestrict are published
	reserved   uint64     // the sequence number that the database has; see reserveSeq

	families families // which do not work from here

	spreader spreader
	events   hub
	count    counters
	traffic  traffic
	memory   memory
	tasks    sync.WaitGroup // every goroutine of the Server
}

type state int

const (
	fresh state = iota
	started
	stopping
)

type counters struct {
	accepted, dials, served, dialsOK atomic.Uint64
	preEIP8, panics, unaskedPongs    atomic.Uint64
}

// Start checks the configuration, opens the sockets and begins to accept, dial and
// look for nodes. Its error lists every mistake in the configuration; nothing is
// left open then.
func (s *Server) Start() (err error) {
	s.life.Lock()
	defer s.life.Unlock()
	switch s.state { // changes only under life
	case started:
		return ErrRunning
	case stopping:
		return ErrStopped
	}
	if err := s.Config.check(); err != nil {
		return err
	}
	restrict, err := netaddr.ListOf(s.NetRestrict...)
	if err != nil {
		return fmt.Errorf("p2p: config: NetRestrict: %w", err)
	}
	cfg := s.Config.withDefaults()
	listener, conn, err := cfg.bind()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	undo := []func(){cancel}
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(undo) {
				f()
			}
		}
	}()
	if listener != nil {
		undo = append(undo, func() { listener.Close() })
	}
	if conn != nil {
		undo = append(undo, func() { conn.Close() })
	}
	s.db = nodedb.Open(cfg.NodeDatabase, nodedb.Options{Logger: cfg.Logger})
	undo = append(undo, func() { s.db.Close() })
	if s.dns, err = cfg.newDNS(s.db); err != nil {
		return err // checked before
	}
	local, err := s.newLocal(&cfg, listener, conn)
	if err != nil {
		return err
	}

	s.mu.Lock()
	s.cfg, s.log, s.listener, s.local = cfg, cfg.Logger, listener, local
	s.bufs = rlpx.NewBuffers()
	s.ctx, s.cancel = ctx, cancel
	s.peers = make(map[enode.ID]*Peer)
	s.pending = make(map[*stream]peerset.Ticket)
	s.protocols, s.sources = cfg.Protocols, make(map[Cap]context.CancelFunc)
	s.changed.L = &s.mu
	s.memory.init()
	s.spreader.init(&s.tasks)
	s.set = peerset.New(local.ID(), limitsOf(&cfg), restrict, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	s.set.Resolvable(conn != nil)
	err = s.enterNodes()
	s.recall()
	err = errors.Join(err, s.applyEarly())
	self := local.Node()
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("p2p: start: %w", err)
	}

	if conn != nil {
		disc, err := s.listenDiscovery(&cfg, conn, self)
		if err != nil {
			return err
		}
		undo = append(undo, disc.Close)
		s.disc = disc
	}
	m, ports, err := s.newNAT(&cfg)
	if err != nil {
		return err
	}
	return s.run(m, ports)
}

// run ends Start: from now on the Server runs.
func (s *Server) run(m *nat.Mapper, ports []nat.Port) error {
	s.mu.Lock()
	if err := s.applyEarly(); err != nil { // what was asked for during Start
		s.mu.Unlock()
		return fmt.Errorf("p2p: start: %w", err)
	}
	s.state = started
	s.mu.Unlock()

	cfg := &s.cfg
	s.tasks.Go(s.tendPeers)
	s.tasks.Go(s.keepLoop)
	if s.listener != nil {
		s.tasks.Go(s.listenLoop)
	}
	if !cfg.NoDial {
		s.tasks.Go(s.dialLoop)
		s.startSources()
	}
	if s.disc != nil {
		s.publish()
		s.restrict(s.disc)
		s.tasks.Go(s.followDiscovery)
		s.tasks.Go(s.resolveBootnodes)
	}
	if m != nil {
		s.tasks.Go(func() { s.followNAT(m, ports) })
	}
	if cfg.Proxy != nil {
		s.announceProxy()
	}
	if s.listener == nil && cfg.NoDial && cfg.MaxPeers > 0 {
		s.log.Warn("Neither listening nor dialing: there will be no peers")
	}
	return nil
}

// enterNodes enters the static and trusted nodes of the configuration. Caller
// holds mu.
func (s *Server) enterNodes() error {
	var errs []error
	for _, n := range s.cfg.StaticNodes {
		errs = append(errs, s.set.AddStatic(time.Now(), n))
	}
	for _, n := range s.cfg.TrustedNodes {
		errs = append(errs, s.set.Trust(n))
	}
	return errors.Join(errs...)
}

// applyEarly does what was asked for before Start. Caller holds mu.
func (s *Server) applyEarly() error {
	var errs []error
	for _, f := range s.early {
		errs = append(errs, f(s))
	}
	s.early = nil
	return errors.Join(errs...)
}

// Stop ends every connection with DiscQuitting and returns when every goroutine
// of the Server has ended, in less than two seconds unless a Protocol.Run does
// not return. It may be called more than once.
func (s *Server) Stop() {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	ran := s.running()
	s.state = stopping
	for fd := range s.pending {
		fd.Close()
	}
	peers := slices.Collect(maps.Values(s.peers))
	if ran {
		s.changed.Broadcast()
	}
	s.mu.Unlock()
	if !ran {
		return
	}

	if s.listener != nil {
		s.listener.Close()
	}
	kept := s.keep(keepBans, keepScores, keepAnchors) // while there are peers
	for _, p := range peers {
		p.Disconnect(DiscQuitting)
	}
	s.cancel() // dials, waits; the peers' contexts too
	if s.disc != nil {
		s.disc.Close()
	}
	s.memory.close()
	s.tasks.Wait()
	s.events.close()
	if err := errors.Join(kept, s.db.Close()); err != nil {
		s.log.Warn("The node database was not written", "err", err)
	}
}

// Run is Start, a wait for ctx, and Stop. It returns the error of Start, or nil.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	s.Stop()
	return nil
}

// running reports whether the Server has been started and not stopped. Caller
// holds mu.
func (s *Server) running() bool { return s.state == started }

// Peers returns the peers sorted by ID.
func (s *Server) Peers() []*Peer {
	peers := s.snapshot()
	slices.SortFunc(peers, func(a, b *Peer) int { return a.id.Compare(b.id) })
	return peers
}

// snapshot returns the peers in no order.
func (s *Server) snapshot() []*Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.peers))
}

// PeerCount returns the number of peers.
func (s *Server) PeerCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peers)
}

// PeersInfo describes all peers, sorted by ID.
func (s *Server) PeersInfo() []*PeerInfo {
	infos := []*PeerInfo{}
	for _, p := range s.Peers() {
		infos = append(infos, p.Info())
	}
	return infos
}

// AddPeer makes n a static node: it is dialed, and dialed again whenever the
// connection ends. Given before Start, it is kept until then.
func (s *Server) AddPeer(n *enode.Node) error {
	return s.change(func(s *Server) error { return s.set.AddStatic(time.Now(), n) })
}

// RemovePeer makes n an ordinary node and ends the connection to it, if there is
// one, with DiscRequested.
func (s *Server) RemovePeer(n *enode.Node) {
	var p *Peer
	_ = s.change(func(s *Server) error {
		s.set.RemoveStatic(n.ID())
		p = s.peers[n.ID()]
		return nil
	})
	if p != nil {
		p.DisconnectError(DiscRequested, errRemoved)
	}
}

var errRemoved = errors.New("removed by the operator")

// AddTrustedPeer lets n connect above MaxPeers.
func (s *Server) AddTrustedPeer(n *enode.Node) error {
	return s.change(func(s *Server) error { return s.set.Trust(n) })
}

// RemoveTrustedPeer takes that right away. A connection to n stays.
func (s *Server) RemoveTrustedPeer(n *enode.Node) {
	_ = s.change(func(s *Server) error { s.set.Untrust(n.ID()); return nil })
}

// change applies f under the mutex, or at Start if it is called before.
func (s *Server) change(f func(*Server) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case fresh:
		if len(s.early) >= peerset.MaxStatic {
			return peerset.ErrTooManyStatic
		}
		s.early = append(s.early, f)
		return nil
	case stopping:
		return ErrStopped
	}
	err := f(s)
	s.changed.Broadcast()
	if err != nil {
		return fmt.Errorf("p2p: %w", err)
	}
	return nil
}

func (s *Server) static(id enode.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set.Static(id)
}

func (s *Server) trusted(id enode.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set.Trusted(id)
}

// Addr returns the address that is listened on, or nil.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Self returns the local node with its current record. Before Start it is nil.
func (s *Server) Self() *enode.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.local == nil {
		return nil
	}
	return s.local.Node()
}

// NodeInfo describes the local node as admin_nodeInfo does. Before Start only the
// name is known.
func (s *Server) NodeInfo() *NodeInfo {
	info := &NodeInfo{Name: s.Config.withDefaults().Name, Protocols: make(map[string]any)}
	self, addr := s.Self(), s.Addr()
	s.mu.Lock()
	info.P2P.Reachable = s.reachable(time.Now())
	s.mu.Unlock()
	if self == nil {
		return info
	}
	info.ID, info.Enode, info.ENR = self.ID().String(), self.URL(), self.String()
	info.IP = self.Addr().String()
	if ep, ok := self.TCPEndpoint(); ok {
		info.Ports.Listener = int(ep.Port())
	}
	if ep, ok := self.UDPEndpoint(); ok {
		info.Ports.Discovery = int(ep.Port())
	}
	if addr != nil {
		info.ListenAddr = addr.String()
	}
	protocols := s.offered()
	for i := range protocols {
		p := &protocols[i]
		if _, ok := info.Protocols[p.Name]; ok {
			continue // versions of one protocol tell the same
		}
		var about any = "unknown"
		if p.NodeInfo != nil {
			about = p.NodeInfo()
		}
		info.Protocols[p.Name] = about
	}
	return info
}

// Stats returns the current counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		BytesIn:      s.traffic.in.Load(),
		BytesOut:     s.traffic.out.Load(),
		Accepted:     s.count.accepted.Load(),
		Dials:        s.count.dials.Load(),
		Served:       s.count.served.Load(),
		DialsOK:      s.count.dialsOK.Load(),
		PreEIP8:      s.count.preEIP8.Load(),
		Panics:       s.count.panics.Load(),
		UnaskedPongs: s.count.unaskedPongs.Load(),
		EventsLost:   s.events.lost(),
		Reachable:    s.reachable(time.Now()),
	}
	if s.set == nil {
		return st
	}
	st.Buffered = s.bufs.InUse()
	st.Peers = len(s.peers)
	st.Inbound, st.Dialed = s.set.Counts()
	st.PendingIn, st.PendingOut = s.set.Pending(), s.set.InFlight()
	st.Refused = s.set.Refused()
	st.PolicyDryRuns = s.set.DryRuns()
	st.Sources = make(map[string]Funnel)
	for source, f := range s.set.Funnels() {
		st.Sources[string(source)] = f
	}
	return st
}

// LocalNode returns a handle on the local node's record.
func (s *Server) LocalNode() *LocalNode { return &LocalNode{s} }

// A LocalNode changes the entries of the local node's record. A change raises
// the record's sequence number.
type LocalNode struct{ s *Server }

// Node returns the local node, nil before Start.
func (l *LocalNode) Node() *enode.Node { return l.s.Self() }

// Set adds entries to the record or replaces those with the same keys.
func (l *LocalNode) Set(entries ...enr.Entry) error {
	return l.s.changeLocal(func(local *localnode.Local) error { return local.Set(entries...) })
}

// FixAddr puts an address into the record that is known from elsewhere: what others
// say of addresses of its family no longer changes it. The ports stay.
func (l *LocalNode) FixAddr(addr netip.Addr) error {
	return l.s.changeLocal(func(local *localnode.Local) error { return local.FixAddr(addr) })
}

// Delete removes entries from the record.
func (l *LocalNode) Delete(keys ...string) error {
	return l.s.changeLocal(func(local *localnode.Local) error { return local.Delete(keys...) })
}

// announced returns the endpoint to put into the record for a listening address:
// where that is unspecified, only this host is known to reach it.
func announced(ap netip.AddrPort) netip.AddrPort {
	if ap.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port())
	}
	return ap
}
