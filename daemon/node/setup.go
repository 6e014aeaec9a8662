package node

import (
	"context"
	"sync"

	"parley/daemon/admin"
	"parley/daemon/config"
	"parley/daemon/jsonrpc"
	"parley/p2p"
)

// A setup tells how the node is set up.
type setup struct {
	srv *p2p.Server

	mu sync.Mutex // guards s, which is replaced and never changed
	s  *config.Settings
}

func newSetup(srv *p2p.Server, s *config.Settings) *setup { return &setup{srv: srv, s: s} }

// replace puts other settings in the place of those there were.
func (u *setup) replace(s *config.Settings) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.s = s
}

func (u *setup) settings() *config.Settings {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.s
}

// method is p2p_setup.
func (u *setup) method(_ context.Context, p jsonrpc.Params) (any, error) {
	if err := p.Decode(); err != nil {
		return nil, err
	}
	s := u.settings()
	out := admin.Setup{
		MaxPeers: s.MaxPeers, MaxInbound: u.srv.MaxInboundConns(), MaxDialed: u.srv.MaxDialedConns(),
		Dialing: !s.NoDial, Bootnodes: []string{}, DNSLists: []string{}, NetRestrict: []string{},
	}
	if addr := u.srv.Addr(); addr != nil {
		out.Listen = addr.String()
	}
	if disc := u.srv.Discovery(); disc != nil {
		out.Discovery = &admin.DiscoverySetup{V4: s.DiscoveryV4, V5: s.DiscoveryV5, Listen: disc.Addr().String()}
		for _, n := range s.Bootnodes {
			out.Bootnodes = append(out.Bootnodes, n.String())
		}
	}
	for _, link := range s.DNSLists {
		out.DNSLists = append(out.DNSLists, link.String())
	}
	for _, prefix := range s.NetRestrict {
		out.NetRestrict = append(out.NetRestrict, prefix.String())
	}
	return out, nil
}
