package p2p

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"parley/dnsdisc"
	"parley/enode"
	"parley/internal/peerset"
)

const (
	// sourcePause is the rest before an exhausted source is asked again.
	sourcePause = 10 * time.Second

	// maxRecordRequests is how many nodes are asked for their records at a time,
	// recordTimeout for how long.
	maxRecordRequests = 16
	recordTimeout     = 3 * time.Second
)

// startSources starts to take candidates from everywhere. Each source has a
// goroutine of its own, so that a slow one starves nobody; all of them rest while
// no more peers are wanted.
func (s *Server) startSources() {
	s.mu.Lock()
	for i := range s.protocols {
		s.askSource(&s.protocols[i])
	}
	s.mu.Unlock()
	s.tasks.Go(func() { s.pullOnce(s.ctx, peerset.SourceDB, s.remembered, s.offered) })
	if s.dns != nil {
		s.tasks.Go(func() { s.pull(s.ctx, peerset.SourceDNS, s.dns.Nodes, s.offered) })
	}
	if s.disc != nil && s.cfg.DiscoveryV4 {
		s.tasks.Go(func() { s.pull(s.ctx, peerset.SourceV4, s.disc.NodesV4, s.offered) })
	}
	if s.disc != nil && s.cfg.DiscoveryV5 {
		s.tasks.Go(func() { s.pull(s.ctx, peerset.SourceV5, s.disc.NodesV5, s.offered) })
	}
}

// newDNS makes the client of the lists in DNS, nil if there are none. It stores their
// sequence numbers in the node database.
func (c *Config) newDNS(store dnsdisc.Store) (*dnsdisc.Client, error) {
	if len(c.DNSDiscovery) == 0 {
		return nil, nil
	}
	links, err := c.dnsLinks()
	if err != nil {
		return nil, err
	}
	return dnsdisc.NewClient(dnsdisc.Config{
		Lists: links, Resolver: c.DNSResolver, Store: store, Logger: c.Logger,
		// Whoever confined the node to some networks meant them.
		Private: len(c.NetRestrict) > 0,
	})
}

func (c *Config) dnsLinks() (links []dnsdisc.Link, err error) {
	for _, url := range c.DNSDiscovery {
		link, err := dnsdisc.ParseLink(url)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", url, err)
		}
		links = append(links, link)
	}
	return links, nil
}

// remembered yields nodes that were there before the restart.
func (s *Server) remembered(context.Context) iter.Seq[*enode.Node] {
	return func(yield func(*enode.Node) bool) {
		rng := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
		for _, e := range s.db.Seeds(time.Now(), seeds, rng) {
			if _, ok := e.Node.TCPEndpoint(); ok && !yield(e.Node) {
				return
			}
		}
	}
}

// pull takes candidates from a source while they are of use, each of which one of
// the given protocols must accept. Without demand for peers the source is not
// asked. It ends with ctx, which Stop ends too.
func (s *Server) pull(ctx context.Context, name peerset.Source, source Source, protocols func() []Protocol) {
	for s.pullOnce(ctx, name, source, protocols) {
		select {
		case <-time.After(sourcePause):
		case <-ctx.Done():
		}
	}
}

// pullOnce is pull until the source has no more. It returns false when ctx has ended.
func (s *Server) pullOnce(ctx context.Context, name peerset.Source, source Source, protocols func() []Protocol) bool {
	if !s.waitForDemand(ctx, name) {
		return false
	}
	for n := range source(ctx) {
		switch of := protocols(); {
		case n == nil || ctx.Err() != nil:
		case n.Record() == nil && s.disc != nil && filters(of):
			s.identify(ctx, name, of, n)
		default:
			s.offer(ctx, name, of, n)
		}
		if !s.waitForDemand(ctx, name) {
			return false
		}
	}
	return true
}

// waitForDemand blocks until the peer set wants candidates of a source and not too
// many are being identified. It returns false when ctx has ended.
func (s *Server) waitForDemand(ctx context.Context, name peerset.Source) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.asking(ctx) && (s.set.Wanted(time.Now(), name) == 0 || s.identifying >= maxRecordRequests) {
		s.changed.Wait()
	}
	return s.asking(ctx)
}

// asking reports whether a source that is asked until ctx ends still is. Caller holds
// mu.
func (s *Server) asking(ctx context.Context) bool { return s.running() && ctx.Err() == nil }

// identify asks a node for its record, by which the protocols tell whether they have
// a use for it, and then offers it. Nodes found by discovery v4 come without one.
// One that does not send it is offered as it is: some never do.
func (s *Server) identify(ctx context.Context, name peerset.Source, protocols []Protocol, n *enode.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.asking(ctx) || !s.set.Offerable(time.Now(), n.ID()) {
		return
	}
	s.identifying++
	s.tasks.Go(func() {
		wait, cancel := context.WithTimeout(ctx, recordTimeout)
		defer cancel()
		if found, err := s.disc.RequestENR(wait, n); err == nil {
			if _, ok := found.TCPEndpoint(); ok {
				n = found
			}
		}
		s.offer(ctx, name, protocols, n)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.identifying--
		s.changed.Broadcast()
	})
}

// offer hands a candidate to the peer set. The filters and the policy are the user's
// code and run before the lock.
func (s *Server) offer(ctx context.Context, name peerset.Source, protocols []Protocol, n *enode.Node) {
	c := peerset.Candidate{Node: n, Source: name, Filtered: filter(protocols, n)}
	if c.Filtered == nil {
		c.Policy = s.opinion(Question{Ask: AskOffer, ID: n.ID(), Node: n, Source: string(name)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking(ctx) && s.set.Offer(time.Now(), c) == nil {
		s.changed.Broadcast()
	}
}

// filters reports whether every one of the protocols looks at candidates.
func filters(protocols []Protocol) bool {
	for i := range protocols {
		if protocols[i].Filter == nil {
			return false
		}
	}
	return true
}

// filter returns nil if one of the protocols has a use for n, and otherwise what
// the first one has against it.
func filter(protocols []Protocol, n *enode.Node) (first error) {
	for i := range protocols {
		p := &protocols[i]
		if p.Filter == nil {
			return nil
		}
		err := p.Filter(n)
		if err == nil {
			return nil
		}
		if first == nil {
			first = fmt.Errorf("%v: %w", p.Cap(), err)
		}
	}
	return first
}
