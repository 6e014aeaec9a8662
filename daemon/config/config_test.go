package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"parley/eth"
)

const (
	genesis = "0x1518c33dab6ed4dbb2d0c48239ac2f00acc0e28dc43660bb745a0f127552024c"
	listURL = "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@nodes.example.org"
	nodeURL = "enode://ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f@127.0.0.1:30303"
)

// write makes a file with the text and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "parley.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t *testing.T, src Sources) *Loaded {
	t.Helper()
	l, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func origin(l *Loaded, name string) Origin {
	i := slices.IndexFunc(l.Values, func(v Value) bool { return v.Option.Name == name })
	return l.Values[i].Origin
}

// A flag goes before the environment, that before the file, that before the
// default, for every option alone.
func TestPrecedence(t *testing.T) {
	path := write(t, "port = 1\nmaxpeers = 11\ndialratio = 111\n")
	l := mustLoad(t, Sources{
		Flags: map[string]string{"port": "3"},
		Env:   []string{"PARLEY_PORT=2", "PARLEY_MAXPEERS=22", "PARLEY_IDENTITY=", "HOME=/home/x"},
		File:  path,
	})
	s := l.Settings
	got := fmt.Sprint(s.Port, s.MaxPeers, s.DialRatio, s.MaxPendPeers)
	if want := "3 22 111 0"; got != want {
		t.Errorf("port, maxpeers, dialratio, maxpendpeers = %s, want %s", got, want)
	}
	for name, want := range map[string]Origin{
		"port": "flag --port", "maxpeers": "env PARLEY_MAXPEERS", "dialratio": Origin("file " + path),
		"maxpendpeers": "default", "identity": "default",
	} {
		if got := origin(l, name); got != want {
			t.Errorf("%s comes from %q, want %q", name, got, want)
		}
	}
}

// Every option can be set by flag, environment and file, with the same effect.
func TestOneNameEverywhere(t *testing.T) {
	texts := map[string]string{
		"datadir": "/d", "identity": "me", "nodekey": "/k", "nodekeyhex": strings.Repeat("1", 64),
		"port": "7", "listen.addr": "127.0.0.1", "maxpeers": "7", "maxpendpeers": "7", "dialratio": "7",
		"nodial": "true", "netrestrict": "10.0.0.0/8,::1/128", "proxy": "socks5://u:p@127.0.0.1:9050", "staticpeers": nodeURL, "trustedpeers": nodeURL, "msgevents": "true",
		"bootnodes": nodeURL, "nodiscover": "true", "discovery.v4": "false", "discovery.v5": "false", "discovery.port": "30305",
		"discovery.dns": listURL, "nat": "extip:192.0.2.7",
		"network": "sepolia", "networkid": "7", "eth.genesis": genesis, "eth.forkid": "0x07c9462e,3", "eth.head": "7:" + genesis, "eth.protocols": "69,70",
		"ipcdisable": "true", "ipcpath": "x.ipc", "http": "true", "http.addr": "::1", "http.port": "7", "http.api": "admin",
		"http.corsdomain": "https://x.example", "http.vhosts": "x.example", "http.token": "/t", "http.noauth": "true",
		"verbosity": "5", "log.format": "json", "log.file": "/l",
	}
	byDefault := strings.ReplaceAll(settingsText(mustLoad(t, Sources{}).Settings), " ", "")
	needs := map[string]string{"networkid": "eth.genesis", "eth.genesis": "networkid", "eth.forkid": "network", "eth.head": "network"}
	for _, o := range Options() {
		text, ok := texts[o.Name]
		if !ok {
			t.Errorf("no text for option %s", o.Name)
			continue
		}
		with := map[string]string{}
		if need, ok := needs[o.Name]; ok {
			with[need] = texts[need]
		}
		load := func(src Sources) string {
			src.Flags = joined(with, src.Flags)
			l, err := Load(src)
			if err != nil {
				t.Errorf("%s: %v", o.Name, err)
			}
			return strings.NewReplacer(" ", "").Replace(fmt.Sprintf("%+v", settingsText(l.Settings)))
		}
		byFlag := load(Sources{Flags: map[string]string{o.Name: text}})
		byEnv := load(Sources{Env: []string{o.Env() + "=" + text}})
		key, value := o.Name, text
		if o.Name == "http" {
			key = "http.enabled"
		}
		if o.Kind == Text || o.Kind == List {
			value = fmt.Sprintf("%q", text)
		}
		byFile := load(Sources{File: write(t, key+" = "+value+"\n")})
		if byFlag != byEnv || byFlag != byFile || byFlag == byDefault {
			t.Errorf("%s: by flag\n%s\nby environment\n%s\nby file\n%s", o.Name, byFlag, byEnv, byFile)
		}
	}
}

func joined(maps ...map[string]string) map[string]string {
	all := make(map[string]string)
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// settingsText follows the pointers in s, to compare what they point to.
func settingsText(s Settings) string {
	text := fmt.Sprintf("%+v", s)
	text = regexp.MustCompile(`0x[0-9a-f]{8,12}\b`).ReplaceAllString(text, "ptr")
	if s.NetworkID != nil {
		text += fmt.Sprint(*s.NetworkID)
	}
	if s.Genesis != nil {
		text += s.Genesis.String()
	}
	if s.ForkID != nil {
		text += s.ForkID.String()
	}
	if s.Head != nil {
		text += s.Head.String()
	}
	for _, n := range slices.Concat(s.StaticPeers, s.TrustedPeers) {
		text += n.String()
	}
	return text
}

// Each mistake is told in these words.
func TestMistakes(t *testing.T) {
	tests := []struct {
		flags map[string]string
		want  string
	}{
		{map[string]string{"port": "70000"}, `port = "70000" (from flag --port): want a port from 0 to 65535`},
		{map[string]string{"maxpeers": "-1"}, `maxpeers = "-1" (from flag --maxpeers): want a number from 0 to 1000000`},
		{map[string]string{"network": "main"}, `network = "main" (from flag --network): want one of any, mainnet, sepolia, hoodi`},
		{map[string]string{"network": "sepola"}, `network = "sepola" (from flag --network): want one of any, mainnet, sepolia, hoodi; did you mean sepolia?`},
		{map[string]string{"identity": "a/b"}, `identity = "a/b" (from flag --identity): want at most 32 printable ASCII characters without spaces and slashes`},
		{map[string]string{"netrestrict": "10.0.0.0"}, `netrestrict = "10.0.0.0" (from flag --netrestrict): "10.0.0.0" is not a network such as 10.0.0.0/8`},
		{map[string]string{"http.api": "net,eth"}, `http.api = "net,eth" (from flag --http.api): there is no namespace "eth", only admin, debug, net, p2p, web3`},
		{map[string]string{"http.corsdomain": "x.example"}, `http.corsdomain = "x.example" (from flag --http.corsdomain): "x.example" is not an origin: write it as the browser sends it, https://x.example`},
		{map[string]string{"http.addr": "example.org"}, `http.addr = "example.org" (from flag --http.addr): want an IP address`},
		{map[string]string{"verbosity": "6"}, `verbosity = "6" (from flag --verbosity): want a number from 0 to 5`},
		{map[string]string{"ipcpath": ""}, `ipcpath = "" (from flag --ipcpath): want a name or a path; ipcdisable turns the socket off`},
		{map[string]string{"proxy": "http://u:secret@h:1"}, `proxy (from flag --proxy): want socks5://[USER:PASSWORD@]HOST:PORT`},
		{map[string]string{"nodekeyhex": strings.Repeat("1", 63)}, `nodekeyhex (from flag --nodekeyhex): enode: parse key text: 63 characters instead of 64 hex digits`},
		{map[string]string{"nodekey": "/k", "nodekeyhex": strings.Repeat("1", 64)}, `nodekey and nodekeyhex are both set: there is one key`},
		{map[string]string{"networkid": "7"}, `a private network needs both networkid and eth.genesis`},
		{map[string]string{"eth.genesis": genesis}, `a private network needs both networkid and eth.genesis`},
		{map[string]string{"network": "hoodi", "networkid": "7", "eth.genesis": genesis},
			"networkid is set, but network = hoodi has its own: leave one of them out\neth.genesis is set, but network = hoodi has its own: leave one of them out"},
		{map[string]string{"eth.head": "7:" + genesis}, `eth.head needs a network: set networkid and eth.genesis, or network`},
		{map[string]string{"http.noauth": "true", "http.addr": "0.0.0.0"}, `http.noauth is for loopback addresses: with http.addr = "0.0.0.0" anybody could call`},
		{map[string]string{"http.noauth": "true", "http.token": "/t"}, `http.token and http.noauth contradict each other`},
		{map[string]string{"bootnodes": "networks"}, `bootnodes = "networks" (from flag --bootnodes): stat networks: no such file or directory`},
		{map[string]string{"discovery.dns": "enrtree://x"}, `discovery.dns = "enrtree://x" (from flag --discovery.dns): "enrtree://x": dnsdisc: parse link: the URL has no valid public key before the @; want enrtree://KEY@DOMAIN`},
		{map[string]string{"port": "x", "maxpeers": "y"}, "port = \"x\" (from flag --port): want a port from 0 to 65535\nmaxpeers = \"y\" (from flag --maxpeers): want a number from 0 to 1000000"},
		{map[string]string{"identity": strings.Repeat("x", 1000)}, `identity = "` + strings.Repeat("x", 64) + `…" (from flag --identity): want at most 32 printable ASCII characters without spaces and slashes`},
	}
	for _, tt := range tests {
		_, err := Load(Sources{Flags: tt.flags})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%.80v:\n%v\nwant\n%v", tt.flags, err, tt.want)
		}
	}
}

// A file must be TOML, and every key in it an option of its kind.
func TestFileMistakes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"prot = 1", "unknown key prot; did you mean port?"},
		{"[http]\nadr = 'x'", "unknown key http.adr; did you mean http.addr?"},
		{"[nothing]\nlike = 'it'", "unknown key nothing.like"},
		{"port = 'x'", "port: want a number"},
		{"port = 1.5", "port: want a number"},
		{"nodial = 1", "nodial: want true or false"},
		{"identity = true", "identity: want a string"},
		{"staticpeers = [1.5]", "staticpeers: want an array of strings"},
		{"port = 1\nport = 2", ""},
		{"port = \n", ":1:8: "},
		{"[Node.P2P]\nMaxPeer = 1", "unknown key Node.P2P.MaxPeer; did you mean MaxPeers?"},
		{"[Node.P2P]\nListenAddr = 'x'", `Node.P2P.ListenAddr: want "address:port"`},
	} {
		path := write(t, tt.text)
		_, err := Load(Sources{File: path})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want %q and the file", tt.text, err, tt.want)
		}
	}
	if _, err := Load(Sources{File: "/nonexistent/parley.toml"}); err == nil {
		t.Error("a file that is not there was accepted")
	}
}

// A variable with our prefix that is no option gets a warning.
func TestUnknownEnv(t *testing.T) {
	l := mustLoad(t, Sources{Env: []string{"PARLEY_MAXPERS=3", "PARLEY_CONFIG=/x", "PARLEY_ZZZZZZZZZ=1", "PARLEYX=1"}})
	want := []string{
		"environment variable PARLEY_MAXPERS is not an option; did you mean PARLEY_MAXPEERS?",
		"environment variable PARLEY_ZZZZZZZZZ is not an option",
	}
	if !slices.Equal(l.Warnings, want) {
		t.Errorf("warnings %q, want %q", l.Warnings, want)
	}
}

// A configuration of geth, as its dumpconfig prints it, is understood; what has
// no effect is named once.
func TestGeth(t *testing.T) {
	path := write(t, `
[Eth]
NetworkId = 1
SyncMode = "snap"
[Eth.TxPool]
NoLocals = false
[Node]
DataDir = "/data"
IPCPath = "geth.ipc"
UserIdent = "corp"
HTTPHost = "127.0.0.1"
HTTPPort = 8555
HTTPVirtualHosts = ["localhost", "node.corp"]
HTTPModules = ["net", "web3", "eth", "admin"]
AuthPort = 8551
[Node.P2P]
MaxPeers = 7
MaxPendingPeers = 8
DialRatio = 9
NoDiscovery = true
BootstrapNodes = ["`+nodeURL+`"]
BootstrapNodesV5 = ["enr:-x"]
StaticNodes = ["`+nodeURL+`"]
TrustedNodes = []
NetRestrict = ["10.0.0.0/8", "127.0.0.0/8"]
ListenAddr = "127.0.0.1:30304"
NoDial = true
EnableMsgEvents = true
[Metrics]
HTTP = "127.0.0.1"
`)
	l := mustLoad(t, Sources{File: path})
	s := l.Settings
	got := fmt.Sprint(s.DataDir, s.Identity, s.IPCPath, s.HTTP, s.HTTPAddr, s.HTTPPort, s.HTTPHosts, s.HTTPAPI,
		s.MaxPeers, s.MaxPendPeers, s.DialRatio, len(s.StaticPeers), len(s.TrustedPeers), s.NetRestrict, s.ListenAddr, s.Port, s.NoDial, s.MsgEvents, s.NoDiscover, len(s.Bootnodes))
	want := "/datacorpparley.ipctrue127.0.0.18555[localhost node.corp][net web3 admin]7 8 9 1 0 [10.0.0.0/8 127.0.0.0/8]127.0.0.130304 true true true 1"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("settings\n%s\nwant\n%s", got, want)
	}
	warning := []string{"these parts of the configuration file have no effect here: Eth, Metrics, Node.AuthPort, Node.P2P.BootstrapNodesV5"}
	if !slices.Equal(l.Warnings, warning) {
		t.Errorf("warnings %q, want %q", l.Warnings, warning)
	}
}

// Only the default directory has sub-folders for test networks.
func TestDataDir(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	for _, tt := range []struct{ dir, network, want string }{
		{"", "any", "/home/me/.parley"},
		{"", "mainnet", "/home/me/.parley"},
		{"", "sepolia", "/home/me/.parley/sepolia"},
		{"", "hoodi", "/home/me/.parley/hoodi"},
		{"/data", "hoodi", "/data"},
	} {
		l := mustLoad(t, Sources{Flags: map[string]string{"datadir": tt.dir, "network": tt.network}})
		if l.Settings.DataDir != tt.want {
			t.Errorf("datadir %q, network %s: %s, want %s", tt.dir, tt.network, l.Settings.DataDir, tt.want)
		}
	}
}

// Nodes come as URLs, from a file of lines, or from one like static-nodes.json.
func TestNodes(t *testing.T) {
	key := nodeURL[len("enode://"):][:128]
	lines := write(t, "# ours\n"+nodeURL+" # the first\n\n"+key+"\n")
	array := write(t, `["`+nodeURL+`"]`)
	for text, want := range map[string]int{
		"": 0, nodeURL: 1, key: 1, nodeURL + " , " + key: 2, lines: 2, array: 1, "file://" + array: 1, array + "," + nodeURL + "," + lines: 4,
	} {
		l := mustLoad(t, Sources{Flags: map[string]string{"staticpeers": text}})
		if got := len(l.Settings.StaticPeers); got != want {
			t.Errorf("%.60q: %d nodes, want %d", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"enode://zz":                             "enode:",
		"/nonexistent":                           "no such file",
		t.TempDir():                              "not a file",
		write(t, "enode://zz"):                   "node 1: enode:",
		write(t, `[1]`):                          "want a JSON array",
		write(t, strings.Repeat(key+"\n", 1001)): "1001 nodes, at most 1000",
		write(t, strings.Repeat("#", maxNodeFile+1)): "more than 1048576 bytes",
	} {
		if _, err := Load(Sources{Flags: map[string]string{"staticpeers": text}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %.200v, want %q", text, err, want)
		}
	}
}

// The template, with every comment sign before a key removed, is a file that sets
// every option to its default.
func TestTemplate(t *testing.T) {
	text := regexp.MustCompile(`(?m)^# ([a-z0-9]+ = )`).ReplaceAllString(Template(), "$1")
	text = regexp.MustCompile(`(?m)^networkid = 0$`).ReplaceAllString(text, "")
	text = strings.Replace(text, `genesis = ""`, "", 1)
	path := write(t, text)
	l, err := Load(Sources{File: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range l.Values {
		if v.Option.Name == "networkid" || v.Option.Name == "eth.genesis" {
			continue
		}
		if v.Text != v.Option.Default || v.Origin != Origin("file "+path) {
			t.Errorf("%s = %q from %s, want its default %q from the file", v.Option.Name, v.Text, v.Origin, v.Option.Default)
		}
	}
}

func TestEthOptions(t *testing.T) {
	l := mustLoad(t, Sources{Flags: map[string]string{
		"networkid": "3503995874084926", "eth.genesis": genesis, "eth.forkid": "0x5942bfc2,0", "eth.head": "600:" + genesis, "eth.protocols": "69, eth/70,69",
	}})
	s := l.Settings
	hash, _ := eth.ParseHash(genesis)
	if *s.NetworkID != 3503995874084926 || *s.Genesis != hash || *s.ForkID != (eth.ForkID{Hash: 0x5942bfc2}) ||
		*s.Head != (eth.Head{Number: 600, Hash: hash}) || !slices.Equal(s.Protocols, []uint{69, 70}) || s.Mirror() {
		t.Errorf("settings %+v", s)
	}
	if s := mustLoad(t, Sources{}).Settings; !s.Mirror() {
		t.Error("without options the node does not mirror")
	}
}

// Whatever a file holds, it is taken or refused.
func FuzzFile(f *testing.F) {
	f.Add(Template())
	f.Add("[Node.P2P]\nMaxPeers = 1\nListenAddr=':1'\n[http]\nenabled=true")
	f.Add("a.b.c = [[1]]\n[Node]\nP2P=3")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "f")
		os.WriteFile(path, []byte(text), 0o600)
		newFileValues().read(path, Options())
	})
}
