// Package jsonrpc serves and calls JSON-RPC 2.0 over streams (a Unix socket) and
// over HTTP, with every size, count, depth and time bounded before it is spent.
//
// A Server holds methods and subscriptions by name, "namespace_name" as
// Ethereum's clients write it. ServeConn speaks on a stream, NewHTTPServer makes
// the HTTP face, a Client calls over a stream.
//
// https://www.jsonrpc.org/specification
package jsonrpc

import "time"

// What one side may cost the other. They are not options: a program that needs
// more than this from an admin interface needs another interface.
const (
	MaxBody        = 5 << 20          // bytes of one request or one batch
	MaxReply       = 10 << 20         // bytes of one answer; the calls of a batch after that are refused
	MaxDepth       = 32               // nesting of arrays and objects, a batch's own array included
	MaxBatch       = 100              // calls in a batch
	MaxParams      = 16               // positional parameters of a call
	MaxSubscribers = 64               // subscriptions of a Server, all connections together
	MaxConns       = 128              // connections of a Server, streams and HTTP each
	CallTimeout    = 30 * time.Second // a request from its first byte to its answer
	WriteTimeout   = 5 * time.Second  // one message to a stream; a reader slower than that is dropped
)
