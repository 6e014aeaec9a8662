//go:build interop

package interop

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"parley/interop/nodes"
)

// Scripts written for geth read what parley says: the same calls about the same
// connection give the same shape of result. What differs is listed here.
func TestShapes(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth, parley := startGeth(t, "geth", network, nil), startParley(t, "parley", &network)
	parley.AddPeer(geth.URL())
	linked(t, parley.Node, geth.Node)

	for _, c := range []struct {
		method string
		args   []any
		except []string // paths that only one of the two has
	}{
		{method: "admin_nodeInfo", except: []string{
			".protocols.eth.config", ".protocols.snap", // geth's: it has a chain
			".p2p", // parley's
		}},
		{method: "admin_peers", except: []string{"[].protocols.snap", "[].enr"}},
		{method: "net_version"},
		{method: "net_peerCount"},
		{method: "net_listening"},
		{method: "web3_clientVersion"},
		{method: "admin_addPeer", args: []any{geth.URL()}},
		{method: "admin_removeTrustedPeer", args: []any{geth.URL()}},
	} {
		shapes := make([][]string, 2)
		for i, n := range []*nodes.Node{geth.Node, parley.Node} {
			var result json.RawMessage
			n.Call(&result, c.method, c.args...)
			shape, err := nodes.Shape(result)
			if err != nil {
				t.Fatal(err)
			}
			shapes[i] = slices.DeleteFunc(shape, func(path string) bool {
				return slices.ContainsFunc(c.except, func(p string) bool { return strings.HasPrefix(path, p) })
			})
		}
		if !slices.Equal(shapes[0], shapes[1]) {
			t.Errorf("%s: geth gives %q, parley %q", c.method, shapes[0], shapes[1])
		}
	}

	// Errors have the same codes.
	for _, c := range []struct {
		method string
		args   []any
	}{
		{"admin_addPeer", []any{"enode://nonsense"}},
		{"admin_addPeer", nil},
		{"admin_addPeer", []any{1}},
		{"admin_noSuchMethod", nil},
		{"nonsense", nil},
	} {
		ofGeth, ofParley := geth.TryCall(nil, c.method, c.args...), parley.TryCall(nil, c.method, c.args...)
		if code(ofGeth) == 0 || code(ofGeth) != code(ofParley) {
			t.Errorf("%s%v: geth says %v (%d), parley %v (%d)", c.method, c.args, ofGeth, code(ofGeth), ofParley, code(ofParley))
		}
	}
}
