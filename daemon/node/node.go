// Package node is the running daemon: the library's Server with the eth
// protocol, the API on its socket and over HTTP, and a log that tells a person
// what happens.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"parley/daemon/admin"
	"parley/daemon/config"
	"parley/daemon/datadir"
	"parley/daemon/discovery"
	"parley/daemon/ipc"
	"parley/daemon/jsonrpc"
	"parley/daemon/version"
	"parley/enode"
	"parley/p2p"
)

// stopTime is how long an orderly end may take. Whoever asked for it, a person or
// a service manager, waits.
const stopTime = 1900 * time.Millisecond

// ErrStopTimeout is returned by Run if the node did not end in time.
var ErrStopTimeout = errors.New("node: the orderly end took too long")

// Options say how to run a node.
type Options struct {
	Config *config.Loaded
	Build  string // what the program was built from, for the log
	Log    *slog.Logger
	Level  *slog.LevelVar // of Log

	// Reload reads the configuration again, whenever something comes from Hangup.
	// Without Hangup it is never called.
	Hangup <-chan os.Signal
	Reload func() (*config.Loaded, error)
}

// Run runs a node until ctx ends. It returns nil after an orderly end, within two
// seconds of ctx's.
func Run(ctx context.Context, o Options) error {
	s, log := &o.Config.Settings, o.Log
	log.Info("Parley", "version", version.String(o.Build), "network", networkName(s), "datadir", s.DataDir)
	dir, err := datadir.Open(s.DataDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	key, err := nodeKey(s, dir, log)
	if err != nil {
		return err
	}
	chain, err := newChain(s, log)
	if err != nil {
		return err
	}
	cfg, err := serverConfig(s, dir, key, log)
	if err != nil {
		return err
	}
	cfg.Protocols = chain.Protocols()
	srv := &p2p.Server{Config: cfg}

	rpc := jsonrpc.NewServer(log)
	admin.Register(rpc, srv, admin.Info{
		ClientVersion: cfg.Name,
		NetworkID:     chain.network,
		DataDir:       dir.Path(),
		EthStats:      chain.Stats,
	})
	setup := newSetup(srv, s)
	rpc.Register("p2p_setup", setup.method)
	faces, err := listen(s, dir, log)
	if err != nil {
		return err
	}
	defer faces.close()

	var tasks sync.WaitGroup
	report := newReporter(srv, cfg.StaticNodes, log)
	// The events end with srv.Stop, so that the log has the last ones too.
	following, unfollow := context.WithCancel(context.WithoutCancel(ctx))
	defer unfollow()
	events := srv.Events(following)
	if err := srv.Start(); err != nil {
		return err
	}
	serving, cancel := context.WithCancel(ctx)
	stop := func() {
		cancel()
		srv.Stop()
		tasks.Wait()
	}
	discovery.RegisterTable(rpc, srv.Discovery())
	discovery.RegisterPing(rpc, srv.Discovery())
	announce(srv, log) // before the first peer
	tasks.Go(func() { report.follow(events) })
	tasks.Go(func() { report.summarize(serving) })
	failed := faces.serve(serving, rpc, s, &tasks)
	changes := &reloader{srv: srv, dir: dir, log: log, level: o.Level, setup: setup, report: report,
		started: o.Config, inForce: inForce{s, cfg.StaticNodes, cfg.TrustedNodes}}

	for running := true; running; {
		select {
		case <-ctx.Done():
			log.Info("Stopping", "peers", srv.PeerCount())
			running = false
		case err = <-failed:
			log.Error("Stopping", "err", err)
			running = false
		case <-o.Hangup:
			changes.reload(o.Reload)
		}
	}
	return errors.Join(err, inTime(stop))
}

// inTime calls stop and waits for it, but not for ever: the process ends anyway.
func inTime(stop func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		stop()
	}()
	select {
	case <-done:
		return nil
	case <-time.After(stopTime):
		return ErrStopTimeout
	}
}

// announce tells where the node can be reached.
func announce(srv *p2p.Server, log *slog.Logger) {
	self := srv.Self()
	if srv.Addr() == nil {
		log.Info("Not listening", "id", self.ID())
		return
	}
	log.Info("Listening", "addr", srv.Addr().String(), "enode", self.URL())
}

// nodeKey returns the key that the settings name, or that of the data directory.
func nodeKey(s *config.Settings, dir *datadir.Dir, log *slog.Logger) (*enode.PrivateKey, error) {
	switch {
	case s.NodeKeyHex != nil:
		return s.NodeKeyHex, nil
	case s.NodeKey != "":
		key, err := datadir.ReadKey(s.NodeKey)
		if err != nil {
			return nil, fmt.Errorf("%w (make one with: parley key generate %s)", err, s.NodeKey)
		}
		return key, nil
	}
	key, made, err := dir.NodeKey()
	if made && err == nil {
		log.Info("New node key", "file", dir.KeyFile(), "id", enode.PubkeyID(key.Public()))
	}
	return key, err
}

// serverConfig translates the settings for the library.
func serverConfig(s *config.Settings, dir *datadir.Dir, key *enode.PrivateKey, log *slog.Logger) (p2p.Config, error) {
	static, err := withFile(s.StaticPeers, dir, staticFile, log)
	if err != nil {
		return p2p.Config{}, err
	}
	trusted, err := withFile(s.TrustedPeers, dir, trustedFile, log)
	if err != nil {
		return p2p.Config{}, err
	}
	cfg := p2p.Config{
		PrivateKey:      key,
		MaxPeers:        maxPeers(s),
		MaxPendingPeers: s.MaxPendPeers,
		DialRatio:       s.DialRatio,
		Name:            version.Client(s.Identity),
		StaticNodes:     static,
		TrustedNodes:    trusted,
		NetRestrict:     s.NetRestrict,
		Proxy:           s.Proxy,
		ListenAddr:      net.JoinHostPort(s.ListenAddr, strconv.Itoa(int(s.Port))),
		NoDial:          s.NoDial,
		NoDiscovery:     s.NoDiscover || !s.DiscoveryV4 && !s.DiscoveryV5,
		DiscoveryV4:     s.DiscoveryV4,
		DiscoveryV5:     s.DiscoveryV5,
		NAT:             s.NAT,
		BootstrapNodes:  s.Bootnodes,
		NodeDatabase:    dir.Database(),
		EnableMsgEvents: s.MsgEvents,
		Logger:          log,
	}
	for _, l := range s.DNSLists {
		cfg.DNSDiscovery = append(cfg.DNSDiscovery, l.String())
	}
	if s.DiscoveryPort != 0 {
		cfg.DiscAddr = net.JoinHostPort(s.ListenAddr, strconv.Itoa(int(s.DiscoveryPort)))
	}
	return cfg, nil
}

// maxPeers returns the number of peers as the library has it, where zero is the
// default and negative is none.
func maxPeers(s *config.Settings) int {
	if s.MaxPeers == 0 {
		return -1
	}
	return s.MaxPeers
}

// Files in the data directory with more nodes.
const (
	staticFile  = "static-nodes.json"
	trustedFile = "trusted-nodes.json"
)

// withFile adds the nodes of a file in the data directory, which is where the
// operators of private networks keep them.
func withFile(nodes []*enode.Node, dir *datadir.Dir, name string, log *slog.Logger) ([]*enode.Node, error) {
	path, ok := dir.Find(name)
	if !ok {
		return nodes, nil
	}
	more, err := config.ReadNodes(path)
	if err != nil {
		return nil, err
	}
	log.Info("Nodes from file", "file", path, "count", len(more))
	return append(nodes, more...), nil
}

// faces are the listeners of the API.
type faces struct {
	ipc   *ipc.Listener // nil: off
	http  net.Listener  // nil: off
	token string
}

// listen opens the API's listeners.
func listen(s *config.Settings, dir *datadir.Dir, log *slog.Logger) (*faces, error) {
	f := &faces{}
	if err := f.open(s, dir, log); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *faces) open(s *config.Settings, dir *datadir.Dir, log *slog.Logger) (err error) {
	if !s.IPCDisable {
		path := datadir.Socket(dir.Path(), s.IPCPath)
		if f.ipc, err = ipc.Listen(path); err != nil {
			return err
		}
		log.Info("IPC socket", "path", path)
	}
	if !s.HTTP {
		return nil
	}
	tokenFile := "none"
	if !s.HTTPNoAuth {
		if tokenFile = s.HTTPToken; tokenFile == "" {
			tokenFile = dir.TokenFile()
		}
		if f.token, err = datadir.Token(tokenFile); err != nil {
			return err
		}
	}
	f.http, err = net.Listen("tcp", net.JoinHostPort(s.HTTPAddr, strconv.Itoa(int(s.HTTPPort))))
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	log.Info("HTTP server", "url", "http://"+f.http.Addr().String(), "api", s.HTTPAPI, "token", tokenFile)
	return nil
}

// serve serves until ctx ends. The channel gets the error of a face that ended
// before.
func (f *faces) serve(ctx context.Context, rpc *jsonrpc.Server, s *config.Settings, tasks *sync.WaitGroup) <-chan error {
	failed := make(chan error, 2)
	run := func(serve func() error) {
		if err := serve(); err != nil && ctx.Err() == nil {
			failed <- err
		}
	}
	if f.ipc != nil {
		tasks.Go(func() { run(func() error { return rpc.Serve(ctx, f.ipc) }) })
	}
	if f.http != nil {
		face := rpc.NewHTTPServer(jsonrpc.HTTPOptions{
			Namespaces: s.HTTPAPI, Hosts: s.HTTPHosts, Origins: s.HTTPOrigins, Token: f.token,
		})
		tasks.Go(func() { run(func() error { return face.Serve(ctx, f.http) }) })
	}
	return failed
}

func (f *faces) close() {
	if f.ipc != nil {
		f.ipc.Close()
	}
	if f.http != nil {
		f.http.Close()
	}
}
