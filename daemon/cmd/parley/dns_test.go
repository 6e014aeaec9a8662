package main

import (
	"crypto/sha256"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"parley/dnsdisc"
	"parley/enode"
	"parley/enr"
)

// serveZone serves a zone file on UDP and TCP; the server's address is $NAME.
func serveZone(ts *testscript.TestScript, neg bool, args []string) {
	records := make(map[string][]dns.RR)
	parser := dns.NewZoneParser(strings.NewReader(ts.ReadFile(args[1])), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := strings.ToLower(rr.Header().Name)
		records[name] = append(records[name], rr)
	}
	ts.Check(parser.Err())
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	ts.Check(err)
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if m.Answer = records[strings.ToLower(q.Question[0].Name)]; m.Answer == nil {
			m.Rcode = dns.RcodeNameError
		}
		w.WriteMsg(m)
	})}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	ts.Defer(func() {
		conn.Close()
		<-done
	})
	ts.Setenv(args[0], conn.LocalAddr().String())
}

// writeNodes writes a nodes.json with N nodes, the same each time.
func writeNodes(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	set := make(dnsdisc.NodeSet)
	for i := range n {
		secret := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		key, err := enode.ParsePrivateKey(secret[:])
		ts.Check(err)
		record, err := enr.Sign(key, uint64(i), enr.IP(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})), enr.TCP(30303), enr.UDP(30303))
		ts.Check(err)
		set[enode.PubkeyID(key.Public())] = dnsdisc.NodeStatus{Seq: uint64(i), Record: record}
	}
	text, err := set.AppendJSON(nil)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o644))
}
