package jsonrpc

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// newTestServer returns a Server with a few methods to call.
func newTestServer() *Server {
	s := NewServer(slog.New(slog.DiscardHandler))
	s.Register("net_version", func(_ context.Context, p Params) (any, error) { return "1", p.Decode() })
	s.Register("test_echo", func(_ context.Context, p Params) (any, error) {
		var v string
		err := p.Decode(&v)
		return v, err
	})
	s.Register("test_fail", func(context.Context, Params) (any, error) { return nil, errors.New("it failed") })
	s.Register("test_panic", func(context.Context, Params) (any, error) { panic("at the disco") })
	s.Register("test_null", func(context.Context, Params) (any, error) { return nil, nil })
	s.Register("test_bad", func(context.Context, Params) (any, error) { return func() {}, nil })
	s.Register("test_big", func(context.Context, Params) (any, error) { return strings.Repeat("x", 1<<20), nil })
	return s
}

// Each request has exactly this answer.
func TestAnswer(t *testing.T) {
	long := strings.Repeat("x", 200)
	tests := []struct{ name, request, answer string }{
		{"call", `{"jsonrpc":"2.0","id":1,"method":"net_version","params":[]}`,
			`{"jsonrpc":"2.0","id":1,"result":"1"}`},
		{"no params", `{"jsonrpc":"2.0","id":"a\"b","method":"net_version"}`,
			`{"jsonrpc":"2.0","id":"a\"b","result":"1"}`},
		{"null params", `{"jsonrpc":"2.0","id":null,"method":"net_version","params":null}`,
			`{"jsonrpc":"2.0","id":null,"result":"1"}`},
		{"null result", `{"jsonrpc":"2.0","id":2,"method":"test_null"}`,
			`{"jsonrpc":"2.0","id":2,"result":null}`},
		{"space", " {\n\"jsonrpc\" :\t\"2.0\" , \"id\": 1 , \"method\" : \"test_echo\" , \"params\" : [ \"a,b:{\" ] } ",
			`{"jsonrpc":"2.0","id":1,"result":"a,b:{"}`},
		{"unknown member", `{"jsonrpc":"2.0","id":1,"method":"net_version","extra":{"a":[1,2]}}`,
			`{"jsonrpc":"2.0","id":1,"result":"1"}`},
		{"notification", `{"jsonrpc":"2.0","method":"net_version"}`, ``},
		{"unknown notification", `{"jsonrpc":"2.0","method":"net_nothing"}`, ``},
		{"-32000", `{"jsonrpc":"2.0","id":1,"method":"test_fail"}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"it failed"}}`},
		{"-32603 panic", `{"jsonrpc":"2.0","id":1,"method":"test_panic"}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}`},
		{"-32603 result", `{"jsonrpc":"2.0","id":1,"method":"test_bad"}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error: the result cannot be encoded"}}`},
		{"-32601", `{"jsonrpc":"2.0","id":1,"method":"net_nothing"}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method net_nothing does not exist/is not available"}}`},
		{"-32601 long", `{"jsonrpc":"2.0","id":1,"method":"` + long + `"}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method ` + long[:64] + `… does not exist/is not available"}}`},
		{"-32602 few", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":[]}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid params: got 0, want 1"}}`},
		{"-32602 many", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":["a","b"]}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid params: got 2, want 1"}}`},
		{"-32602 too many", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid params: more than 16"}}`},
		{"-32602 type", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":[7]}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid params: parameter 1: json: cannot unmarshal number into Go value of type string"}}`},
		{"-32602 by name", `{"jsonrpc":"2.0","id":1,"method":"test_echo","params":{"v":"a"}}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid params: want an array"}}`},
		{"-32600 version", `{"id":1,"method":"net_version"}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"invalid request: \"jsonrpc\" is not \"2.0\""}}`},
		{"-32600 method", `{"jsonrpc":"2.0","id":1,"method":7}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"invalid request: \"method\" is not a name"}}`},
		{"-32600 no method", `{"jsonrpc":"2.0"}`,
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: \"method\" is not a name"}}`},
		{"-32600 id", `{"jsonrpc":"2.0","id":{},"method":"net_version"}`,
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: id is neither a string nor a number"}}`},
		{"-32600 long id", `{"jsonrpc":"2.0","id":"` + long + `","method":"net_version"}`,
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: id is neither a string nor a number"}}`},
		{"-32600 empty batch", `[]`,
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: empty batch"}}`},
		{"-32700", `{"jsonrpc":"2.0",}`,
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: invalid JSON"}}`},
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"net_version"},{"jsonrpc":"2.0","method":"net_version"},7,{"jsonrpc":"2.0","id":2,"method":"test_fail"}]`,
			`[{"jsonrpc":"2.0","id":1,"result":"1"},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: not an object"}},` +
				`{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"it failed"}}]`},
		{"batch of notifications", `[{"jsonrpc":"2.0","method":"net_version"},{"jsonrpc":"2.0","method":"test_panic"}]`, ``},
		{"modules", `{"jsonrpc":"2.0","id":1,"method":"rpc_modules"}`,
			`{"jsonrpc":"2.0","id":1,"result":{"net":"1.0","rpc":"1.0","test":"1.0"}}`},
		{"no notifications", `{"jsonrpc":"2.0","id":1,"method":"test_subscribe","params":["ticks"]}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method test_subscribe ticks does not exist/is not available"}}`},
	}
	client := &session{server: newTestServer()}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := client.answer(t.Context(), []byte(tt.request))
			if string(got) != tt.answer {
				t.Errorf("answer\n%s\nwant\n%s", got, tt.answer)
			}
		})
	}
}

// A client sees only the namespaces that it may use, and cannot tell the others
// from ones that do not exist.
func TestNamespaces(t *testing.T) {
	client := &session{server: newTestServer(), namespaces: map[string]bool{"net": true}}
	for _, tt := range []struct{ method, want string }{
		{"net_version", `"result":"1"`},
		{"rpc_modules", `"result":{"net":"1.0","rpc":"1.0"}`},
		{"test_null", `"error":{"code":-32601,"message":"the method test_null does not exist/is not available"}`},
		{"nope_null", `"error":{"code":-32601,"message":"the method nope_null does not exist/is not available"}`},
		{"test_subscribe", `"error":{"code":-32601,"message":"the method test_subscribe does not exist/is not available"}`},
	} {
		got, _ := client.answer(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"`+tt.method+`"}`))
		if want := `{"jsonrpc":"2.0","id":1,` + tt.want + `}`; string(got) != want {
			t.Errorf("%s: %s, want %s", tt.method, got, want)
		}
	}
}

// What a batch is answered with is bounded: calls after MaxReply bytes are refused.
func TestReplyLimit(t *testing.T) {
	client := &session{server: newTestServer()}
	const calls = 40 // of 1 MiB each
	batch := "[" + strings.TrimSuffix(strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"test_big"},`, calls), ",") + "]"
	reply, _ := client.answer(t.Context(), []byte(batch))
	var answers []response
	if err := json.Unmarshal(reply, &answers); err != nil || len(answers) != calls {
		t.Fatalf("%d answers, %v; want %d", len(answers), err, calls)
	}
	answered := 0
	for _, a := range answers {
		if a.Error == nil {
			answered++
		}
	}
	if answered != 10 || len(reply) > MaxReply+2<<20 {
		t.Errorf("%d calls of 1 MiB answered in %d bytes, want 10", answered, len(reply))
	}
}

// Whatever a client sends is answered by JSON, or by nothing.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"test_echo","params":["a"]}`,
		`[{"jsonrpc":"2.0","id":1,"method":"net_version"},{"jsonrpc":"2.0","method":"x"},7]`,
		`{"jsonrpc":"2.0","id":"\u0000\"","method":"rpc_modules","params":[]}`,
		`{"a":{"b":[{}]},"id":-1e9,"method":"test_subscribe","params":["x"]}`,
		`[]`, `{}`, `[[]]`, `{"":}`, "[\"\\\"]\"]",
	} {
		f.Add([]byte(seed))
	}
	s := newTestServer()
	f.Fuzz(func(t *testing.T, text []byte) {
		raw, err := readBody(strings.NewReader(string(text)))
		if err != nil {
			return
		}
		reply, _ := (&session{server: s}).answer(t.Context(), raw)
		if len(reply) > 0 && !json.Valid(reply) {
			t.Fatalf("answer to %q is not JSON: %q", text, reply)
		}
		if len(reply) > 300*(len(text)+1) {
			t.Fatalf("answer to %d bytes has %d", len(text), len(reply))
		}
	})
}
