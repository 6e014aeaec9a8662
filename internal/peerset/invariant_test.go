package peerset

import (
	"maps"
	"net/netip"

	"parley/internal/netaddr"
)

// checkSet checks that the sums of a Set are those of its parts and that nothing is
// above its bound.
func checkSet(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *Set) {
	t.Helper()
	inbound, dialed, above := 0, 0, 0
	crowd := make(crowd)
	hosts, nets := make(map[netip.Prefix]int), make(map[netip.Prefix]int)
	for id, p := range s.peers {
		if p.countsInbound {
			inbound++
		}
		if p.countsDialed {
			dialed++
			crowd.count(+1, p.addr.Addr())
		}
		if p.countsAsPublic {
			hosts[netaddr.HostKey(p.addr.Addr())]++
			nets[netaddr.NetKey(p.addr.Addr())]++
		}
		if s.trusted[id] != nil {
			above++
		}
	}
	d := &s.dialer
	flying, dynamic := 0, 0
	for _, tg := range d.targets {
		if tg.dialing {
			flying++
		}
		if tg.dialing && tg.dynamic {
			dynamic++
			crowd.count(+1, tg.held...)
		}
	}
	if inbound != s.inbound || dialed != s.dialed || above != s.above || flying != len(d.flying) {
		t.Fatalf("inbound %d, dialed %d, trusted %d, in flight %d; the parts are %d, %d, %d, %d",
			s.inbound, s.dialed, s.above, len(d.flying), inbound, dialed, above, flying)
	}
	if !maps.Equal(crowd, s.crowd) {
		t.Fatalf("by network %v are counted, and there are %v", s.crowd, crowd)
	}
	for key, u := range s.door.hosts {
		if u.peers != hosts[key] {
			t.Fatalf("%d inbound peers are counted at %v, and there are %d", u.peers, key, hosts[key])
		}
	}
	for key, u := range s.door.nets {
		if u.peers != nets[key] {
			t.Fatalf("%d inbound peers are counted in %v, and there are %d", u.peers, key, nets[key])
		}
	}
	waiting, dynamicTargets := 0, 0
	for _, tg := range d.targets {
		if tg.waiting {
			waiting++
		}
		if !tg.static {
			dynamicTargets++
		}
	}
	queued := 0
	for _, q := range d.queues {
		queued += len(q.waiting)
		for _, id := range q.waiting {
			if tg := d.targets[id]; tg == nil || !tg.waiting || d.queue(tg.source) != q {
				t.Fatalf("%v is in the queue of %s, and does not wait there", id, q.source)
			}
		}
	}
	if queued != waiting || d.recent.Len() != dynamicTargets {
		t.Fatalf("%d in queues, %d wait; %d in order, %d dynamic", queued, waiting, d.recent.Len(), dynamicTargets)
	}
	earned := 0
	for _, b := range s.bans.ids {
		if b.Earned {
			earned++
		}
	}
	if earned != s.bans.earned {
		t.Fatalf("%d bans by score are counted, and there are %d", s.bans.earned, earned)
	}
	for _, c := range []struct {
		name      string
		has, most int
	}{
		{"dials in flight", flying, max(s.limits.Pending, 1)},
		{"dynamic targets", dynamicTargets, maxTargets + maxSources*2*maxWaiting},
		{"sources", len(d.queues), maxSources},
		{"estimates of sources", len(d.x.sources), maxSources},
		{"estimates of networks", len(d.x.nets), maxNets},
		{"rests", len(d.rests), maxRests},
		{"bans", len(s.bans.ids) + len(s.bans.nets), MaxBans},
		{"bans by score", s.bans.earned, maxEarned},
		{"scores", len(s.scores.of), maxScores},
		{"counts by source", len(s.book.funnels), maxSources + 2},
		{"addresses seen", len(s.door.seen), maxHistory},
	} {
		if c.has > c.most {
			t.Fatalf("%d %s, want at most %d", c.has, c.name, c.most)
		}
	}
}
