package nat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"parley/internal/netaddr"
)

// A teller tells the external address of this host in one family.
type teller interface {
	// external returns the address, and whether the gateway has lost its
	// mappings since the call before. Whether the address can be true is for
	// the caller to check.
	external(ctx context.Context) (addr netip.Addr, lost bool, err error)
}

// A gateway is a teller that also maps ports.
type gateway interface {
	teller

	// add asks for a mapping, or for more time for one, at an external port
	// that the gateway may not give.
	add(ctx context.Context, p Port, external uint16) (grant, error)

	// has reports whether the mapping is still there, as far as can be known.
	has(ctx context.Context, p Port, external uint16) bool

	// remove ends a mapping. An external port of 0 means that it is not known
	// which one it is, nor whether there is any.
	remove(ctx context.Context, p Port, external uint16) error
}

// stepTime bounds each question to a gateway or server, from the first packet to
// the last byte of the answer.
const stepTime = 3 * time.Second

// firstWait is the time after which an unanswered datagram is sent again, then
// after twice as long each time, as RFC 6886 section 3.1 and RFC 8489 section
// 6.2.1 say; until stepTime.
const firstWait = 250 * time.Millisecond

// maxReadErrors is how many errors of one socket are passed over between two
// packets sent.
const maxReadErrors = 16

// errSilent means that nobody answered in stepTime.
var errSilent = errors.New("no answer")

// exchange calls send, which writes datagrams, and then accept with each datagram
// that comes, until accept reports that no more are needed; send is called again
// after firstWait and so on. After stepTime it is errSilent.
func exchange(
	ctx context.Context, n Network, network, local string,
	send func(write func(b []byte, to netip.AddrPort)),
	accept func(b []byte, from netip.AddrPort) bool,
) error {
	conn, err := n.ListenPacket(ctx, network, local)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) }) // the next read reports what this would
	defer stop()

	var failed error
	write := func(b []byte, to netip.AddrPort) {
		if _, err := conn.WriteTo(b, net.UDPAddrFromAddrPort(to)); err != nil {
			failed = err
		}
	}
	end := time.Now().Add(stepTime)
	b := make([]byte, 2048)
	for wait := firstWait; time.Now().Before(end) && ctx.Err() == nil; wait *= 2 {
		send(write)
		again := time.Now().Add(wait)
		if again.After(end) {
			again = end
		}
		if err := conn.SetReadDeadline(again); err != nil {
			return err
		}
		for errs := 0; ctx.Err() == nil; {
			size, from, err := conn.ReadFrom(b)
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				break
			}
			// Other errors are of single packets, that a port is closed for
			// example; but a socket that only fails is given up.
			if err != nil {
				if errs++; errs == maxReadErrors {
					return err
				}
				failed = err
				continue
			}
			if udp, ok := from.(*net.UDPAddr); ok && accept(b[:size], udp.AddrPort()) {
				return nil
			}
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed != nil:
		return fmt.Errorf("%w: %w", errSilent, failed)
	}
	return errSilent
}

// ask sends one request to one server until accept takes an answer of it. Answers
// from elsewhere are passed over. It is sent from the local endpoint; not valid
// leaves that to the system.
func ask(ctx context.Context, n Network, from, server netip.AddrPort, request []byte, accept func(b []byte) error) error {
	network, local := "udp4", ":0"
	if server.Addr().Is6() {
		network = "udp6"
	}
	if from.IsValid() {
		local = from.String()
	}
	var result error
	err := exchange(ctx, n, network, local,
		func(write func([]byte, netip.AddrPort)) { write(request, server) },
		func(b []byte, from netip.AddrPort) bool {
			if netaddr.Normalize(from.Addr()) != netaddr.Normalize(server.Addr()) || from.Port() != server.Port() {
				return false
			}
			result = accept(b)
			return result != errNotOurs
		})
	if err != nil {
		return err
	}
	return result
}
