package jsonrpc

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The error codes of the specification, and the one that applications use.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeNoMethod       = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
	CodeServer         = -32000
)

// An Error is an error as it appears in an answer. A method returns one to
// choose the code; any other error is told with CodeServer.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error returns the message: what a person wants to read; the code is for programs.
func (e *Error) Error() string { return e.Message }

// asError returns err in the form of an answer.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{CodeServer, err.Error()}
}

// null is what an answer carries in place of an id that could not be read.
var null = json.RawMessage("null")

// A request is one call or, without an id, one notification. Its fields alias
// the text it was read from.
type request struct {
	id     json.RawMessage // nil in a notification
	method string
	params json.RawMessage // nil if absent
}

// parseRequest reads one request. raw must be valid JSON. With an error the
// request has at least an id to answer to.
func parseRequest(raw []byte) (request, error) {
	q := request{id: null}
	if raw[0] != '{' {
		return q, &Error{CodeInvalidRequest, "invalid request: not an object"}
	}
	var version, method, id json.RawMessage
	for member := range elements(raw) {
		key, value := splitMember(member)
		switch string(key) {
		case `"jsonrpc"`:
			version = value
		case `"method"`:
			method = value
		case `"id"`:
			id = value
		case `"params"`:
			q.params = value
		}
	}
	if id != nil && (id[0] == '{' || id[0] == '[' || len(id) > maxID) {
		return q, &Error{CodeInvalidRequest, "invalid request: id is neither a string nor a number"}
	}
	q.id = id
	if string(version) != `"2.0"` {
		return q.answerable(), &Error{CodeInvalidRequest, `invalid request: "jsonrpc" is not "2.0"`}
	}
	if err := json.Unmarshal(method, &q.method); err != nil || q.method == "" {
		return q.answerable(), &Error{CodeInvalidRequest, `invalid request: "method" is not a name`}
	}
	return q, nil
}

// maxID bounds an id in bytes: it is sent back.
const maxID = 128

// answerable returns the request with an id: what is wrong with a notification
// that is not even a request is told to nobody in particular.
func (q request) answerable() request {
	if q.id == nil {
		q.id = null
	}
	return q
}

// A response is one answer.
type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

// A notification tells a subscriber of one event.
type notification struct {
	Version string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  struct {
		Subscription string          `json:"subscription"`
		Result       json.RawMessage `json:"result"`
	} `json:"params"`
}

// appendAnswer appends the answer to the call id: result, or err if it is not nil.
func appendAnswer(b []byte, id json.RawMessage, result any, err error) []byte {
	r := response{Version: "2.0", ID: id}
	if err == nil {
		if r.Result, err = json.Marshal(result); err != nil {
			err = &Error{CodeInternal, "internal error: the result cannot be encoded"}
		}
	}
	if err != nil {
		r.Result, r.Error = nil, asError(err)
	}
	text, err := json.Marshal(r)
	if err != nil { // only an id that is no JSON could do that, and it was checked
		text = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":null,"error":{"code":%d,"message":"internal error"}}`, CodeInternal)
	}
	return append(b, text...)
}

// Params are the positional parameters of a call.
type Params struct{ raw json.RawMessage }

// Decode reads the parameters into the values that dst points to. All of them
// must be there, and no more. An error has CodeInvalidParams.
func (p Params) Decode(dst ...any) error {
	var args []json.RawMessage
	switch {
	case p.raw == nil || string(p.raw) == "null":
	case p.raw[0] != '[':
		return &Error{CodeInvalidParams, "invalid params: want an array"}
	default:
		for arg := range elements(p.raw) {
			if len(args) == MaxParams {
				return &Error{CodeInvalidParams, fmt.Sprintf("invalid params: more than %d", MaxParams)}
			}
			args = append(args, arg)
		}
	}
	if len(args) != len(dst) {
		return &Error{CodeInvalidParams, fmt.Sprintf("invalid params: got %d, want %d", len(args), len(dst))}
	}
	for i, arg := range args {
		if err := json.Unmarshal(arg, dst[i]); err != nil {
			return &Error{CodeInvalidParams, fmt.Sprintf("invalid params: parameter %d: %v", i+1, err)}
		}
	}
	return nil
}
