package nat

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// maxPorts bounds [Config.Ports].
const maxPorts = 16

// goodbyeTime bounds the removal of all mappings at the end.
const goodbyeTime = 3 * time.Second

// settleTime is how long the system's routes have to be quiet after a change
// before they are looked at: one change is told in several messages.
const settleTime = 500 * time.Millisecond

// A Config says what a [Mapper] does.
type Config struct {
	Method Method // zero means none
	Ports  []Port // to be mapped, with methods that can; at most 16

	// Seed, if not empty, makes the nonces of PCP: a program that was killed can
	// take over the mappings of its former self, which others cannot. It should
	// be secret and stay the same across restarts. Empty means random nonces:
	// then a gateway may refuse a port for up to an hour after a crash.
	Seed []byte

	Logger  *slog.Logger // nil means no logs
	Network Network      // zero means the system's
}

// A Mapper learns how this host is seen from outside, and keeps its ports mapped.
type Mapper struct {
	method  Method
	ports   []Port
	seed    []byte
	log     *slog.Logger
	network Network
}

// NewMapper returns a Mapper. It does nothing before [Mapper.Run]. The error names
// everything that is wrong with the Config.
func NewMapper(c Config) (*Mapper, error) {
	m := &Mapper{method: c.Method, seed: c.Seed, log: c.Logger, network: c.Network.orSystem()}
	var errs []error
	if err := c.Method.check(); err != nil {
		errs = append(errs, fmt.Errorf("nat: method %v: %w", c.Method, err))
	}
	if len(c.Ports) > maxPorts {
		errs = append(errs, fmt.Errorf("nat: %d ports to map, want at most %d", len(c.Ports), maxPorts))
	}
	type key struct {
		Protocol
		internal uint16
	}
	seen := make(map[key]bool)
	for _, p := range c.Ports {
		k := key{p.Protocol, p.Internal}
		switch err := p.check(); {
		case err != nil:
			errs = append(errs, fmt.Errorf("nat: %w", err))
		case seen[k]:
			errs = append(errs, fmt.Errorf("nat: %v port %d is to be mapped twice", p.Protocol, p.Internal))
		}
		seen[k] = true
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	m.ports = append(m.ports, c.Ports...)
	if len(m.seed) == 0 {
		m.seed = make([]byte, 32)
		_, _ = rand.Read(m.seed) // never fails
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	return m, nil
}

// Run maps the ports and yields what is known of the outside each time that this
// changes, first when the first check has found something or failed to. Between
// that it renews mappings, asks for the external address, and asks at once when
// the routes of this host change; so a loop over Run is all that is needed to
// keep mappings, and its body should not wait for long.
//
// It ends with ctx, or when the loop is left. The mappings are removed before the
// loop is over, which takes 3 seconds at most. With [None] it waits for ctx and
// yields nothing. Only one Run of a Mapper may go on at a time.
func (m *Mapper) Run(ctx context.Context) iter.Seq[State] {
	return func(yield func(State) bool) {
		sides := m.sides()
		if len(sides) == 0 {
			<-ctx.Done()
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		moved := make(chan struct{}, 1)
		var watching sync.WaitGroup
		watching.Go(func() {
			m.network.Watch(ctx, func() {
				select {
				case moved <- struct{}{}:
				default:
				}
			})
		})
		defer m.leave(ctx, sides)
		defer watching.Wait()
		defer cancel()
		m.keep(ctx, sides, moved, yield)
	}
}

// keep is the loop of Run.
func (m *Mapper) keep(ctx context.Context, sides []*side, moved <-chan struct{}, yield func(State) bool) {
	var told State
	here := m.network.place()
	suspect := false // this host may have moved
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-moved:
			suspect = true
			timer.Reset(settleTime)
			continue
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if suspect {
			suspect = false
			if now := m.network.place(); now != here {
				m.log.Debug("nat: the network has changed", "gateway4", now.gateway4, "gateway6", now.gateway6)
				here = now
				for _, s := range sides {
					s.move()
				}
			}
		}
		var checks sync.WaitGroup
		for _, s := range sides {
			if !time.Now().Before(s.outlook.wake) {
				checks.Go(func() { s.check(ctx) })
			}
		}
		checks.Wait()
		if ctx.Err() != nil {
			return // what came to nothing because of that is no news
		}
		shareLoss(sides)
		state := m.state(sides)
		if !state.same(told) {
			m.report(told, state)
			told = state
			if !yield(state) {
				return
			}
		}
		wake := sides[0].outlook.wake
		for _, s := range sides[1:] {
			if s.outlook.wake.Before(wake) {
				wake = s.outlook.wake
			}
		}
		timer.Reset(time.Until(wake))
	}
}

// shareLoss has all mappings asked for again if in one family they were found lost:
// there is one gateway, and with PCP and IPv6 nothing else may show its restart.
func shareLoss(sides []*side) {
	if !slices.ContainsFunc(sides, func(s *side) bool { return s.lost }) {
		return
	}
	for _, s := range sides {
		if !s.lost && s.teller != nil {
			s.outlook.lost()
			s.outlook.wake = time.Time{}
		}
		s.lost = false
	}
}

func (m *Mapper) state(sides []*side) (s State) {
	for _, side := range sides {
		if out := side.outlook.outside(); side.v6 {
			s.IPv6 = out
		} else {
			s.IPv4 = out
		}
	}
	return s
}

// report logs what is different.
func (m *Mapper) report(old, now State) {
	for _, f := range []struct {
		family   string
		old, now Outside
	}{{"ip4", old.IPv4, now.IPv4}, {"ip6", old.IPv6, now.IPv6}} {
		if text := message(f.now.Err); text != "" && text != message(f.old.Err) {
			level := slog.LevelWarn
			if m.method == Any() {
				level = slog.LevelInfo // there may be no gateway, and no need of one
			}
			m.log.Log(context.Background(), level, "nat: "+f.family+" check failed", "err", f.now.Err)
		}
		was, is := f.old, f.now
		was.Err, is.Err = nil, nil
		if is.same(was) {
			continue
		}
		attrs := []any{"via", is.Via, "addr", is.Addr}
		for _, p := range is.Mappings {
			attrs = append(attrs, fmt.Sprintf("%v %d", p.Protocol, p.Internal), p.External)
		}
		m.log.Info("nat: "+f.family+" outside", attrs...)
	}
}

// leave removes the mappings of all sides. The context has ended: it only carries
// values.
func (m *Mapper) leave(ctx context.Context, sides []*side) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range sides {
		wg.Go(func() { s.leave(ctx) })
	}
	wg.Wait()
}

// nonce returns the nonce of PCP for a port, the same each time: a gateway gives
// a mapping only to whom it gave it before.
func (m *Mapper) nonce(p Port) pcpNonce {
	h := hmac.New(sha256.New, m.seed)
	h.Write([]byte("pcp nonce"))
	h.Write(binary.BigEndian.AppendUint16([]byte{p.Protocol.number()}, p.Internal))
	return pcpNonce(h.Sum(nil))
}
