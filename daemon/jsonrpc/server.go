package jsonrpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

// A Method answers one call. The result is encoded as JSON. It must return soon
// after ctx ends.
type Method func(ctx context.Context, p Params) (any, error)

// A Subscription starts to watch for events and returns them. What happens after
// it returned, and before its result is ranged over, is not lost. An error ends
// the subscriber's connection: there is no other way to tell it that something
// is missing.
type Subscription func(ctx context.Context) iter.Seq2[any, error]

// A Server answers calls. Register everything before it serves.
type Server struct {
	log           *slog.Logger
	methods       map[string]Method
	subscriptions map[string]Subscription // by "namespace/name"

	mu          sync.Mutex // guards the fields below
	subscribers int
	conns       int
}

// NewServer returns a Server that knows only rpc_modules. It logs to log what a
// person should see: panics in methods.
func NewServer(log *slog.Logger) *Server {
	return &Server{
		log:           log,
		methods:       make(map[string]Method),
		subscriptions: make(map[string]Subscription),
	}
}

// Register adds the method with the given full name, such as "net_version".
func (s *Server) Register(name string, m Method) { s.methods[name] = m }

// RegisterSubscription adds a subscription: a stream client starts it by
// namespace_subscribe [name] and ends it by namespace_unsubscribe [id].
func (s *Server) RegisterSubscription(namespace, name string, sub Subscription) {
	s.subscriptions[namespace+"/"+name] = sub
}

// Namespaces returns the namespaces of all methods, sorted.
func (s *Server) Namespaces() []string {
	set := map[string]bool{"rpc": true}
	for name := range s.methods {
		set[namespaceOf(name)] = true
	}
	return slices.Sorted(maps.Keys(set))
}

func namespaceOf(method string) string {
	namespace, _, _ := strings.Cut(method, "_")
	return namespace
}

// A session is one client: what it may call and, on a stream, what it has
// subscribed to.
type session struct {
	server     *Server
	namespaces map[string]bool // nil: all
	subs       *subscriptions  // nil: this transport has no notifications
}

func (c *session) allowed(namespace string) bool {
	return c.namespaces == nil || namespace == "rpc" || c.namespaces[namespace]
}

// answer handles the text of one request or batch and returns the text to send
// back, empty if there is nothing to say. whole reports whether the text was a
// request or batch at all.
func (c *session) answer(ctx context.Context, raw []byte) (reply []byte, whole bool) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()

	if !json.Valid(raw) {
		return appendAnswer(nil, null, nil, &Error{CodeParse, "parse error: invalid JSON"}), false
	}
	raw = bytes.TrimSpace(raw)
	if raw[0] != '[' {
		return c.answerOne(ctx, nil, raw), true
	}
	reply = append(reply, '[')
	calls := 0
	for call := range elements(raw) {
		if calls++; calls > MaxBatch {
			return appendAnswer(nil, null, nil, &Error{CodeInvalidRequest, errTooMany.Error()}), false
		}
		before := len(reply)
		if before > 1 {
			reply = append(reply, ',')
		}
		if after := c.answerOne(ctx, reply, call); len(after) > len(reply) {
			reply = after
		} else {
			reply = reply[:before] // a notification
		}
	}
	switch {
	case calls == 0:
		return appendAnswer(nil, null, nil, &Error{CodeInvalidRequest, "invalid request: empty batch"}), false
	case len(reply) == 1:
		return nil, true
	}
	return append(reply, ']'), true
}

// answerOne handles one request and appends its answer, if any, to b.
func (c *session) answerOne(ctx context.Context, b []byte, raw []byte) []byte {
	q, err := parseRequest(raw)
	var result any
	switch {
	case err != nil:
	case len(b) > MaxReply:
		err = &Error{CodeServer, "the answers before this one fill 10 MiB: ask in smaller batches"}
	case ctx.Err() != nil:
		err = &Error{CodeServer, "the request took longer than 30 seconds"}
	default:
		result, err = c.call(ctx, q)
	}
	if q.id == nil {
		return b
	}
	return appendAnswer(b, q.id, result, err)
}

// call runs the method of a request. A panic in it is the method's failure, not
// the node's.
func (c *session) call(ctx context.Context, q request) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.server.log.Error("RPC method panicked", "method", q.method, "panic", p, "stack", string(debug.Stack()))
			err = &Error{CodeInternal, "internal error"}
		}
	}()
	namespace, name, _ := strings.Cut(q.method, "_")
	if !c.allowed(namespace) {
		return nil, noMethod(q.method)
	}
	switch {
	case q.method == "rpc_modules":
		return c.modules(), Params{q.params}.Decode()
	case name == "subscribe":
		return c.subscribe(ctx, namespace, Params{q.params})
	case name == "unsubscribe":
		return c.unsubscribe(namespace, Params{q.params})
	}
	m, ok := c.server.methods[q.method]
	if !ok {
		return nil, noMethod(q.method)
	}
	return m(ctx, Params{q.params})
}

// noMethod is the answer both to a method that does not exist and to one that is
// not offered here: a stranger need not learn which.
func noMethod(name string) error {
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	return &Error{CodeNoMethod, fmt.Sprintf("the method %s does not exist/is not available", name)}
}

// modules is rpc_modules: the namespaces that the client may use, with their version.
func (c *session) modules() map[string]string {
	modules := make(map[string]string)
	for _, namespace := range c.server.Namespaces() {
		if c.allowed(namespace) {
			modules[namespace] = "1.0"
		}
	}
	return modules
}
