package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"parley/discover"
	"parley/enode"
	"parley/enr"
	"parley/internal/localnode"
	"parley/internal/nodedb"
)

const (
	// seeds is how many nodes of the database are tried at the start.
	seeds = 32

	// seqReserve is how many sequence numbers are stored ahead, so that a record
	// can change under the mutex, where nothing waits for a disk. A restart goes on
	// behind them.
	seqReserve = 1000

	// bindAttempts is how often the system is asked for a port that is free for TCP
	// and UDP.
	bindAttempts = 10

	// noKeepAlive turns off what the system does to find dead connections. Ours have
	// a deadline until they are peers and pings from then on, and it would be four
	// system calls for each.
	noKeepAlive = -1
)

// bind opens what the configuration asks for: the listener, and the socket for
// discovery at the same port. Either may be nil. On an error nothing is left open
// but what was handed in.
func (c *Config) bind() (net.Listener, net.PacketConn, error) {
	for attempt := 1; ; attempt++ {
		listener := c.Listener
		if listener == nil && c.ListenAddr != "" {
			var err error
			lc := net.ListenConfig{KeepAlive: noKeepAlive}
			if listener, err = lc.Listen(context.Background(), "tcp", c.ListenAddr); err != nil {
				return nil, nil, fmt.Errorf("p2p: listen: %w", err)
			}
		}
		conn, err := c.bindUDP(listener)
		if err == nil {
			return listener, conn, nil
		}
		if listener != nil && listener != c.Listener {
			listener.Close()
		}
		if !c.anyPort() || !errors.Is(err, syscall.EADDRINUSE) || attempt == bindAttempts {
			return nil, nil, fmt.Errorf("p2p: discovery: %w", err)
		}
	}
}

// anyPort reports whether the system chooses the port that TCP and UDP share.
func (c *Config) anyPort() bool {
	_, port, err := net.SplitHostPort(c.ListenAddr)
	return err == nil && port == "0" && c.DiscAddr == "" && c.Listener == nil
}

// bindUDP opens the socket for discovery, nil if there is to be none.
func (c *Config) bindUDP(listener net.Listener) (net.PacketConn, error) {
	switch {
	case c.NoDiscovery:
		return nil, nil
	case c.DiscConn != nil:
		return c.DiscConn, nil
	case c.DiscAddr != "":
		return net.ListenPacket("udp", c.DiscAddr)
	case c.ListenAddr == "" || c.Listener != nil:
		return nil, nil
	}
	host, _, err := net.SplitHostPort(c.ListenAddr)
	if err != nil {
		return nil, err
	}
	port := addrPort(listener.Addr()).Port()
	return net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(int(port))))
}

// newLocal makes the local node: its key, what it listens on, and the attributes
// of the protocols. The sequence number continues behind those used before.
func (s *Server) newLocal(cfg *Config, listener net.Listener, conn net.PacketConn) (*localnode.Local, error) {
	name := nodedb.SelfName(enode.PubkeyID(cfg.PrivateKey.Public()))
	first, ok := s.db.Seq(name)
	if first++; !ok {
		first = uint64(time.Now().UnixMilli())
	}
	s.reserveSeq(first)
	local, err := localnode.New(cfg.PrivateKey, first)
	if err != nil {
		return nil, err
	}
	var entries []enr.Entry
	if listener != nil {
		if ap := addrPort(listener.Addr()); ap.IsValid() {
			entries = append(entries, localnode.Endpoint(announced(ap))...)
		}
	}
	if conn != nil {
		if ap := addrPort(conn.LocalAddr()); ap.IsValid() {
			entries = append(entries, localnode.UDPEndpoint(announced(ap))...)
		}
	}
	for i := range cfg.Protocols {
		entries = append(entries, cfg.Protocols[i].Attributes...)
	}
	if err := local.Set(entries...); err != nil {
		return nil, fmt.Errorf("p2p: own record: %w", err)
	}
	if addr, ok := externalAddr(cfg.NAT); ok {
		// What the operator says holds for both families.
		local.Hold(!addr.Is6())
		if err := local.FixAddr(addr); err != nil {
			return nil, fmt.Errorf("p2p: NAT: %w", err)
		}
	}
	return local, nil
}

// reserveSeq stores a number that no record reaches soon: a record is published
// only with a number that the database has confirmed. Without a database, or with
// one that cannot write, the number begins at the clock.
func (s *Server) reserveSeq(current uint64) {
	id := enode.PubkeyID(s.Config.PrivateKey.Public())
	s.reserved = current + seqReserve
	_ = s.db.StoreSeq(nodedb.SelfName(id), s.reserved)
}

// changeLocal applies f to the local node and publishes the record that it leads
// to.
func (s *Server) changeLocal(f func(*localnode.Local) error) error {
	changed, running := false, false
	err := s.change(func(s *Server) error {
		before := s.local.Node()
		err := f(s.local)
		changed, running = s.local.Node() != before, s.running()
		return err
	})
	if changed && running { // at Start it is published anyway
		s.publish()
	}
	return err
}

// publish tells discovery of the record as it is now. It waits for the disk now
// and then.
func (s *Server) publish() {
	s.publishing.Lock() // so that no older record comes after a newer one
	defer s.publishing.Unlock()
	node := s.Self()
	if node.Seq()+seqReserve/2 > s.reserved {
		s.reserveSeq(node.Seq())
	}
	if s.disc == nil {
		return
	}
	if err := s.disc.SetSelf(node); err != nil && !errors.Is(err, discover.ErrClosed) {
		s.log.Error("Cannot publish the own record", "err", err)
	}
}

// listenDiscovery starts discovery on conn.
func (s *Server) listenDiscovery(cfg *Config, conn net.PacketConn, self *enode.Node) (*discover.Service, error) {
	c := discover.Config{
		PrivateKey: cfg.PrivateKey, Self: self, V4: cfg.DiscoveryV4, V5: cfg.DiscoveryV5, Conn: conn,
		Exempt: append(append([]*enode.Node(nil), cfg.StaticNodes...), cfg.TrustedNodes...), NetRestrict: s.permitted(), Logger: cfg.Logger,
		Rate: cfg.DiscoveryRate, Sessions: cfg.DiscoverySessions,
	}
	for _, n := range append(append([]*enode.Node(nil), cfg.BootstrapNodes...), cfg.BootstrapNodesV5...) {
		if n.Hostname() == "" {
			c.Bootnodes = append(c.Bootnodes, n)
		}
	}
	rng := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for _, e := range s.db.Seeds(time.Now(), seeds, rng) {
		c.Seeds = append(c.Seeds, e.Node)
	}
	return discover.Listen(c)
}

// Discovery returns the Server's discovery service, nil if there is none or the
// Server does not run.
func (s *Server) Discovery() *discover.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	return s.disc
}

// resolveBootnodes looks up the bootnodes that are known by host name, and tells
// discovery.
func (s *Server) resolveBootnodes() {
	for _, n := range append(append([]*enode.Node(nil), s.cfg.BootstrapNodes...), s.cfg.BootstrapNodesV5...) {
		if n.Hostname() == "" {
			continue
		}
		ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
		found, _, err := locate(ctx, s.cfg.Resolver, n)
		cancel()
		if err != nil {
			s.log.Warn("Cannot look up a bootnode", "host", n.Hostname(), "err", err)
			continue
		}
		s.disc.Add(found)
	}
}

// followDiscovery takes in what discovery learned: nodes for the database, and
// what others say our endpoint is.
func (s *Server) followDiscovery() {
	for {
		select {
		case <-s.disc.Fresh():
		case <-s.disc.Done():
			return
		}
		news, now := s.disc.Take(), time.Now()
		for _, n := range news.Proven {
			if ep, ok := n.UDPEndpoint(); ok {
				s.db.Proven(now, n, ep)
			}
		}
		answered := make([]netip.Addr, 0, len(news.Votes))
		for _, v := range news.Votes {
			answered = append(answered, v.From)
			var changed bool
			err := s.changeLocal(func(l *localnode.Local) (err error) {
				changed, err = l.Vote(now, v.From, v.Endpoint)
				return err
			})
			if changed {
				s.log.Info("Others see us at another endpoint", "endpoint", v.Endpoint)
			}
			if err != nil && !errors.Is(err, ErrStopped) {
				s.log.Error("Cannot change the own record", "err", err)
			}
		}
		s.noteReach(now, answered, news.Strangers)
	}
}
