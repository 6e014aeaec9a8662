package discover

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"parley/enode"
	"parley/internal/discv5"
)

const (
	// maxTalkers is how many calls of one talk handler run at a time.
	maxTalkers = 4

	// maxTalkQueue is how many requests wait for one handler. Over that they get
	// an empty response.
	maxTalkQueue = 64

	// talkLife is how long a request may wait: nobody is there for the answer any
	// more.
	talkLife = time.Second
)

// A Talk is a request of another node's application to ours.
type Talk struct {
	Node     *enode.Node    // proven
	From     netip.AddrPort // proven
	Protocol string
	Request  []byte
}

// A TalkHandler answers requests of one protocol with at most about 1,160 bytes; in
// place of a longer response an empty one is sent. It may be called from several goroutines at once.
// It may take its time, although the other side waits for less than a second,
// but must return soon after ctx ends, which Close brings about and waits for.
type TalkHandler func(ctx context.Context, t Talk) []byte

// RegisterTalkHandler sets who answers the TALKREQ packets of a protocol; nil means
// nobody any more. Handlers never delay other packets: 4 requests of a protocol
// are handled at a time, and 64 wait; what is more gets an empty response.
func (s *Service) RegisterTalkHandler(protocol string, h TalkHandler) error {
	if s.v5 == nil {
		return fmt.Errorf("discover: register talk handler: %w", ErrProtocol)
	}
	if !s.in(func(time.Time) {
		s.talks.register(protocol, h)
		s.v5.HandleTalk(protocol, h != nil)
	}) {
		return fmt.Errorf("discover: register talk handler: %w", ErrClosed)
	}
	return nil
}

// A talkDesk hands talk requests to handlers.
type talkDesk struct {
	service *Service
	ctx     context.Context // of handlers; ends with the Service
	stop    context.CancelFunc

	mu       sync.Mutex // guards the field below and what is in it
	handlers map[string]*talkers
}

// talkers are the goroutines and the queue of one handler.
type talkers struct {
	handler TalkHandler
	running int
	queue   []queuedTalk
}

type queuedTalk struct {
	discv5.TalkRequest
	at time.Time
}

func newTalkDesk(s *Service) *talkDesk {
	ctx, stop := context.WithCancel(context.Background())
	return &talkDesk{service: s, ctx: ctx, stop: stop, handlers: make(map[string]*talkers)}
}

func (d *talkDesk) register(protocol string, h TalkHandler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h == nil {
		delete(d.handlers, protocol)
		return
	}
	d.handlers[protocol] = &talkers{handler: h}
}

// dispatch gives a request to its handler. It returns false if there is none or it
// has too much to do. It is called with the mutex of the Service, and never blocks.
func (d *talkDesk) dispatch(t discv5.TalkRequest) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.handlers[t.Protocol]
	if h == nil || len(h.queue) >= maxTalkQueue {
		return false
	}
	h.queue = append(h.queue, queuedTalk{t, time.Now()})
	if h.running < maxTalkers {
		h.running++
		d.service.tasks.Go(func() { d.work(h) })
	}
	return true
}

// work handles what is queued, and ends with it.
func (d *talkDesk) work(h *talkers) {
	for {
		d.mu.Lock()
		if len(h.queue) == 0 || d.ctx.Err() != nil {
			h.running--
			h.queue = nil
			d.mu.Unlock()
			return
		}
		t := h.queue[0]
		h.queue = h.queue[1:]
		d.mu.Unlock()

		var response []byte
		if time.Since(t.at) < talkLife {
			response = d.handle(h.handler, t)
		}
		d.service.in(func(now time.Time) {
			err := d.service.v5.Answer(now, t.TalkRequest, response)
			if errors.Is(err, discv5.ErrTooLarge) {
				_ = d.service.v5.Answer(now, t.TalkRequest, nil)
			}
			if err != nil {
				d.service.log.Debug("Talk response not sent", "protocol", t.Protocol, "node", t.Node.ID(), "err", err)
			}
		})
	}
}

// handle calls a handler. One that panics has given no response.
func (d *talkDesk) handle(h TalkHandler, t queuedTalk) (response []byte) {
	defer func() {
		if v := recover(); v != nil {
			d.service.log.Error("Talk handler panicked", "protocol", t.Protocol, "panic", v, "stack", string(debug.Stack()))
			response = nil
		}
	}()
	return h(d.ctx, Talk{Node: t.Node, From: t.From, Protocol: t.Protocol, Request: t.Payload})
}
