package dnsdisc

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// serve answers with the records of a zone file on a UDP and a TCP port, and returns
// a resolver that asks there.
func serve(t *testing.T, file []byte) *net.Resolver {
	t.Helper()
	records := make(map[string][]dns.RR)
	parser := dns.NewZoneParser(bytes.NewReader(file), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := strings.ToLower(rr.Header().Name)
		records[name] = append(records[name], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = records[strings.ToLower(q.Question[0].Name)]
		if m.Answer == nil {
			m.Rcode = dns.RcodeNameError
		}
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			if m.Len() > dns.MinMsgSize {
				t.Errorf("answer for %s has %d bytes", q.Question[0].Name, m.Len())
			}
		}
		w.WriteMsg(m)
	})
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: handler}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		server.Shutdown()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// A tree written as a zone file, served by a name server and read with the
// standard resolver is the same tree; every answer fits 512 bytes.
func TestZoneServed(t *testing.T) {
	nodes := spread(t, 40)
	other := Link{Key: key(t, 9).Public(), Domain: "other.example.org"}
	tree, err := New(3, nodes, []Link{other})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.AppendZone(nil, "nodes.example.org"); err != ErrUnsigned {
		t.Errorf("AppendZone without a signature: %v", err)
	}
	link, err := tree.Sign(key(t, 1), "Nodes.Example.org.")
	if err != nil {
		t.Fatal(err)
	}
	file, err := tree.AppendZone(nil, link.Domain)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, Config{Lists: []Link{link}, Resolver: serve(t, file), Rate: 1000})
	read, left := 0, -1
	got, err := c.Sync(t.Context(), link, func(r, l int) { read, left = r, l })
	if err != nil {
		t.Fatal(err)
	}
	if got.root != tree.root || len(got.nodes) != 40 || len(got.links) != 1 || got.links[0] != other || got.Len() != tree.Len() {
		t.Errorf("Sync gives %d nodes, %d links, %d records of %d", len(got.nodes), len(got.links), got.Len(), tree.Len())
	}
	if read != tree.Len()-1 || left != 0 {
		t.Errorf("progress ended with %d, %d", read, left)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	seen := make(map[string]bool)
	for n := range c.Nodes(ctx) {
		if seen[n.String()] = true; len(seen) == 40 {
			break
		}
	}
	if len(seen) != 40 {
		t.Errorf("Nodes gives %d", len(seen))
	}
}

// The zone file and the JSON form of the example, as golden files.
func TestWritten(t *testing.T) {
	records := example(t)
	var c Tree
	c.entries = make(map[hash]string)
	c.root, _ = parseRoot(records["@"])
	for name, text := range records {
		if h, err := parseHash(name); err == nil {
			c.entries[h] = text
		}
	}
	for _, text := range []string{
		"C7HRFPF3BLGF3YR4DY5KX3SMBE", "JWXYDBPXYWG6FX3GMDIBFA6CJ4", "2XS2367YHAXJFGLZHVAWLQD4ZY",
		"H4FHT4B454P6UXFD7JCYQ5PWDY", "MHTDO6TMUBRIA2XWG5LUDACK24",
	} {
		h, err := parseHash(text)
		if err != nil {
			t.Fatal(err)
		}
		c.order = append(c.order, h)
	}
	zone, err := c.AppendZone(nil, "nodes.example.org")
	if err != nil {
		t.Fatal(err)
	}
	object, err := c.AppendJSON(nil, "nodes.example.org")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"testdata/example.zone": zone, "testdata/example.json": object} {
		want, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v; got\n%s", name, err, got)
		}
	}
	var texts map[string]string
	if err := json.Unmarshal(object, &texts); err != nil || len(texts) != 6 || texts["nodes.example.org"] != records["@"] {
		t.Errorf("JSON: %v, %v", texts, err)
	}
}

// A tree directory is read back to the same signed tree, and anything changed
// in it is noticed.
func TestDir(t *testing.T) {
	tree, err := New(3, spread(t, 20), []Link{{Key: key(t, 9).Public(), Domain: "other.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	link, err := tree.Sign(key(t, 1), "nodes.example.org")
	if err != nil {
		t.Fatal(err)
	}
	info, err := tree.Info(link, time.Unix(1_800_000_000, 0).UTC()).AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := tree.NodeSet().AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	i, err := ParseInfo(info)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseNodeSet(set)
	if err != nil {
		t.Fatal(err)
	}
	again, at, err := FromDir(i, s)
	if err != nil || at != link || again.root != tree.root {
		t.Fatalf("FromDir = %v, %v", at, err)
	}
	i.Seq++
	if _, _, err := FromDir(i, s); err == nil {
		t.Error("another sequence number is signed too")
	}
	i.Signature = ""
	if unsigned, at, err := FromDir(i, s); err != nil || at != (Link{}) || unsigned.Signature() != "" || unsigned.Seq() != 4 {
		t.Errorf("FromDir without a signature = %v, %v", at, err)
	}
	for name, bad := range map[string]string{
		"seq":     strings.Replace(string(set), `"seq": 1`, `"seq": 2`, 1),
		"id":      strings.Replace(string(set), string(set[7:12]), "00000", 1),
		"record":  strings.Replace(string(set), "enr:-", "enr:x", 1),
		"nothing": "{\"" + strings.Repeat("0", 64) + "\": {}}",
		"more":    string(set) + "{}",
		"cut":     string(set[:len(set)-3]),
	} {
		if _, err := ParseNodeSet([]byte(bad)); err == nil {
			t.Errorf("nodes.json with a mistake in %s is read", name)
		}
	}
	if b, err := NodeSet(nil).AppendJSON(nil); string(b) != "{}\n" || err != nil {
		t.Errorf("empty set = %q, %v", b, err)
	}
}
