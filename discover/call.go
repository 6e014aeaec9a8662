package discover

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"parley/enode"
	"parley/internal/discv4"
	"parley/internal/discv5"
)

// Reasons for which a call has no result. They come wrapped.
var (
	ErrClosed     = errors.New("the Service is closed")
	ErrTimeout    = errors.New("no answer")
	ErrNotFound   = errors.New("nobody knows the node")
	ErrNoEndpoint = errors.New("node has no UDP endpoint that may be contacted")
	ErrBusy       = errors.New("too many calls are under way")
	ErrTooLarge   = errors.New("message does not fit a packet")
	ErrDistance   = errors.New("distance is not in 0 to 256")
	ErrSelf       = errors.New("it is this node itself")
	ErrRecord     = errors.New("answer with an invalid record")
	ErrProtocol   = errors.New("the Service does not speak that protocol")
)

// translate returns the reason of this package for one of an engine.
func translate(err error) error {
	if err == nil {
		return nil
	}
	for _, m := range [...]struct{ from, to error }{
		{discv4.ErrTimeout, ErrTimeout}, {discv5.ErrTimeout, ErrTimeout},
		{discv4.ErrNotFound, ErrNotFound}, {discv5.ErrNotFound, ErrNotFound},
		{discv4.ErrNoEndpoint, ErrNoEndpoint}, {discv5.ErrNoEndpoint, ErrNoEndpoint},
		{discv4.ErrBusy, ErrBusy}, {discv5.ErrBusy, ErrBusy},
		{discv5.ErrTooLarge, ErrTooLarge}, {discv5.ErrDistance, ErrDistance},
		{discv5.ErrSelf, ErrSelf}, {discv4.ErrRecord, ErrRecord},
	} {
		if errors.Is(err, m.from) {
			return m.to
		}
	}
	return err
}

// A protocol is one of the two.
type protocol string

const (
	discV4 protocol = "v4"
	discV5 protocol = "v5"
)

// A callKey names a call under way.
type callKey struct {
	protocol protocol
	id       uint64
}

// An outcome is how a call ended.
type outcome struct {
	protocol protocol
	node     *enode.Node
	nodes    []*enode.Node
	rtt      time.Duration
	seq      uint64
	endpoint netip.AddrPort
	talk     []byte
	err      error
}

// A call is a question to an engine.
type call struct {
	service  *Service
	protocol protocol
	id       uint64 // set and read with the engines
	outcome  chan outcome
	over     bool // the outcome was seen, or the call did not even begin
}

// begin starts a call with f, which may call the engine and returns its id.
func (s *Service) begin(ctx context.Context, p protocol, f func(now time.Time) uint64) *call {
	c := &call{service: s, protocol: p, outcome: make(chan outcome, 1)}
	if err := ctx.Err(); err != nil {
		c.fail(err)
		return c
	}
	if p == discV4 && s.v4 == nil || p == discV5 && s.v5 == nil {
		c.fail(ErrProtocol)
		return c
	}
	if !s.in(func(now time.Time) {
		c.id = f(now)
		s.calls[callKey{p, c.id}] = c.outcome
	}) {
		c.fail(ErrClosed)
	}
	return c
}

func (c *call) fail(err error) {
	c.over = true
	c.outcome <- outcome{protocol: c.protocol, err: err}
}

// cancel ends the call without an outcome, unless it has one.
func (c *call) cancel() {
	if c.over {
		return
	}
	c.over = true
	s := c.service
	s.in(func(now time.Time) {
		key := callKey{c.protocol, c.id}
		if _, ok := s.calls[key]; !ok {
			return
		}
		delete(s.calls, key)
		if c.protocol == discV4 {
			s.v4.Cancel(now, discv4.Call(c.id))
		}
		// Calls of v5 end by themselves, and soon.
	})
}

// finish tells whoever waits for a call how it ended.
func (s *Service) finish(key callKey, o outcome) {
	if to, ok := s.calls[key]; ok {
		delete(s.calls, key)
		o.protocol = key.protocol
		to <- o // it has room for one
	}
}

// first waits for the first outcome without an error, and otherwise joins the
// errors of all. Calls whose outcome is not needed are cancelled.
func (s *Service) first(ctx context.Context, calls ...*call) (outcome, error) {
	return s.pick(ctx, func(outcome) bool { return true }, calls...)
}

// pick is first for an outcome that is good enough; if there is none, the best is
// any without an error.
func (s *Service) pick(ctx context.Context, good func(outcome) bool, calls ...*call) (outcome, error) {
	var sources [2]chan outcome
	for i, c := range calls {
		sources[i] = c.outcome
		defer c.cancel()
	}
	var errs []error
	var fair *outcome
	for range calls {
		var o outcome
		select {
		case o = <-sources[0]:
			sources[0], calls[0].over = nil, true
		case o = <-sources[1]:
			sources[1], calls[1].over = nil, true
		case <-ctx.Done():
			return outcome{}, ctx.Err()
		case <-s.done:
			return outcome{}, ErrClosed
		}
		switch {
		case o.err != nil:
			errs = append(errs, fmt.Errorf("discovery %s: %w", o.protocol, o.err))
		case good(o):
			return o, nil
		default:
			fair = &o
		}
	}
	if fair != nil {
		return *fair, nil
	}
	return outcome{}, errors.Join(errs...)
}

// protocols are those that the Service speaks.
func (s *Service) protocols() []protocol {
	var ps []protocol
	if s.v5 != nil {
		ps = append(ps, discV5)
	}
	if s.v4 != nil {
		ps = append(ps, discV4)
	}
	return ps
}
