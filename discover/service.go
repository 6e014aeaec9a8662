// Package discover finds nodes: it runs discovery v4 and v5 on one UDP socket,
// answers other nodes, keeps tables of them and looks for more.
//
// A [Service] is the shell around the two protocols, which are engines that know
// neither sockets nor clocks. One mutex guards both engines. Whoever has something
// for them, the reader of the socket, a caller or the clock, takes it, and does in
// one place what comes of that. Several services in one process share nothing.
//
//	s, err := discover.Listen(discover.Config{PrivateKey: key, V5: true, Bootnodes: boot})
//	…
//	for n := range s.Nodes(ctx) {
//		… // found just now
//	}
//	s.Close()
package discover

import (
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/enode"
	"parley/internal/discv4"
	"parley/internal/discv5"
	"parley/internal/netaddr"
	"parley/internal/reach"
)

// A Service takes part in discovery until it is closed. Its methods are safe for
// concurrent use.
type Service struct {
	cfg     Config
	id      enode.ID
	log     *slog.Logger
	sockets *sockets

	mu          sync.Mutex     // guards the fields below; held by in and look only
	v4          *discv4.Engine // guarded is what it points to; one of the engines may be nil
	v5          *discv5.Engine
	calls       map[callKey]chan<- outcome
	out         []outgoing
	writeLogged time.Time
	alarm       time.Time // when the timer rings; zero: it rang
	noWay       noWay
	holes       reach.Holes
	cameLast    [2]time.Time // when a stranger was last told of, by IPv4 and IPv6

	timer *time.Timer
	talks *talkDesk
	news  *newsDesk

	readErrors, writeErrors atomic.Uint64

	once    sync.Once
	closing chan struct{} // closed when the end begins
	done    chan struct{} // closed when the sockets are
	tasks   sync.WaitGroup
}

// Listen opens the socket, unless it is given one, and starts a Service. All that
// is wrong with the Config is one error. If there is an error, the sockets of the
// Config are left open.
func Listen(cfg Config) (*Service, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("discover: listen: %w", err)
	}
	own := cfg.Conn == nil
	if own {
		addr := cfg.Addr
		if addr == "" {
			addr = ":0"
		}
		conn, err := net.ListenPacket("udp", addr)
		if err != nil {
			return nil, fmt.Errorf("discover: %w", err)
		}
		cfg.Conn = conn
	}
	s, err := newService(cfg)
	if err != nil {
		if own {
			cfg.Conn.Close()
		}
		return nil, fmt.Errorf("discover: listen: %w", err)
	}
	s.start()
	return s, nil
}

// newService makes a Service that does not run yet.
func newService(cfg Config) (*Service, error) {
	s := &Service{
		cfg:     cfg,
		log:     cfg.Logger,
		sockets: newSockets(cfg.Conn, cfg.Conn6),
		calls:   make(map[callKey]chan<- outcome),
		news:    newNewsDesk(),
		closing: make(chan struct{}),
		done:    make(chan struct{}),

		// The first call of Advance starts the engines, and nothing puts it off.
		alarm: time.Now(),
		timer: time.NewTimer(0),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.talks = newTalkDesk(s)
	if cfg.Self == nil {
		self, err := ownRecord(cfg.PrivateKey, s.Addr())
		if err != nil {
			return nil, err
		}
		cfg.Self = self
	}
	s.id = cfg.Self.ID()
	return s, s.newEngines(cfg)
}

func (s *Service) newEngines(cfg Config) error {
	ids, addrs, err := cfg.exempt()
	if err != nil {
		return err
	}
	restrict, err := netaddr.ListOf(cfg.NetRestrict...)
	if err != nil {
		return err
	}
	var errs [2]error
	if cfg.V4 {
		s.v4, errs[0] = discv4.New(discv4.Config{
			Key: cfg.PrivateKey, Self: cfg.Self, Rand: newRand(), Restrict: restrict,
			Bootnodes: cfg.Bootnodes, Limits: discv4.Limits{Rate: cfg.Rate},
		})
		if errs[0] == nil {
			s.v4.SetExempt(ids, addrs)
		}
	}
	if cfg.V5 {
		c := discv5.Config{
			Key: cfg.PrivateKey, Self: cfg.Self, Rand: newRand(), Restrict: restrict,
			Bootnodes: cfg.Bootnodes, Protocol: cfg.ProtocolID, Sessions: cfg.Sessions,
			NoIPv4: s.sockets.v4 == nil, NoIPv6: s.sockets.v6 == nil,
		}
		c.Table.Exempt = ids
		s.v5, errs[1] = discv5.New(c)
	}
	return errors.Join(errs[:]...)
}

// newRand returns a generator with a secret seed that nobody shares.
func newRand() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	return rand.New(rand.NewChaCha8(seed))
}

// start starts the goroutines: one reader for each socket, and the clock.
func (s *Service) start() {
	for _, socket := range s.sockets.all {
		s.tasks.Go(func() { s.readLoop(socket) })
	}
	s.tasks.Go(s.clockLoop)
	for _, n := range s.cfg.Seeds[:min(len(s.cfg.Seeds), maxSeeds)] {
		s.Add(n)
	}
}

// Close ends all calls and closes the sockets. It returns when everything that the
// Service started has ended, talk handlers included. Closing again does nothing.
func (s *Service) Close() {
	s.shut()
	s.tasks.Wait()
}

// Done returns a channel that is closed when the Service has ended, by Close or
// because a socket was closed behind its back.
func (s *Service) Done() <-chan struct{} { return s.done }

// shut brings about the end: the engines are not called any more, and the readers
// and the clock return.
func (s *Service) shut() {
	s.once.Do(func() {
		close(s.closing)
		s.talks.stop()
		s.sockets.close()
		close(s.done)
	})
}

func (s *Service) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// fail ends the Service after an error that does not pass.
func (s *Service) fail(err error) {
	if !s.isClosing() {
		s.log.Error("Discovery ends because its socket was closed", "err", err)
	}
	s.shut()
}

// Addr returns the local address of the socket, or of that for IPv4 if there are
// two.
func (s *Service) Addr() netip.AddrPort { return localAddr(s.cfg.Conn) }

// SetSelf replaces the record that others are told. It is an error if n has no
// record, or one of another key.
func (s *Service) SetSelf(n *enode.Node) error {
	var err error
	ok := s.in(func(time.Time) {
		if s.v4 != nil {
			err = s.v4.SetSelf(n)
		}
		if s.v5 != nil {
			err = errors.Join(err, s.v5.SetSelf(n))
		}
	})
	switch {
	case !ok:
		return fmt.Errorf("discover: set own node: %w", ErrClosed)
	case err != nil:
		return fmt.Errorf("discover: set own node: %w", err)
	}
	return nil
}

// SetNetRestrict replaces Config.NetRestrict. Nodes outside of it leave the tables.
func (s *Service) SetNetRestrict(prefixes ...netip.Prefix) error {
	list, err := netaddr.ListOf(prefixes...)
	if err != nil {
		return fmt.Errorf("discover: set permitted networks: %w", err)
	}
	ok := s.in(func(now time.Time) {
		if s.v4 != nil {
			s.v4.SetRestrict(now, list)
		}
		if s.v5 != nil {
			s.v5.SetRestrict(now, list)
		}
	})
	if !ok {
		return fmt.Errorf("discover: set permitted networks: %w", ErrClosed)
	}
	return nil
}

// Add tells the tables of a node that the owner knows from elsewhere: a database, a
// list. It becomes part of them if it answers and there is room.
func (s *Service) Add(n *enode.Node) {
	s.in(func(now time.Time) {
		if s.v4 != nil {
			s.v4.Add(now, n)
		}
		if s.v5 != nil {
			s.v5.Ping(now, n)
		}
	})
}
