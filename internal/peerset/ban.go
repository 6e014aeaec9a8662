package peerset

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"parley/internal/netaddr"
)

// MaxBans bounds the bans in force. Half of them may come from scores, so that
// strangers cannot keep the operator from banning somebody.
const MaxBans = 4096

const (
	maxEarned = MaxBans / 2
	maxWhy    = 200 // bytes of a reason
)

// Errors of Ban.
var (
	ErrTooManyBans = fmt.Errorf("more than %d bans", MaxBans)
	ErrTrusted     = errors.New("it is a trusted node; take it from the trusted nodes first")
	ErrBadBan      = errors.New("a ban names a node ID or a network, and ends in the future")
)

// A Ban keeps a node or a network out: connections from it are refused, it is not
// dialed, and it is no candidate. Either ID or Net is set.
type Ban struct {
	ID     ID
	Net    netip.Prefix // one address is a prefix of full length
	Since  time.Time
	Until  time.Time // zero: until it is lifted
	Why    string
	Earned bool // made by the score, not by the operator
}

// Target returns what is banned, as people write it.
func (b *Ban) Target() string {
	if !b.Net.IsValid() {
		return b.ID.String()
	}
	if b.Net.IsSingleIP() {
		return b.Net.Addr().String()
	}
	return b.Net.String()
}

// A BanError is the reason for which somebody banned is refused. It wraps
// ErrBanned.
type BanError struct{ Ban }

// Error tells what is banned, until when, and why.
func (e *BanError) Error() string {
	until := "until it is lifted"
	if !e.Until.IsZero() {
		until = "until " + e.Until.UTC().Format(time.RFC3339)
	}
	text := fmt.Sprintf("%s is banned %s", e.Target(), until)
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// Unwrap returns ErrBanned.
func (e *BanError) Unwrap() error { return ErrBanned }

// A banlist holds the bans in force. Those that have ended go when they are met.
type banlist struct {
	ids     map[ID]Ban
	nets    map[netip.Prefix]Ban
	lengths []netip.Prefix // one of each length and family in nets, to look up by
	earned  int            // of ids
}

func newBanlist() banlist {
	return banlist{ids: make(map[ID]Ban), nets: make(map[netip.Prefix]Ban)}
}

func (b *Ban) over(now time.Time) bool { return !b.Until.IsZero() && !now.Before(b.Until) }

// findID returns the ban of an ID.
func (l *banlist) findID(now time.Time, id ID) (Ban, bool) {
	b, ok := l.ids[id]
	if ok && b.over(now) {
		l.liftID(id)
		return Ban{}, false
	}
	return b, ok
}

// findAddr returns the ban of the widest network that has addr in it.
func (l *banlist) findAddr(now time.Time, addr netip.Addr) (Ban, bool) {
	addr = netaddr.Normalize(addr)
	for _, of := range l.lengths {
		if of.Addr().BitLen() != addr.BitLen() {
			continue
		}
		p, err := addr.Prefix(of.Bits())
		if err != nil {
			continue
		}
		if b, ok := l.nets[p]; ok && !b.over(now) {
			return b, true
		}
	}
	return Ban{}, false
}

func (l *banlist) put(b Ban) {
	if b.Net.IsValid() {
		l.nets[b.Net] = b
		l.measure()
		return
	}
	l.liftID(b.ID)
	l.ids[b.ID] = b
	if b.Earned {
		l.earned++
	}
}

func (l *banlist) liftID(id ID) bool {
	b, ok := l.ids[id]
	if ok && b.Earned {
		l.earned--
	}
	delete(l.ids, id)
	return ok
}

func (l *banlist) liftNet(p netip.Prefix) bool {
	_, ok := l.nets[p]
	delete(l.nets, p)
	l.measure()
	return ok
}

// measure brings lengths up to date, widest first.
func (l *banlist) measure() {
	l.lengths = l.lengths[:0]
	for p := range l.nets {
		same := func(q netip.Prefix) bool { return q.Bits() == p.Bits() && q.Addr().BitLen() == p.Addr().BitLen() }
		if !slices.ContainsFunc(l.lengths, same) {
			l.lengths = append(l.lengths, p)
		}
	}
	slices.SortFunc(l.lengths, func(a, b netip.Prefix) int {
		return cmp.Or(cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()), cmp.Compare(a.Bits(), b.Bits()))
	})
}

// sweep forgets the bans that are over.
func (l *banlist) sweep(now time.Time) {
	for id, b := range l.ids {
		if b.over(now) {
			l.liftID(id)
		}
	}
	swept := false
	for p, b := range l.nets {
		if b.over(now) {
			delete(l.nets, p)
			swept = true
		}
	}
	if swept {
		l.measure()
	}
}

// all returns the bans: of IDs in their order, then of networks in theirs.
func (l *banlist) all() []Ban {
	bans := make([]Ban, 0, len(l.ids)+len(l.nets))
	for _, b := range l.ids {
		bans = append(bans, b)
	}
	for _, b := range l.nets {
		bans = append(bans, b)
	}
	slices.SortFunc(bans, func(a, b Ban) int {
		return cmp.Or(a.ID.Compare(b.ID), a.Net.Addr().Compare(b.Net.Addr()), cmp.Compare(a.Net.Bits(), b.Net.Bits()))
	})
	// A ban of a network has the zero ID, which would sort first.
	slices.SortStableFunc(bans, func(a, b Ban) int {
		return cmp.Compare(a.Net.Addr().BitLen(), b.Net.Addr().BitLen())
	})
	return bans
}

// canonical returns p in the form in which addresses are looked up.
func canonical(p netip.Prefix) (netip.Prefix, bool) {
	list, err := netaddr.ListOf(p)
	if err != nil {
		return netip.Prefix{}, false
	}
	for p = range list.Prefixes() {
		return p, true
	}
	return netip.Prefix{}, false
}

// check returns b in the form in which it is kept.
func (b Ban) check(now time.Time) (Ban, error) {
	if b.Net.IsValid() == (b.ID != ID{}) || b.over(now) {
		return Ban{}, ErrBadBan
	}
	if b.Net.IsValid() {
		p, ok := canonical(b.Net)
		if !ok {
			return Ban{}, ErrBadBan
		}
		b.Net = p
	}
	if b.Since.IsZero() {
		b.Since = now
	}
	if len(b.Why) > maxWhy {
		b.Why = b.Why[:maxWhy]
	}
	return b, nil
}

// Ban puts a ban in force, in the place of an earlier one of the same node or
// network, and returns the peers that it meets, sorted, for the owner to
// disconnect. A trusted node cannot be banned by its ID, and a ban of its network
// does not meet it; a static node can, and is not dialed while it is.
func (s *Set) Ban(now time.Time, b Ban) (met []ID, err error) {
	if b, err = b.check(now); err != nil {
		return nil, err
	}
	if s.Trusted(b.ID) {
		return nil, ErrTrusted
	}
	if len(s.bans.ids)+len(s.bans.nets) >= MaxBans {
		if s.bans.sweep(now); len(s.bans.ids)+len(s.bans.nets) >= MaxBans {
			return nil, ErrTooManyBans
		}
	}
	s.bans.put(b)
	return s.peersWho(func(id ID, p *peer) bool { return s.banned(now, id, p.addr.Addr()) != nil }), nil
}

// Unban lifts the ban of an ID or, if p is valid, of exactly that network. It
// reports whether there was one.
func (s *Set) Unban(id ID, p netip.Prefix) bool {
	if !p.IsValid() {
		s.scores.forget(id)
		return s.bans.liftID(id)
	}
	p, ok := canonical(p)
	return ok && s.bans.liftNet(p)
}

// Bans returns the bans in force: of IDs in their order, then of networks.
func (s *Set) Bans(now time.Time) []Ban {
	s.bans.sweep(now)
	return s.bans.all()
}

// banned returns the ban that meets a node at one of the given addresses, as a
// BanError, or nil.
func (s *Set) banned(now time.Time, id ID, addrs ...netip.Addr) error {
	if s.trusted[id] != nil {
		return nil
	}
	if b, ok := s.bans.findID(now, id); ok {
		return &BanError{b}
	}
	return s.bannedAddr(now, addrs...)
}

func (s *Set) bannedAddr(now time.Time, addrs ...netip.Addr) error {
	for _, addr := range addrs {
		if b, ok := s.bans.findAddr(now, addr); ok {
			return &BanError{b}
		}
	}
	return nil
}

// peersWho returns the peers for which f is true, sorted.
func (s *Set) peersWho(f func(ID, *peer) bool) []ID {
	var ids []ID
	for id, p := range s.peers {
		if f(id, p) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, ID.Compare)
	return ids
}
