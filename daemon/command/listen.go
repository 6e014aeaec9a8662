package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"parley/daemon/datadir"
	"parley/daemon/discovery"
	"parley/daemon/jsonrpc"
	"parley/discover"
)

// tellEvery is how often a listening node tells how it is.
const tellEvery = 30 * time.Second

func rpcFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "rpc", Usage: "`HOST:PORT` serve JSON-RPC over HTTP; other than on loopback only with rpc.token"},
		&cli.StringFlag{Name: "rpc.token", Usage: "`FILE` file with the token that clients must send as Authorization: Bearer; made if it is not there"},
	}
}

// aboutListener is what --json prints about a node that listens.
type aboutListener struct {
	ID    string `json:"id"` // 64 hex digits
	Enode string `json:"enode"`
	ENR   string `json:"enr"`
	Addr  string `json:"addr"`          // of the UDP socket
	RPC   string `json:"rpc,omitempty"` // URL
}

func (a *app) listen(d dialect) cli.ActionFunc {
	return func(ctx context.Context, c *cli.Command) error {
		if err := noArgs(c); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		// From the first signal on, the next one has its usual effect.
		context.AfterFunc(ctx, stop)

		face, err := openFace(c)
		if err != nil {
			return err
		}
		s, err := a.openStation(ctx, c, d, slog.LevelInfo)
		if err != nil {
			return errors.Join(err, face.close())
		}
		defer s.Close()
		about := aboutListener{
			ID: s.self.ID().String(), Enode: s.self.URL(), ENR: s.self.Record().String(), Addr: s.Addr().String(), RPC: face.url(),
		}
		s.log.Info("Listening", "addr", about.Addr, "id", about.ID)
		if about.RPC != "" {
			s.log.Info("RPC server", "url", about.RPC)
		}
		if err := a.print(c, about, about.Enode+"\n"+about.ENR); err != nil {
			return errors.Join(err, face.close())
		}
		serving, cancel := context.WithCancel(ctx)
		failed := make(chan error, 1)
		var tasks sync.WaitGroup
		defer tasks.Wait()
		defer cancel()
		tasks.Go(func() { failed <- face.serve(serving, s, d) })
		return s.watch(ctx, d, failed)
	}
}

// watch tells how the node is, now and then, until ctx ends or something fails.
func (s *station) watch(ctx context.Context, d dialect, failed <-chan error) error {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	seen := make(sightings)
	for {
		select {
		case <-s.Fresh():
			seen.add(s.Take().Votes)
		case <-ticker.C:
			s.tell("Table", d, seen)
		case err := <-failed:
			if err != nil {
				return err
			}
		case <-s.Done():
			return discover.ErrClosed
		case <-ctx.Done():
			s.tell("Stopping", d, seen)
			return nil
		}
	}
}

// tell logs what the node knows and how many packets there were.
func (s *station) tell(message string, d dialect, seen sightings) {
	v4, v5 := s.Table().Live()
	stats := s.Stats()
	var in, out, dropped uint64
	if d.v4 {
		in, out, dropped = sum(stats.V4.Received), sum(stats.V4.Sent), sum(stats.V4.Dropped)
	} else {
		in, out, dropped = stats.V5.PacketsIn, stats.V5.PacketsOut, sum(stats.V5.Dropped)
	}
	s.log.Info(message, "live", v4+v5, "in", in, "out", out, "dropped", dropped)
	if at, votes := seen.most(); votes >= minSightings && !slices.Contains(slices.Collect(s.self.UDPEndpoints()), at) {
		s.log.Warn("Others see this node at another address than it announces: --extaddr changes that", "seen", at, "by", votes)
	}
}

func sum(counts map[string]uint64) (n uint64) {
	for count := range maps.Values(counts) {
		n += count
	}
	return n
}

const (
	// minSightings is how many hosts have to agree before they are worth a line.
	minSightings = 3
	maxSightings = 1024
)

// sightings are what other hosts said last where they see this one.
type sightings map[netip.Addr]netip.AddrPort

func (m sightings) add(votes []discover.Vote) {
	for _, v := range votes {
		if _, ok := m[v.From]; ok || len(m) < maxSightings {
			m[v.From] = v.Endpoint
		}
	}
}

// most returns the endpoint that most hosts said, and how many.
func (m sightings) most() (at netip.AddrPort, votes int) {
	counts := make(map[netip.AddrPort]int)
	for _, e := range m {
		if counts[e]++; counts[e] > votes {
			at, votes = e, counts[e]
		}
	}
	return at, votes
}

// A face is the RPC server of a node that listens. Its zero value is none.
type face struct {
	listener net.Listener
	token    string
}

// openFace opens the RPC listener, if the flags ask for one.
func openFace(c *cli.Command) (*face, error) {
	f := &face{}
	addr, file := c.String("rpc"), c.String("rpc.token")
	if addr == "" {
		if file != "" {
			return nil, usagef("--rpc.token needs --rpc")
		}
		return f, nil
	}
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, usagef("--rpc %q: want HOST:PORT: %w", addr, err)
	}
	if !at.IP.IsLoopback() && file == "" {
		return nil, usagef("--rpc %s is not a loopback address, so anybody could call: name a file with --rpc.token", addr)
	}
	if file != "" {
		if f.token, err = datadir.Token(file); err != nil {
			return nil, err
		}
	}
	if f.listener, err = net.ListenTCP("tcp", at); err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return f, nil
}

func (f *face) url() string {
	if f.listener == nil {
		return ""
	}
	return "http://" + f.listener.Addr().String()
}

// serve serves until ctx ends.
func (f *face) serve(ctx context.Context, s *station, d dialect) error {
	if f.listener == nil {
		<-ctx.Done()
		return nil
	}
	rpc := jsonrpc.NewServer(s.log)
	if d.v4 {
		discovery.RegisterV4(rpc, s.Service, s.self)
	} else {
		discovery.RegisterV5(rpc, s.Service, s.self)
	}
	return rpc.NewHTTPServer(jsonrpc.HTTPOptions{Namespaces: []string{d.name}, Hosts: []string{"localhost"}, Token: f.token}).Serve(ctx, f.listener)
}

func (f *face) close() error {
	if f.listener == nil {
		return nil
	}
	return f.listener.Close()
}
