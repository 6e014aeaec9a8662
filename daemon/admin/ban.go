package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"parley/daemon/jsonrpc"
	"parley/enode"
	"parley/p2p"
)

// A Ban is how p2p_bans tells of a ban, and p2p_ban of the one that it made. Either
// Node or Net is set.
type Ban struct {
	Node   string     `json:"node,omitempty"` // id of 64 hex digits
	Net    string     `json:"net,omitempty"`  // a network such as 10.0.0.0/8; one address is 10.0.0.7/32
	Since  time.Time  `json:"since"`
	Until  *time.Time `json:"until,omitempty"` // without it, the ban holds until it is lifted
	Why    string     `json:"why,omitempty"`
	Earned bool       `json:"earned"` // by what the node did; false: the operator's
}

// NewBan returns the JSON form of b.
func NewBan(b *p2p.Ban) Ban {
	out := Ban{Since: b.Since.UTC(), Why: b.Why, Earned: b.Earned}
	if b.Net.IsValid() {
		out.Net = b.Net.String()
	} else {
		out.Node = b.ID.String()
	}
	if !b.Until.IsZero() {
		until := b.Until.UTC()
		out.Until = &until
	}
	return out
}

// Target returns what is banned, as people write it.
func (b *Ban) Target() string {
	if b.Net == "" {
		return b.Node
	}
	if p, err := netip.ParsePrefix(b.Net); err == nil && p.IsSingleIP() {
		return p.Addr().String()
	}
	return b.Net
}

// A BanTarget names whom p2p_ban and p2p_unban are about: a node or a network, not
// both.
type BanTarget struct {
	Node string `json:"node,omitempty"` // enode or enr URL, or an id
	Net  string `json:"net,omitempty"`  // network, or IP address
}

// A BanRequest is the parameter of p2p_ban.
type BanRequest struct {
	BanTarget
	For string `json:"for,omitempty"` // such as 6h or 30m; empty: until it is lifted
	Why string `json:"why,omitempty"`
}

// A BanResult is the result of p2p_ban and p2p_unban.
type BanResult struct {
	Ban     *Ban   `json:"ban,omitempty"`     // as it is in force now; none after p2p_unban
	Static  bool   `json:"static,omitempty"`  // the node is a static one, which is not dialed while it is banned
	Warning string `json:"warning,omitempty"` // it is done, but
}

// registerBans adds the methods about bans. admin_banPeer and admin_unbanPeer are
// those that reth has.
func registerBans(s *jsonrpc.Server, node Node) {
	s.Register("admin_banPeer", change(func(n *enode.Node) error {
		_, err := warning(node.Ban(p2p.Ban{ID: n.ID(), Why: "banned by the operator"}))
		return err
	}))
	s.Register("admin_unbanPeer", func(_ context.Context, p jsonrpc.Params) (any, error) {
		n, err := nodeParam(p)
		if err != nil {
			return nil, err
		}
		_, err = warning(node.Unban(n.ID(), netip.Prefix{}))
		if errors.Is(err, p2p.ErrNotBanned) {
			return false, nil
		}
		return err == nil, err
	})
	s.Register("p2p_ban", ban(node))
	s.Register("p2p_unban", unban(node))
	s.Register("p2p_bans", get(func() any {
		list := []Ban{}
		for _, b := range node.Bans() {
			list = append(list, NewBan(&b))
		}
		return list
	}))
}

func ban(node Node) jsonrpc.Method {
	return func(_ context.Context, p jsonrpc.Params) (any, error) {
		var q BanRequest
		if err := p.Decode(&q); err != nil {
			return nil, err
		}
		id, net, err := q.parse()
		if err != nil {
			return nil, err
		}
		b := p2p.Ban{ID: id, Net: net, Since: time.Now(), Why: q.Why}
		if q.For != "" {
			d, err := time.ParseDuration(q.For)
			if err != nil || d <= 0 {
				return nil, fmt.Errorf("invalid ban: for %q is not a time such as 6h or 30m", q.For)
			}
			b.Until = b.Since.Add(d)
		}
		told, err := warning(node.Ban(b))
		if err != nil {
			return nil, err
		}
		made := NewBan(&b)
		return BanResult{Ban: &made, Static: !net.IsValid() && node.Explain(id).Static, Warning: told}, nil
	}
}

func unban(node Node) jsonrpc.Method {
	return func(_ context.Context, p jsonrpc.Params) (any, error) {
		var q BanTarget
		if err := p.Decode(&q); err != nil {
			return nil, err
		}
		id, net, err := q.parse()
		if err != nil {
			return nil, err
		}
		told, err := warning(node.Unban(id, net))
		if errors.Is(err, p2p.ErrNotBanned) {
			return nil, fmt.Errorf("%s is not banned%s", q.written(), coveredBy(node.Bans(), net))
		}
		if err != nil {
			return nil, err
		}
		return BanResult{Warning: told}, nil
	}
}

// coveredBy names a ban of a network that has net in it: it is what keeps net out.
func coveredBy(bans []p2p.Ban, net netip.Prefix) string {
	if !net.IsValid() {
		return ""
	}
	for _, b := range bans {
		if b.Net.IsValid() && b.Net.Bits() < net.Bits() && b.Net.Contains(net.Addr().Unmap()) {
			return ": " + b.Net.String() + " is, which it is part of"
		}
	}
	return ""
}

// warning takes ErrBanNotStored out of err: what was asked for is done, and somebody
// should hear of it.
func warning(err error) (string, error) {
	if errors.Is(err, p2p.ErrBanNotStored) {
		return err.Error(), nil
	}
	return "", err
}

func (t BanTarget) written() string {
	if t.Net != "" {
		return t.Net
	}
	return t.Node
}

// parse returns the ID, or the network, that is named.
func (t BanTarget) parse() (enode.ID, netip.Prefix, error) {
	if (t.Node == "") == (t.Net == "") {
		return enode.ID{}, netip.Prefix{}, errors.New("invalid ban: want either a node or a net")
	}
	if t.Net != "" {
		net, err := ParseNet(t.Net)
		return enode.ID{}, net, err
	}
	if id, err := enode.ParseID(t.Node); err == nil {
		return id, netip.Prefix{}, nil
	}
	n, err := enode.Parse(t.Node)
	if err != nil {
		return enode.ID{}, netip.Prefix{}, fmt.Errorf("invalid enode: %w", err)
	}
	return n.ID(), netip.Prefix{}, nil
}

// ParseNet reads a network, or an IP address, which is a network of one. It has no
// zone, and bits behind the prefix are cleared.
func ParseNet(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("invalid ban: %q is neither an IP address nor a network such as 10.0.0.0/8", text)
	}
	return p.Masked(), nil
}
