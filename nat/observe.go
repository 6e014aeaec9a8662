package nat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"sync"

	"parley/internal/netaddr"
)

// publicServers are STUN servers that anybody may use. They belong to different
// operators, so that two of them do not lie together by chance.
func publicServers() []string {
	return []string{
		"stun.l.google.com:19302",
		"stun.cloudflare.com:3478",
		"stun.nextcloud.com:3478",
		"stun.sipgate.net:3478",
		"stun.freeswitch.org:3478",
		"stun.antisip.com:3478",
	}
}

// asked is how many STUN servers are asked each time, and quorum how many of them
// have to agree.
const (
	asked  = 3
	quorum = 2
)

// A stunTeller asks STUN servers.
type stunTeller struct {
	net     Network
	servers []string
	v6      bool
}

// A stunTry is one server that is being asked.
type stunTry struct {
	server string
	to     netip.AddrPort
	id     stunID
	answer netip.Addr // not valid if there is none
	err    error
}

func (t *stunTeller) external(ctx context.Context) (addr netip.Addr, lost bool, err error) {
	tries := t.choose(ctx)
	need := quorum
	if len(t.servers) < asked {
		need = len(t.servers)
	}
	network := "udp4"
	if t.v6 {
		network = "udp6"
	}
	if settled(tries) {
		return netip.Addr{}, false, disagreement(tries, nil) // none can be asked
	}
	agreed := netip.Addr{}
	err = exchange(ctx, t.net, network, ":0",
		func(write func([]byte, netip.AddrPort)) {
			for _, try := range tries {
				if try.err == nil && !try.answer.IsValid() {
					write(appendSTUNRequest(nil, try.id), try.to)
				}
			}
		},
		func(b []byte, from netip.AddrPort) bool {
			from = netip.AddrPortFrom(netaddr.Normalize(from.Addr()), from.Port())
			for _, try := range tries {
				if try.to != from || try.answer.IsValid() || try.err != nil {
					continue
				}
				endpoint, err := parseSTUN(b, try.id, t.v6)
				if err == errNotOurs {
					continue
				}
				try.answer, try.err = endpoint.Addr(), err
			}
			agreed = agreement(tries, need)
			return agreed.IsValid() || settled(tries)
		})
	if agreed.IsValid() {
		return agreed, false, nil
	}
	if ctx.Err() != nil {
		return netip.Addr{}, false, ctx.Err()
	}
	return netip.Addr{}, false, disagreement(tries, err)
}

// choose picks the servers to ask and looks their addresses up.
func (t *stunTeller) choose(ctx context.Context) []*stunTry {
	var tries []*stunTry
	for _, i := range mathrand.Perm(len(t.servers))[:min(asked, len(t.servers))] {
		try := &stunTry{server: t.servers[i]}
		_, _ = rand.Read(try.id[:]) // never fails
		tries = append(tries, try)
	}
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, try := range tries {
		wg.Go(func() { try.to, try.err = t.resolve(ctx, try.server) })
	}
	wg.Wait()
	for i, try := range tries {
		for _, other := range tries[:i] {
			if try.err == nil && other.err == nil && try.to.Addr() == other.to.Addr() {
				// One host does not count twice, whatever its names.
				try.err = fmt.Errorf("same host as %s", other.server)
			}
		}
	}
	return tries
}

// resolve returns the address of a server in the family that is asked about.
func (t *stunTeller) resolve(ctx context.Context, server string) (netip.AddrPort, error) {
	host, port, err := splitServer(server)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addrs, err := lookup(ctx, t.net, host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for _, a := range addrs {
		if a.Is6() == t.v6 && netaddr.Contactable(a) {
			return netip.AddrPortFrom(a, port), nil
		}
	}
	return netip.AddrPort{}, errNoFamily
}

// agreement returns the address that enough of the answers tell, if there is one.
func agreement(tries []*stunTry, need int) netip.Addr {
	votes := make(map[netip.Addr]int)
	for _, try := range tries {
		if try.answer.IsValid() {
			if votes[try.answer]++; votes[try.answer] >= need {
				return try.answer
			}
		}
	}
	return netip.Addr{}
}

// settled reports whether no more answers can come.
func settled(tries []*stunTry) bool {
	for _, try := range tries {
		if try.err == nil && !try.answer.IsValid() {
			return false
		}
	}
	return true
}

// disagreement says why there is no address.
func disagreement(tries []*stunTry, err error) error {
	var all []error
	for _, try := range tries {
		switch {
		case try.answer.IsValid():
			all = append(all, fmt.Errorf("%s tells %v", try.server, try.answer))
		case try.err != nil:
			all = append(all, fmt.Errorf("%s: %w", try.server, try.err))
		case err != nil:
			all = append(all, fmt.Errorf("%s: %w", try.server, err))
		}
	}
	return fmt.Errorf("nat: stun: too few servers agree: %w", joined(all))
}

// joined is errors.Join in one line.
func joined(errs []error) error { return &oneLine{errors.Join(errs...), errs} }

type oneLine struct {
	error
	errs []error
}

func (e *oneLine) Error() string {
	text := ""
	for i, err := range e.errs {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}
	return text
}

func (e *oneLine) Unwrap() error { return e.error }

// A hostTeller looks up the name that the operator gave, or tells the address.
type hostTeller struct {
	net  Network
	host string
	v6   bool
}

func (t *hostTeller) external(ctx context.Context) (addr netip.Addr, lost bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	addrs, err := lookup(ctx, t.net, t.host)
	if err != nil {
		return netip.Addr{}, false, fmt.Errorf("nat: extip: %w", err)
	}
	_, literal := netip.ParseAddr(t.host)
	for _, a := range addrs {
		// A host often has its own name lead to a loopback address, which is
		// not what the operator means.
		if a.Is6() == t.v6 && netaddr.Contactable(a) && (literal == nil || netaddr.ClassOf(a) != netaddr.Loopback) {
			return a, false, nil
		}
	}
	return netip.Addr{}, false, fmt.Errorf("nat: extip: %s: %w", t.host, errNoFamily)
}

// lookup returns the addresses of a host, which may be an address itself.
func lookup(ctx context.Context, n Network, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{netaddr.Normalize(addr)}, nil
	}
	addrs, err := n.LookupNetIP(ctx, "ip", host)
	for i, a := range addrs {
		addrs[i] = netaddr.Normalize(a)
	}
	return addrs, err
}
