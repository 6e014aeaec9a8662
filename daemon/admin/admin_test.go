package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/daemon/jsonrpc"
	"parley/enode"
	"parley/p2p"
)

var _ Node = (*p2p.Server)(nil)

const nodeURL = "enode://ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f@127.0.0.1:30303"

const nodeID = "a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7"

// A fake is a node that says what a test wants, and writes down what it is asked.
type fake struct {
	peers  []*p2p.PeerInfo
	info   p2p.NodeInfo
	addr   net.Addr
	stats  p2p.Stats
	about  p2p.Explanation
	events iter.Seq[p2p.Event]
	static []p2p.Explanation
	bans   []p2p.Ban
	fail   error
	asked  []string
}

func (f *fake) NodeInfo() *p2p.NodeInfo    { return &f.info }
func (f *fake) PeersInfo() []*p2p.PeerInfo { return f.peers }
func (f *fake) PeerCount() int             { return len(f.peers) }
func (f *fake) Addr() net.Addr             { return f.addr }
func (f *fake) Stats() p2p.Stats           { return f.stats }
func (f *fake) Explain(id enode.ID) p2p.Explanation {
	x := f.about
	x.ID = id
	return x
}
func (f *fake) ExplainStatic() []p2p.Explanation           { return f.static }
func (f *fake) Events(context.Context) iter.Seq[p2p.Event] { return f.events }
func (f *fake) AddPeer(n *enode.Node) error                { return f.ask("add", n) }
func (f *fake) RemovePeer(n *enode.Node)                   { f.ask("remove", n) }
func (f *fake) AddTrustedPeer(n *enode.Node) error         { return f.ask("trust", n) }
func (f *fake) RemoveTrustedPeer(n *enode.Node)            { f.ask("distrust", n) }

func (f *fake) Bans() []p2p.Ban { return f.bans }

func (f *fake) Ban(b p2p.Ban) error {
	f.bans = append(f.bans, b)
	return f.fail
}

func (f *fake) Unban(id enode.ID, prefix netip.Prefix) error {
	if f.fail != nil {
		return f.fail
	}
	n := len(f.bans)
	f.bans = slices.DeleteFunc(f.bans, func(b p2p.Ban) bool { return b.ID == id && b.Net == prefix })
	if len(f.bans) == n {
		return p2p.ErrNotBanned
	}
	return nil
}

func (f *fake) ask(what string, n *enode.Node) error {
	f.asked = append(f.asked, what+" "+n.ID().String()[:4])
	return f.fail
}

// session serves f on a stream and returns a function that sends a request and
// returns the line that comes back. It must run in a synctest bubble.
func session(t *testing.T, f *fake) (ask func(method, params string) string, lines *bufio.Reader) {
	t.Helper()
	s := jsonrpc.NewServer(slog.New(slog.DiscardHandler))
	Register(s, f, Info{ClientVersion: "Parley/v0", NetworkID: 7, DataDir: "/data"})
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- s.ServeConn(t.Context(), far) }()
	t.Cleanup(func() { near.Close(); <-ended })
	lines = bufio.NewReader(near)
	return func(method, params string) string {
		t.Helper()
		go io.WriteString(near, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimPrefix(strings.TrimSpace(line), `{"jsonrpc":"2.0","id":1,`)
		return strings.TrimSuffix(line, "}")
	}, lines
}

// Every method answers in exactly this form.
func TestMethods(t *testing.T) {
	peer := &p2p.PeerInfo{Enode: nodeURL, ID: nodeID, Name: "Geth/v1", Caps: []string{"eth/69", "snap/1"}}
	peer.Network.LocalAddress, peer.Network.RemoteAddress, peer.Network.Static = "10.0.0.5:51522", "1.2.3.4:30303", true
	peer.Protocols = map[string]any{"eth": map[string]any{"version": 69}, "snap": "unknown"}
	info := p2p.NodeInfo{ID: nodeID, Name: "Parley/v0", Enode: nodeURL, ENR: "enr:-x", IP: "1.2.3.4", ListenAddr: "[::]:30303",
		Protocols: map[string]any{"eth": map[string]any{"network": 1}}}
	info.Ports.Discovery, info.Ports.Listener = 30303, 30303
	info.P2P.Reachable = p2p.Reachable{TCP4: p2p.ReachYes, TCP6: p2p.ReachUnknown, UDP4: p2p.ReachNo, UDP6: p2p.ReachUnknown}

	empty := func() *fake { return &fake{} }
	tests := []struct {
		method, params string
		node           *fake
		want           string
	}{
		{"admin_peers", `[]`, empty(), `"result":[]`},
		{"admin_peers", `[]`, &fake{peers: []*p2p.PeerInfo{peer}}, `"result":[{"enode":"` + nodeURL + `","id":"` + nodeID + `","name":"Geth/v1","caps":["eth/69","snap/1"],` +
			`"network":{"localAddress":"10.0.0.5:51522","remoteAddress":"1.2.3.4:30303","inbound":false,"trusted":false,"static":true},` +
			`"protocols":{"eth":{"version":69},"snap":"unknown"}}]`},
		{"admin_nodeInfo", `[]`, &fake{info: info}, `"result":{"id":"` + nodeID + `","name":"Parley/v0","enode":"` + nodeURL + `","enr":"enr:-x","ip":"1.2.3.4",` +
			`"ports":{"discovery":30303,"listener":30303},"listenAddr":"[::]:30303","protocols":{"eth":{"network":1}},` +
			`"p2p":{"reachable":{"tcp4":"yes","tcp6":"unknown","udp4":"no","udp6":"unknown"}}}`},
		{"admin_datadir", `[]`, empty(), `"result":"/data"`},
		{"net_version", `[]`, empty(), `"result":"7"`},
		{"net_peerCount", `[]`, empty(), `"result":"0x0"`},
		{"net_peerCount", `[]`, &fake{peers: make([]*p2p.PeerInfo, 25)}, `"result":"0x19"`},
		{"net_listening", `[]`, empty(), `"result":false`},
		{"net_listening", `[]`, &fake{addr: &net.TCPAddr{}}, `"result":true`},
		{"web3_clientVersion", `[]`, empty(), `"result":"Parley/v0"`},
		{"rpc_modules", `[]`, empty(), `"result":{"admin":"1.0","net":"1.0","p2p":"1.0","rpc":"1.0","web3":"1.0"}`},
		{"net_version", `[1]`, empty(), `"error":{"code":-32602,"message":"invalid params: got 1, want 0"}`},
		{"p2p_explainStatic", `[]`, empty(), `"result":[]`},
		{"admin_addPeer", `["enode://zz"]`, empty(), `"error":{"code":-32000,"message":"invalid enode: enode: parse: `},
		{"admin_addPeer", `[]`, empty(), `"error":{"code":-32602,"message":"invalid params: got 0, want 1"}`},
		{"admin_addPeer", `["` + nodeURL + `"]`, &fake{fail: errors.New("p2p: no room")}, `"error":{"code":-32000,"message":"p2p: no room"}`},
		{"p2p_stats", `[]`, &fake{stats: p2p.Stats{Peers: 2, Inbound: 1, Dialed: 1, Reachable: info.P2P.Reachable, Refused: map[p2p.Gate]uint64{p2p.GateDial: 3},
			Sources: map[string]p2p.Funnel{"discv4": {Offered: 9, Refused: map[p2p.Gate]uint64{p2p.GateRelay: 4}, Dialed: 5, Connected: 3, Hello: 2, Peer: 1}}}},
			`"result":{"peers":2,"inbound":1,"dialed":1,"pendingIn":0,"pendingOut":0,"buffered":0,"bytesIn":0,"bytesOut":0,"accepted":0,"served":0,` +
				`"dials":0,"dialsOk":0,"refused":{"dial":3},"sources":{"discv4":{"offered":9,"refused":{"relay":4},"dialed":5,"connected":3,"hello":2,"peer":1}},"preEip8":0,"panics":0,"unaskedPongs":0,"eventsLost":0,` +
				`"reachable":{"tcp4":"yes","tcp6":"unknown","udp4":"no","udp6":"unknown"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ask, _ := session(t, tt.node)
				if got := ask(tt.method, tt.params); got != tt.want && !(strings.HasSuffix(tt.want, ": ") && strings.HasPrefix(got, tt.want)) {
					t.Errorf("%s\nwant\n%s", got, tt.want)
				}
			})
		})
	}
}

// The four that change something do it to the node that is named, and answer true.
func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		ask, _ := session(t, f)
		for _, method := range []string{"admin_addPeer", "admin_removePeer", "admin_addTrustedPeer", "admin_removeTrustedPeer"} {
			if got := ask(method, `["`+nodeURL+`"]`); got != `"result":true` {
				t.Errorf("%s: %s", method, got)
			}
		}
		if want := []string{"add a448", "remove a448", "trust a448", "distrust a448"}; !slices.Equal(f.asked, want) {
			t.Errorf("the node was asked %q, want %q", f.asked, want)
		}
	})
}

// Events have the shape that subscribers know, snake_case and all. One who missed
// some is dropped.
func TestPeerEvents(t *testing.T) {
	id, err := enode.ParseID(nodeID)
	if err != nil {
		t.Fatal(err)
	}
	code, size := uint64(0), uint32(123)
	synctest.Test(t, func(t *testing.T) {
		ask, lines := session(t, &fake{events: slices.Values([]p2p.Event{
			{Type: p2p.EventAdd, Peer: id, Local: "10.0.0.5:1", Remote: "1.2.3.4:2", Name: "not shown"},
			{Type: p2p.EventMsgRecv, Peer: id, Protocol: "eth", MsgCode: &code, MsgSize: &size},
			{Type: p2p.EventDrop, Peer: id, Error: "too many peers"},
			{Type: p2p.EventLost, Lost: 3},
			{Type: p2p.EventAdd, Peer: id},
		})})
		answer := ask("admin_subscribe", `["peerEvents"]`)
		sub := strings.TrimSuffix(strings.TrimPrefix(answer, `"result":"`), `"`)
		for _, want := range []string{
			`{"type":"add","peer":"` + nodeID + `","local":"10.0.0.5:1","remote":"1.2.3.4:2"}`,
			`{"type":"msgrecv","peer":"` + nodeID + `","protocol":"eth","msg_code":0,"msg_size":123}`,
			`{"type":"drop","peer":"` + nodeID + `","error":"too many peers"}`,
		} {
			line, err := lines.ReadString('\n')
			want = `{"jsonrpc":"2.0","method":"admin_subscription","params":{"subscription":"` + sub + `","result":` + want + "}}\n"
			if err != nil || line != want {
				t.Errorf("%s %v\nwant\n%s", line, err, want)
			}
		}
		if line, err := lines.ReadString('\n'); err != io.EOF {
			t.Errorf("after lost events: %q, %v; want the end", line, err)
		}
	})
}

// p2p_explain takes a URL or an id and tells the story of the node.
func TestExplain(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 1, 7, 0, time.UTC)
	n, err := enode.Parse(nodeURL)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{about: p2p.Explanation{
		Node: n, Static: true, Source: "static", Points: 12.345, Failures: 6, NextDial: at.Add(18 * time.Second), Advice: "Compare.",
		Verdicts: []p2p.Verdict{{
			Time: at, First: at.Add(-3 * time.Minute), Count: 6, Gate: p2p.GateProtocol, Remote: netip.MustParseAddrPort("127.0.0.1:30303"),
			Detail: "Geth/v1", Err: errors.Join(errors.New("eth: genesis mismatch"), p2p.DiscSubprotocolError),
		}},
	}}
	want := `{"id":"` + nodeID + `","node":"` + nodeURL + `","enode":"` + nodeURL + `","connected":false,"static":true,"trusted":false,"dialing":false,` +
		`"source":"static","gate":"protocol","points":12.3,"failures":6,"nextDial":"2026-11-01T12:01:25Z","now":"2000-01-01T00:00:00Z","verdicts":[{"time":"2026-11-01T12:01:07Z","first":"2026-11-01T11:58:07Z",` +
		`"gate":"protocol","inbound":false,"remote":"127.0.0.1:30303","error":"eth: genesis mismatch\nsubprotocol error","reason":"subprotocol error","detail":"Geth/v1","count":6}],` +
		`"advice":"Compare."}`
	for _, who := range []string{nodeURL, nodeID, "0x" + nodeID, nodeURL[len("enode://"):][:128]} {
		synctest.Test(t, func(t *testing.T) {
			ask, _ := session(t, f)
			if got := ask("p2p_explain", `["`+who+`"]`); got != `"result":`+want {
				t.Errorf("%.20s…: %s\nwant\n%s", who, got, want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ask, _ := session(t, &fake{})
		if got := ask("p2p_explain", `["`+nodeID+`"]`); !strings.Contains(got, `"verdicts":[]`) || strings.Contains(got, "nextDial") || !json.Valid([]byte("{"+got+"}")) {
			t.Errorf("a node that was never heard of: %s", got)
		}
		f.about.Ban = &p2p.Ban{Net: netip.MustParsePrefix("127.0.0.0/8")}
		ask, _ = session(t, f)
		if got := ask("p2p_explain", `["`+nodeID+`"]`); !strings.Contains(got, `"gate":"ban","ban":{"net":"127.0.0.0/8",`) {
			t.Errorf("a node that was banned since: %s", got)
		}
		f.about.Connected = true
		if got := ask("p2p_explain", `["`+nodeID+`"]`); strings.Contains(got, `"gate":"ban"`) {
			t.Errorf("a peer: %s", got)
		}
		if got := ask("p2p_explain", `["xyz"]`); !strings.HasPrefix(got, `"error":{"code":-32000,"message":"invalid enode: `) {
			t.Errorf("no node: %s", got)
		}
	})
}
