package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Wrong arguments end with code 2, nothing on standard output, and words that say
// what is wrong. None of these gets as far as the network.
func TestWrongArguments(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("1", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	const list = "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@nodes.example.org"
	for _, tt := range []struct{ args, want string }{
		{"parley dns sync", "want one or two arguments, URL [DIR], and got 0"},
		{"parley dns sync https://example.org", "want enrtree://KEY@DOMAIN"},
		{"parley dns sync " + list + " --resolver example.org", "is not the address of a name server"},
		{"parley dns sync " + list + " -o yaml", "want one of csv, enode, enr, json, ndjson, table"},
		{"parley dns sync " + list + " -q --json", "choose one of --json, --output and --quiet"},
		{"parley dns sync " + list + " -o enr -q", "choose one of --json, --output and --quiet"},
		{"parley dns sync " + list + " copy -q", "are for printing"},
		{"parley dns sync " + list + " copy -o enr", "are for printing"},
		{"parley dns sync " + list + " --rate 0", "is not a number of lookups"},
		{"parley dns sync " + list + " --timeout x", "timeout"},
		{"parley dns sign tree", "want two arguments, DIR KEYFILE, and got 1"},
		{"parley dns to-txt", "want one or two arguments, DIR [FILE], and got 0"},
		{"parley dns to-txt tree - more", "and got 3"},
		{"parley dns to-txt tree --zone --json", "contradict each other"},

		{"parley bootnode", "name its file with --nodekey, or make one with --genkey FILE"},
		{"bootnode -nodekey KEY -nodekeyhex b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291", "nodekey and nodekeyhex are both set"},
		{"bootnode -nodekeyhex b71c", "4 characters instead of 64 hex digits"},
		{"bootnode -nodekey KEY -nat nowhere", "unknown method; use any, none, upnp"},
		{"bootnode -nodekey KEY -nat extip:0.0.0.0", "0.0.0.0"},
		{"bootnode -nodekey KEY -nat pmp:example.org", "after the colon comes the gateway's IP address"},
		{"bootnode -nodekey KEY -addr 30301", "is not an address and port"},
		{"bootnode -nodekey KEY -addr example.org:30301", "is not an address and port"},
		{"bootnode -nodekey KEY -addr 127.0.0.1:70000", "is not an address and port"},
		{"bootnode -nodekey KEY -netrestrict 10.0.0.0", "is not a network such as 10.0.0.0/8"},
		{"bootnode -nodekey KEY -verbosity 9", "want a number from 0 to 5"},
		{"bootnode -nodekey KEY now", "want no arguments"},
		{"/usr/bin/bootnode -nodky KEY", "did you mean nodekey?"},
	} {
		var stdout, stderr bytes.Buffer
		args := strings.Fields(strings.ReplaceAll(tt.args, "KEY ", key+" "))
		code := Main(t.Context(), args, Env{Stdout: &stdout, Stderr: &stderr})
		if code != exitUsage || stdout.Len() > 0 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%s: code %d, %q and\n%swant code 2 and %q", tt.args, code, stdout.String(), stderr.String(), tt.want)
		}
		if name := filepath.Base(args[0]); !strings.HasPrefix(stderr.String(), name+": ") {
			t.Errorf("%s: the message does not begin with %s:\n%s", tt.args, name, stderr.String())
		}
	}
}
