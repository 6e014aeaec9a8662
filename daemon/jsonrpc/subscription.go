package jsonrpc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"sync"
)

// subscriptions are those of one stream client. Each runs in a goroutine of its
// own, which ServeConn waits for.
type subscriptions struct {
	ctx  context.Context               // of the connection
	send func([]byte) error            // writes one message
	end  func(error)                   // ends the connection
	wg   sync.WaitGroup                // the goroutines
	mu   sync.Mutex                    // guards the fields below
	live map[string]context.CancelFunc // by id
	todo []func()                      // goroutines to start once their id has been told
}

// subscribe starts a subscription and returns its id.
func (c *session) subscribe(_ context.Context, namespace string, p Params) (any, error) {
	var name string
	if err := p.Decode(&name); err != nil {
		return nil, err
	}
	sub, ok := c.server.subscriptions[namespace+"/"+name]
	switch {
	case !ok:
		return nil, noMethod(namespace + "_subscribe " + name)
	case c.subs == nil:
		return nil, &Error{CodeNoMethod, "notifications not supported over HTTP: use the IPC socket"}
	case !c.server.enterSubscriber():
		return nil, &Error{CodeServer, fmt.Sprintf("there are %d subscriptions already", MaxSubscribers)}
	}
	id := newSubscriptionID()
	c.subs.add(c.server, namespace+"_subscription", id, sub)
	return id, nil
}

// unsubscribe ends a subscription of this client.
func (c *session) unsubscribe(namespace string, p Params) (any, error) {
	var id string
	if err := p.Decode(&id); err != nil {
		return nil, err
	}
	if c.subs == nil || !c.subs.cancel(id) {
		return nil, &Error{CodeServer, "subscription not found"}
	}
	return true, nil
}

// newSubscriptionID returns an id that nobody can guess: 0x and 32 hex digits.
func newSubscriptionID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return fmt.Sprintf("%#x", id)
}

// add subscribes at once and leaves the goroutine that forwards events to start.
func (s *subscriptions) add(server *Server, method, id string, sub Subscription) {
	ctx, cancel := context.WithCancel(s.ctx)
	events := sub(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[id] = cancel
	s.todo = append(s.todo, func() {
		defer server.leaveSubscriber()
		defer s.cancel(id)
		if err := s.forward(method, id, events); err != nil && ctx.Err() == nil {
			s.end(err)
		}
	})
}

// start starts the goroutines of the subscriptions whose ids have been told: an
// event must not arrive before the answer to the request.
func (s *subscriptions) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, run := range s.todo {
		s.wg.Go(run)
	}
	s.todo = nil
}

// forward sends events until there are no more. It returns an error if some are
// lost or the client does not take them.
func (s *subscriptions) forward(method, id string, events iter.Seq2[any, error]) error {
	for event, err := range events {
		if err != nil {
			return fmt.Errorf("jsonrpc: subscription %s: %w", id, err)
		}
		n := notification{Version: "2.0", Method: method}
		n.Params.Subscription = id
		if n.Params.Result, err = json.Marshal(event); err != nil {
			return fmt.Errorf("jsonrpc: subscription %s: %w", id, err)
		}
		text, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("jsonrpc: subscription %s: %w", id, err)
		}
		if err := s.send(text); err != nil {
			return err
		}
	}
	return nil
}

// cancel ends one subscription and reports whether it was live.
func (s *subscriptions) cancel(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cancel, ok := s.live[id]
	if ok {
		cancel()
		delete(s.live, id)
	}
	return ok
}

// enterSubscriber takes one of the Server's places for subscriptions.
func (s *Server) enterSubscriber() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subscribers == MaxSubscribers {
		return false
	}
	s.subscribers++
	return true
}

func (s *Server) leaveSubscriber() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers--
}
