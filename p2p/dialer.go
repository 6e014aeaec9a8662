package p2p

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"parley/enode"
)

// headStart is how long an attempt to connect has for itself before the next
// endpoint of the node is tried beside it.
// https://www.rfc-editor.org/rfc/rfc8305#section-5
const headStart = 250 * time.Millisecond

// A NodeDialer opens a stream to a node's TCP endpoint. The node has an address:
// host names are resolved before. Where it has one of each family, the choice is the
// dialer's, unless it is an EndpointDialer too. The context carries the deadline;
// DialNode returns soon after it has ended.
type NodeDialer interface {
	DialNode(ctx context.Context, n *enode.Node) (net.Conn, error)
}

// An EndpointDialer is a NodeDialer that leaves the choice of the endpoint to the
// Server. DialEndpoint is called for each endpoint that may be dialed, IPv6 first and
// then the next one, in a goroutine of its own, when the one before failed or did not
// answer within 250 ms; the first connection is kept, and the context of the others
// ends. DialNode is not called then.
type EndpointDialer interface {
	NodeDialer
	DialEndpoint(ctx context.Context, n *enode.Node, at netip.AddrPort) (net.Conn, error)
}

// A tcpDialer is the NodeDialer that is used when Config names none.
type tcpDialer struct{}

func (t *tcpDialer) DialNode(ctx context.Context, n *enode.Node) (net.Conn, error) {
	ep, ok := n.TCPEndpoint()
	if !ok {
		return nil, errNoTCP
	}
	return t.DialEndpoint(ctx, n, ep)
}

func (t *tcpDialer) DialEndpoint(ctx context.Context, _ *enode.Node, at netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{KeepAlive: noKeepAlive}
	return d.DialContext(ctx, "tcp", at.String())
}

// reach connects to n at one of the given endpoints, of which there is at least one.
func (f *families) reach(ctx context.Context, d NodeDialer, n *enode.Node, eps []netip.AddrPort) (net.Conn, error) {
	each, ok := d.(EndpointDialer)
	if !ok {
		return d.DialNode(ctx, n)
	}
	eps = f.order(time.Now(), eps)
	conn, won, errs := race(ctx, eps, startOf(d), func(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
		return each.DialEndpoint(ctx, n, at)
	})
	f.learn(eps, won, errs)
	if conn == nil {
		return nil, dialError(eps, errs)
	}
	return conn, nil
}

// race connects to the first of the endpoints that answers: it tries one after the
// other, the next one when wait has passed or an attempt has failed. won is the index
// of the endpoint, -1 if none answered; errs are the errors of the others, nil of
// those that were not tried. When race returns no attempt is left.
func race(ctx context.Context, eps []netip.AddrPort, wait time.Duration, dial func(context.Context, netip.AddrPort) (net.Conn, error)) (conn net.Conn, won int, errs []error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		i    int
		conn net.Conn
		err  error
	}
	results := make(chan result) // all of them are taken
	timer := time.NewTimer(wait)
	defer timer.Stop()
	next, open := 0, 0
	start := func() {
		if next == len(eps) || ctx.Err() != nil {
			return
		}
		i := next
		next, open = next+1, open+1
		timer.Reset(wait)
		go func() {
			conn, err := dial(ctx, eps[i])
			results <- result{i, conn, err}
		}()
	}
	won, errs = -1, make([]error, len(eps))
	for start(); open > 0; {
		select {
		case <-timer.C:
			if won < 0 {
				start()
			}
		case r := <-results:
			open--
			switch {
			case r.err != nil:
				if errs[r.i] = r.err; won < 0 {
					start()
				}
			case won < 0:
				conn, won = r.conn, r.i
				cancel()
			default:
				r.conn.Close()
				errs[r.i] = errLate
			}
		}
	}
	return conn, won, errs
}

// errLate is the error of an endpoint that answered when another one had already.
var errLate = errors.New("answered too late")

// learn notes what a race says about the two families: one that was refused works,
// and one that got no answer in spite of its start lost to the other.
func (f *families) learn(eps []netip.AddrPort, won int, errs []error) {
	answered := [2]bool{}
	if won >= 0 {
		answered[familyOf(eps[won])] = true
	}
	for i, err := range errs {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, errLate) {
			answered[familyOf(eps[i])] = true
		}
	}
	for family, yes := range answered {
		before := func(ep netip.AddrPort) bool { return familyOf(ep) == family }
		switch {
		case yes:
			f.works(family)
		case won >= 0 && slices.ContainsFunc(eps[:won], before):
			f.loses(time.Now(), family)
		}
	}
}

// dialError returns what the attempts to connect to the endpoints have failed with.
func dialError(eps []netip.AddrPort, errs []error) error {
	var all unreached
	for i, err := range errs {
		if err != nil {
			all = append(all, endpointError{eps[i], err})
		}
	}
	switch len(all) {
	case 0:
		return context.DeadlineExceeded // there was no time to try one
	case 1:
		return all[0].err // the verdict has the address
	}
	return all
}

// An endpointError is why one endpoint could not be reached.
type endpointError struct {
	at  netip.AddrPort
	err error
}

// unreached is why none of several endpoints of a node could be reached.
type unreached []endpointError

// Error names each endpoint with its error.
func (u unreached) Error() string {
	var parts []string
	for _, e := range u {
		text := e.err.Error()
		if at := e.at.String(); !strings.Contains(text, at) {
			text = at + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// Unwrap returns the errors.
func (u unreached) Unwrap() []error {
	var errs []error
	for _, e := range u {
		errs = append(errs, e.err)
	}
	return errs
}
