package archtest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The tree follows the rules.
func TestTree(t *testing.T) {
	broken, err := check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range broken {
		t.Error(b)
	}
}

// The table itself is sound: a row names no package above it and none that has
// no row, only p2p sees all shells, and every module has a known licence.
func TestTable(t *testing.T) {
	floor := make(map[string]int)
	for _, r := range packages {
		if _, twice := floor[r.path]; twice {
			t.Errorf("%s has two rows", r.path)
		}
		floor[r.path] = r.floor
	}
	for _, r := range packages {
		seen := 0
		for _, i := range r.imports {
			f, ok := floor[i]
			if !ok || f > r.floor || f == beside {
				t.Errorf("%s on floor %d imports %s, on floor %d, row: %v", r.path, r.floor, i, f, ok)
			}
			if slices.Contains(together, i) {
				seen++
			}
		}
		if seen > 1 && r.path != "p2p" {
			t.Errorf("%s sees %d of %v", r.path, seen, together)
		}
		for _, m := range slices.Concat(r.modules, testModules) {
			if m != "C" && licences[m] == "" {
				t.Errorf("%s may import %s, whose licence is not in the table", r.path, m)
			}
		}
	}
}

// sound is a tree without fault, to which each case of TestRules adds one.
var sound = map[string]string{
	"go.mod":                  "module parley\n\ngo 1.26\n\nrequire golang.org/x/crypto v0.1.0\n\nrequire (\n\tgolang.org/x/sys v0.1.0 // indirect\n)\n",
	"rlp/rlp.go":              "// Package rlp is bytes.\npackage rlp\n\nimport (\n\t\"net/netip\"\n\t\"sync/atomic\"\n\t\"time\"\n)\n\nvar _ netip.Addr\nvar _ atomic.Int32\nvar _ time.Time\n",
	"rlp/rlp_test.go":         "package rlp_test\n\nimport (\n\t\"net\"\n\t\"os\"\n\t\"parley/internal/simnet\"\n\t\"pgregory.net/rapid\"\n\t\"time\"\n)\n\nfunc f() { go f(); <-time.After(0) }\n",
	"internal/secp/secp.go":   "// Package secp is keys.\npackage secp\n\nimport \"gitlab.com/yawning/secp256k1-voi\"\n",
	"internal/simnet/net.go":  "// Package simnet is a network.\npackage simnet\n\nimport \"net\"\n",
	"rlpx/conn.go":            "package rlpx\n\nimport \"net\"\n\nfunc f(c chan int) { go f(c) }\n",
	"rlpx/ecies.go":           "// Package rlpx is streams.\npackage rlpx\n\nimport \"parley/internal/secp\"\n",
	"enr/testdata/x/x.go":     "package util\n\nimport \"parley/daemon\"\n",
	"daemon/go.mod":           "module parley/daemon\n\nrequire example.org/x v1.0.0\n",
	"daemon/cmd/main.go":      "// Command parley runs a node.\npackage main\n\nimport (\n\t\"example.org/x\"\n\t\"parley/rlpx\"\n)\n",
	"interop/go.mod":          "module parley/interop\n",
	"interop/diff/d.go":       "// Package diff compares.\npackage diff\n\nimport (\n\t\"github.com/ethereum/go-ethereum/rlp\"\n\t\"parley/internal/secp\"\n)\n",
	".hidden/x.go":            "package util\n",
	"web/node_modules/x/x.go": "package util\n",
}

// core is the beginning of a file of a pure package.
const core = "// Package enr is records.\npackage enr\n\n"

// Each rule is seen to fail: one fault in a tree that is sound otherwise gives
// one line, about that fault.
func TestRules(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string // the beginning of the one line; empty: no fault
	}{
		{"sound", nil, ""},

		{"core imports net", map[string]string{"enr/a.go": core + "import \"net\"\n"}, "enr/a.go:4: a pure file must not import net"},
		{"core imports below net", map[string]string{"enr/a.go": core + "import \"net/http\"\n"}, "enr/a.go:4: a pure file must not import net/http"},
		{"core imports os", map[string]string{"enr/a.go": core + "import \"os\"\n"}, "enr/a.go:4: a pure file must not import os"},
		{"core imports sync", map[string]string{"enr/a.go": core + "import \"sync\"\n"}, "enr/a.go:4: a pure file must not import sync"},
		{"another than rlp imports sync/atomic", map[string]string{"enr/a.go": core + "import \"sync/atomic\"\n"}, "enr/a.go:4: a pure file must not import sync/atomic"},
		{"core imports context", map[string]string{"enr/a.go": core + "import \"context\"\n"}, "enr/a.go:4: a pure file must not import context"},
		{"core imports slog", map[string]string{"enr/a.go": core + "import \"log/slog\"\n"}, "enr/a.go:4: a pure file must not import log/slog"},
		{"core imports for another system", map[string]string{"enr/a_plan9.go": "//go:build never\n\n" + core + "import \"os\"\n"}, "enr/a_plan9.go:6: a pure file must not import os"},
		{"core imports into its names", map[string]string{"enr/a.go": core + "import . \"time\"\n\nvar n = Now()\n"}, "enr/a.go:4: a pure file must not import time into"},
		{"core asks the time", map[string]string{"enr/a.go": core + "import \"time\"\n\nvar n = time.Now()\n"}, "enr/a.go:6: a pure file must not use time.Now"},
		{"core asks the time by another name", map[string]string{"enr/a.go": core + "import t \"time\"\n\nvar since = t.Since\n"}, "enr/a.go:6: a pure file must not use time.Since"},
		{"core makes a timer", map[string]string{"enr/a.go": core + "import \"time\"\n\nvar n = time.NewTimer(0)\n"}, "enr/a.go:6: a pure file must not use time.NewTimer"},
		{"a variable named time", map[string]string{"enr/a.go": core + "type c struct{ Now int }\n\nfunc f(time c) int { return time.Now }\n"}, ""},
		{"core starts a goroutine", map[string]string{"enr/a.go": core + "func f() { go f() }\n"}, "enr/a.go:4: a pure file must not contain a go statement"},
		{"core has a channel", map[string]string{"enr/a.go": core + "type c chan int\n"}, "enr/a.go:4: a pure file must not contain a channel type"},
		{"core sends", map[string]string{"enr/a.go": core + "func f() { x.c <- 1 }\n"}, "enr/a.go:4: a pure file must not contain a send"},
		{"core receives", map[string]string{"enr/a.go": core + "func f() { <-x.c }\n"}, "enr/a.go:4: a pure file must not contain a receive"},
		{"core selects", map[string]string{"enr/a.go": core + "func f() { select {} }\n"}, "enr/a.go:4: a pure file must not contain a select"},
		{"pure file of a shell", map[string]string{"rlpx/frame.go": "package rlpx\n\nimport \"net\"\n"}, "rlpx/frame.go:3: a pure file must not import net"},
		{"init function", map[string]string{"rlpx/init.go": "package rlpx\n\nfunc init() {}\n"}, "rlpx/init.go:3: func init"},

		{"upward import", map[string]string{"enr/a.go": core + "import \"parley/p2p\"\n"}, "enr/a.go:4: enr must not import p2p"},
		{"import that the row does not name", map[string]string{"enr/a.go": core + "import \"parley/internal/netaddr\"\n"}, "enr/a.go:4: enr must not import internal/netaddr"},
		{"rlpx knows records", map[string]string{"rlpx/a.go": "package rlpx\n\nimport \"parley/enr\"\n"}, "rlpx/a.go:3: rlpx must not import enr"},
		{"product imports simnet", map[string]string{"rlpx/a.go": "package rlpx\n\nimport \"parley/internal/simnet\"\n"}, "rlpx/a.go:3: rlpx must not import internal/simnet"},
		{"library imports daemon", map[string]string{"rlpx/a.go": "package rlpx\n\nimport \"parley/daemon/admin\"\n"}, "rlpx/a.go:3: the library must not import daemon/admin"},
		{"test of the library imports daemon", map[string]string{"rlpx/a_test.go": "package rlpx\n\nimport \"parley/daemon\"\n"}, "rlpx/a_test.go:3: the library must not import daemon"},
		{"discover opens a stream", map[string]string{"discover/a.go": "// Package discover is UDP.\npackage discover\n\nimport \"net\"\n\nvar d net.Dialer\n"}, "discover/a.go:6: discover must not use net.Dialer"},
		{"discover has its socket", map[string]string{"discover/a.go": "// Package discover is UDP.\npackage discover\n\nimport \"net\"\n\nvar c net.UDPConn\n"}, ""},

		{"third-party module", map[string]string{"enr/a.go": core + "import \"golang.org/x/net/ipv4\"\n"}, "enr/a.go:4: enr must not import golang.org/x/net/ipv4"},
		{"module with a longer name", map[string]string{"internal/secp/a.go": "package secp\n\nimport \"gitlab.com/yawning/secp256k1-voice\"\n"}, "internal/secp/a.go:3: internal/secp must not import gitlab.com/yawning/secp256k1-voice"},
		{"module of tests in the product", map[string]string{"enr/a.go": core + "import \"pgregory.net/rapid\"\n"}, "enr/a.go:4: enr must not import pgregory.net/rapid"},
		{"module in a test", map[string]string{"rlpx/a_test.go": "package rlpx\n\nimport \"github.com/ethereum/go-ethereum/p2p\"\n"}, "rlpx/a_test.go:3: rlpx must not import github.com/ethereum/go-ethereum/p2p"},
		{"cgo", map[string]string{"enr/a.go": core + "import \"C\"\n"}, "enr/a.go:4: enr must not import C"},
		{"cgo where it is named", map[string]string{"internal/secp/a.go": "//go:build libsecp256k1\n\npackage secp\n\nimport \"C\"\n"}, ""},
		{"module without licence", map[string]string{"go.mod": sound["go.mod"] + "\nrequire github.com/ethereum/go-ethereum v1.17.10\n"}, "go.mod: requires github.com/ethereum/go-ethereum"},
		{"indirect module without licence", map[string]string{"go.mod": "module parley\n\nrequire (\n\texample.org/gpl v1.0.0 // indirect\n)\n"}, "go.mod: requires example.org/gpl"},

		{"daemon imports internal", map[string]string{"daemon/a/a.go": "// Package a is a.\npackage a\n\nimport \"parley/internal/secp\"\n"}, "daemon/a/a.go:4: daemon must not import parley/internal/secp"},
		{"daemon imports LGPL", map[string]string{"daemon/a/a.go": "// Package a is a.\npackage a\n\nimport \"github.com/ethereum/go-ethereum/rlp\"\n"}, "daemon/a/a.go:4: daemon must not import github.com/ethereum"},
		{"interop imports daemon", map[string]string{"interop/diff/e.go": "package diff\n\nimport \"parley/daemon/admin\"\n"}, "interop/diff/e.go:3: interop must not import parley/daemon/admin"},
		{"unknown module", map[string]string{"other/go.mod": "module other\n"}, "other: is a module that is not in the table"},

		{"unknown package", map[string]string{"dialer/a.go": "// Package dialer dials.\npackage dialer\n"}, "dialer: is a package that is not in the table"},
		{"unknown package of tests", map[string]string{"rlp/more/a_test.go": "package more\n"}, "rlp/more: "},
		{"no comment", map[string]string{"enr/a.go": "package enr\n"}, "enr: package enr has no comment"},
		{"comment in a test", map[string]string{"enr/a.go": "package enr\n", "enr/a_test.go": core}, "enr: package enr has no comment"},
		{"comment of another", map[string]string{"enr/a.go": "// Records.\npackage enr\n"}, "enr: the comment of package enr does not begin with \"Package enr \""},
		{"command without comment", map[string]string{"daemon/cmd/main.go": "package main\n"}, "daemon/cmd: package main has no comment"},
		{"comment detached", map[string]string{"enr/a.go": "// Package enr is records.\n\npackage enr\n"}, "enr: package enr has no comment"},
		{"empty name", map[string]string{"daemon/util/a.go": "// Package util is everything.\npackage util\n"}, "daemon/util: util is a name that says nothing"},
		{"empty name of a folder", map[string]string{"interop/types/a.go": "// Package x is x.\npackage x\n"}, "interop/types: types is a name that says nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree := make(fstest.MapFS)
			for _, files := range []map[string]string{sound, test.files} {
				for name, text := range files {
					tree[name] = &fstest.MapFile{Data: []byte(text)}
				}
			}
			broken, err := check(tree)
			if err != nil {
				t.Fatal(err)
			}
			if test.name == "unknown package of tests" {
				// No comment either: a package of tests alone has nowhere to keep it.
				broken = slices.DeleteFunc(broken, func(b string) bool { return strings.HasSuffix(b, "has no comment") })
			}
			switch {
			case test.want == "" && len(broken) > 0:
				t.Errorf("faults: %q, want none", broken)
			case test.want != "" && (len(broken) != 1 || !strings.HasPrefix(broken[0], test.want)):
				t.Errorf("faults: %q, want one: %q", broken, test.want)
			}
		})
	}
}
