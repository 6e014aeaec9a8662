// Package bootnode is a node that others ask first for nodes, and that does nothing
// else: discovery v4 and v5 on one UDP port.
package bootnode

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"parley/daemon/version"
	"parley/discover"
	"parley/enode"
	"parley/nat"
	"parley/p2p"
)

// Everybody who joins a network asks its bootnodes, most of them as strangers. So
// more is looked at than a node would look at, up to what two cores can do, and
// more sessions are kept, in 64 MiB.
const (
	rate     = 20_000
	sessions = 16_384
)

// A Config is for [Run].
type Config struct {
	// PrivateKey is the node's identity.
	PrivateKey *enode.PrivateKey

	// Addr is the UDP address to listen on, as "host:port".
	Addr string

	// NAT is how the address is found out that others reach the node at. The zero
	// Method means that it is learned from them.
	NAT nat.Method

	// NetRestrict, if not empty, is the list of networks outside of which nobody is
	// answered.
	NetRestrict []netip.Prefix

	// Started is called once, with the node as its record has it. An error of
	// it ends the node.
	Started func(*enode.Node) error

	Logger *slog.Logger
}

// Run runs a bootnode until ctx ends, and returns nil after an orderly end.
//
// It keeps nothing on disk. The sequence number of its record begins at the
// clock, in milliseconds, so that it does not go back across restarts.
func Run(ctx context.Context, cfg Config) error {
	srv := &p2p.Server{Config: p2p.Config{
		PrivateKey:        cfg.PrivateKey,
		MaxPeers:          -1,
		NoDial:            true,
		Name:              version.Client(""),
		DiscAddr:          cfg.Addr,
		DiscoveryV4:       true,
		DiscoveryV5:       true,
		DiscoveryRate:     rate,
		DiscoverySessions: sessions,
		NAT:               cfg.NAT,
		NetRestrict:       cfg.NetRestrict,
		Logger:            cfg.Logger,
	}}
	if err := srv.Start(); err != nil {
		return err
	}
	defer srv.Stop()
	self := srv.Self()
	if err := cfg.Started(self); err != nil {
		return err
	}
	cfg.Logger.Info("Bootnode up", "udp", endpoint(self), "id", self.ID(), "seq", self.Seq())
	tell(ctx, srv, cfg.Logger)
	cfg.Logger.Info("Stopping")
	return nil
}

func endpoint(n *enode.Node) string {
	at, _ := n.UDPEndpoint()
	return at.String()
}

// statusEvery is the time between two status lines.
const statusEvery = 30 * time.Second

// tell logs a status line now and then, and the record when it has changed, until
// ctx ends.
func tell(ctx context.Context, srv *p2p.Server, log *slog.Logger) {
	every := time.NewTicker(statusEvery)
	defer every.Stop()
	self, before := srv.Self(), discover.Stats{}
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		if now := srv.Self(); now.Seq() != self.Seq() {
			self = now
			log.Info("The own record has changed", "enode", self.URL(), "enr", self.Record().String())
		}
		disc := srv.Discovery()
		now := disc.Stats()
		log.Info("Status", status(disc.Table(), before, now)...)
		before = now
	}
}
