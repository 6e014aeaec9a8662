package discover

import (
	"net/netip"
	"sync"

	"parley/enode"
	"parley/internal/discv4"
	"parley/internal/discv5"
)

// maxNews bounds each kind of news that waits for the owner.
const maxNews = 1024

// A Vote is what another node that was asked says the endpoint of this one is.
type Vote struct {
	From     netip.Addr
	Endpoint netip.AddrPort
}

// News are what the owner of a Service may want to know.
type News struct {
	// Votes about the endpoint of this node.
	Votes []Vote

	// Proven are nodes that proved their endpoint: what a database should keep.
	Proven []*enode.Node

	// Strangers are hosts with public addresses from which a packet for this node
	// came, though this node had sent them nothing for 10 minutes: it came through no
	// hole that a NAT keeps for answers. Of each family of addresses one a minute is
	// told.
	Strangers []netip.Addr

	// Lost is how many were thrown away because nobody took them.
	Lost int
}

// Fresh returns a channel that can be received from when there is something for
// Take. It is for one owner.
func (s *Service) Fresh() <-chan struct{} { return s.news.bell }

// Take returns the news since it was called last. At most 1024 of each kind wait;
// after that the older ones go.
func (s *Service) Take() News { return s.news.take() }

// A newsDesk keeps news until they are taken.
type newsDesk struct {
	bell chan struct{}

	mu  sync.Mutex // guards the field below
	all News
}

func newNewsDesk() *newsDesk { return &newsDesk{bell: make(chan struct{}, 1)} }

func (d *newsDesk) add(out4 discv4.Output, out5 discv5.Output) {
	if len(out4.Votes)+len(out5.Votes)+len(out4.Proven)+len(out5.Proven) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range out4.Votes {
		d.all.Votes = append(d.all.Votes, Vote(v))
	}
	for _, v := range out5.Votes {
		d.all.Votes = append(d.all.Votes, Vote(v))
	}
	d.all.Proven = append(append(d.all.Proven, out4.Proven...), out5.Proven...)
	d.all.Votes = newest(d.all.Votes, &d.all.Lost)
	d.all.Proven = newest(d.all.Proven, &d.all.Lost)
	d.ring()
}

// came adds a stranger.
func (d *newsDesk) came(from netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all.Strangers = newest(append(d.all.Strangers, from), &d.all.Lost)
	d.ring()
}

// ring says that there is something. Caller holds mu.
func (d *newsDesk) ring() {
	select {
	case d.bell <- struct{}{}:
	default:
	}
}

// newest returns the end of list, as much as may wait, and counts the rest.
func newest[T any](list []T, lost *int) []T {
	over := len(list) - maxNews
	if over <= 0 {
		return list
	}
	*lost += over
	n := copy(list, list[over:])
	clear(list[n:])
	return list[:n]
}

func (d *newsDesk) take() News {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.all
	d.all = News{}
	return all
}
