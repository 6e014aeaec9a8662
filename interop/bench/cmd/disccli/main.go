// Command disccli drives one discovery node under test over loopback UDP (section D).
//
//	disccli -server bin/discnode-geth v4ping | v4findnode | v5ping | v5findnode | v5handshake
//
// v4ping, v4findnode, v5ping and v5findnode replay one pre-signed / pre-sealed packet in a closed
// loop with a window, so that nearly all the crypto is done by the node under test.
//
//nolint:errcheck,forbidigo // kept as it is: figures must stay comparable
package main

import (
	"bufio"
	"crypto/ecdsa"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"parley/interop/bench/internal/cpu"
	"parley/interop/bench/internal/srvctl"

	"github.com/ethereum/go-ethereum/common/mclock"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/discover/v4wire"
	"github.com/ethereum/go-ethereum/p2p/discover/v5wire"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

var (
	server = flag.String("server", "bin/discnode-geth", "")
	prof   = flag.String("prof", "", "")
	secs   = flag.Float64("secs", 3, "")
	reps   = flag.Int("reps", 6, "")
	window = flag.Int("window", 32, "outstanding requests")
	fill   = flag.Int("fill", 64, "fake nodes put into the table first")
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var target *enode.Node
var taddr *net.UDPAddr

func main() {
	flag.Parse()
	mode := flag.Arg(0)
	cmd := exec.Command(*server, mode[:2])
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	var ctlAddr, rec string
	l, _ := bufio.NewReader(out).ReadString('\n')
	fmt.Sscanf(l, "ready %s %s", &ctlAddr, &rec)
	ctl := srvctl.Dial(ctlAddr)
	defer func() {
		if *prof != "" {
			time.Sleep(time.Second) // let the profile be written
		}
		ctl.Do("quit")
		cmd.Wait()
	}()
	target = enode.MustParse(rec)
	taddr = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: target.UDP()}

	switch mode {
	case "v4ping", "v4findnode":
		for i := 0; i < *fill; i++ {
			f := newV4()
			go f.serve()
			f.ping()
		}
		time.Sleep(1500 * time.Millisecond)
		c := newV4()
		done := make(chan bool)
		go func() { c.serveFor(time.Second); close(done) }()
		c.ping()
		<-done
		exp := uint64(time.Now().Add(time.Hour).Unix())
		me := v4wire.NewEndpoint(netip.MustParseAddrPort(c.conn.LocalAddr().String()), 0)
		var req v4wire.Packet = &v4wire.Ping{Version: 4, From: me, To: me, Expiration: exp}
		if mode == "v4findnode" {
			req = &v4wire.Findnode{Target: v4wire.EncodePubkey(&must(crypto.GenerateKey()).PublicKey), Expiration: exp}
		}
		pkt, _, err := v4wire.Encode(c.key, req)
		if err != nil {
			panic(err)
		}
		replay(ctl, mode, c.conn, pkt)
	case "v5ping", "v5findnode":
		for i := 0; i < *fill; i++ {
			newV5(nil).handshake()
		}
		c := newV5(nil)
		c.handshake()
		var req v5wire.Packet = &v5wire.Ping{ReqID: []byte{1, 2, 3, 4, 5, 6, 7, 8}, ENRSeq: 1}
		if mode == "v5findnode" {
			req = &v5wire.Findnode{ReqID: []byte{1, 2, 3, 4, 5, 6, 7, 8}, Distances: []uint{256, 255, 254}}
		}
		enc, _, err := c.codec.Encode(target.ID(), taddr.String(), req, nil)
		if err != nil {
			panic(err)
		}
		replay(ctl, mode, c.conn, append([]byte(nil), enc...))
	case "v5handshake":
		const pool = 6000
		db := must(enode.OpenDB(""))
		cs := make([]*v5, pool)
		for i := range cs {
			cs[i] = newV5(db)
			cs[i].conn.Close()
		}
		const workers = 4
		conns := make([]*net.UDPConn, workers)
		for i := range conns {
			conns[i] = must(net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, taddr))
		}
		var next atomic.Int64
		ran := false
		for r := 0; r < *reps; r++ {
			if *prof != "" && !ran {
				ctl.Do("prof %s %f", *prof, *secs)
				ran = true
			}
			var n, fail atomic.Int64
			s0, c0, t0 := ctl.Do("stat"), cpu.Process(), time.Now()
			done := make(chan bool)
			for w := 0; w < workers; w++ {
				go func() {
					for time.Since(t0).Seconds() < *secs {
						i := next.Add(1) - 1
						if i >= pool {
							break
						}
						c := cs[i]
						c.conn = conns[w]
						if c.try() {
							n.Add(1)
						} else {
							fail.Add(1)
						}
					}
					done <- true
				}()
			}
			for w := 0; w < workers; w++ {
				<-done
			}
			d := time.Since(t0)
			s1 := ctl.Do("stat")
			k := float64(n.Load())
			if k == 0 {
				break
			}
			report(mode, k, fail.Load(), d, s0, s1, cpu.Process()-c0, 2)
		}
	}
}

func report(mode string, k float64, lost int64, d time.Duration, s0, s1 srvctl.Stat, cc time.Duration, rpr float64) {
	fmt.Printf("%s: req/s=%.0f lost=%d replies/req=%.2f server-cpu-us/req=%.2f (user %.2f kern %.2f) server-cores=%.2f client-cpu-us/req=%.2f server-allocs/req=%.1f server-B/req=%.0f table=%d\n", mode, k/d.Seconds(), lost, rpr,
		us(s1.CPU-s0.CPU)/k, us(s1.User-s0.User)/k, us(s1.Kern-s0.Kern)/k, float64(s1.CPU-s0.CPU)/float64(d), us(cc)/k, float64(s1.Mallocs-s0.Mallocs)/k, float64(s1.TotalAlloc-s0.TotalAlloc)/k, s1.Peers)
}

// replay sends pkt in a closed loop. Replies per request are found by one trial.
func replay(ctl *srvctl.Client, mode string, conn *net.UDPConn, pkt []byte) {
	conn.SetReadBuffer(4 << 20)
	buf := make([]byte, 2048)
	drain := func(d time.Duration) (n int) {
		conn.SetReadDeadline(time.Now().Add(d))
		for {
			if _, err := conn.Read(buf); err != nil {
				return n
			}
			n++
		}
	}
	drain(300 * time.Millisecond)
	conn.Write(pkt)
	per := drain(300 * time.Millisecond)
	if per == 0 {
		panic("no reply to the trial request")
	}
	if *prof != "" {
		ctl.Do("prof %s %f", *prof, *secs*float64(*reps))
	}
	for r := 0; r < *reps; r++ {
		s0, c0, t0 := ctl.Do("stat"), cpu.Process(), time.Now()
		var sent, got, lost int
		end := t0.Add(time.Duration(*secs * 1e9))
		for time.Now().Before(end) {
			for sent-(got/per)-lost < *window {
				conn.Write(pkt)
				sent++
			}
			conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err := conn.Read(buf); err != nil {
				lost = sent - got/per
				continue
			}
			got++
		}
		d := time.Since(t0)
		s1 := ctl.Do("stat")
		report(mode, float64(got)/float64(per), int64(lost), d, s0, s1, cpu.Process()-c0, float64(per))
		drain(300 * time.Millisecond)
	}
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }

// ---- discv4 fake node ----

type v4 struct {
	key  *ecdsa.PrivateKey
	conn *net.UDPConn
}

func newV4() *v4 {
	return &v4{must(crypto.GenerateKey()), must(net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, taddr))}
}

func (f *v4) ping() {
	me := v4wire.NewEndpoint(netip.MustParseAddrPort(f.conn.LocalAddr().String()), 0)
	p, _, _ := v4wire.Encode(f.key, &v4wire.Ping{Version: 4, From: me, To: v4wire.NewEndpoint(taddr.AddrPort(), 0), Expiration: uint64(time.Now().Add(time.Hour).Unix())})
	f.conn.Write(p)
}

func (f *v4) serve() { f.serveFor(time.Hour) }

func (f *v4) serveFor(d time.Duration) {
	end := time.Now().Add(d)
	buf := make([]byte, 2048)
	for {
		f.conn.SetReadDeadline(end)
		n, err := f.conn.Read(buf)
		if err != nil {
			return
		}
		p, _, hash, err := v4wire.Decode(buf[:n])
		if err != nil {
			continue
		}
		if p.Kind() == v4wire.PingPacket {
			r, _, _ := v4wire.Encode(f.key, &v4wire.Pong{To: v4wire.NewEndpoint(taddr.AddrPort(), 0), ReplyTok: hash, Expiration: uint64(time.Now().Add(time.Hour).Unix())})
			f.conn.Write(r)
		}
	}
}

// ---- discv5 fake node ----

type v5 struct {
	key   *ecdsa.PrivateKey
	ln    *enode.LocalNode
	codec *v5wire.Codec
	conn  *net.UDPConn
}

func newV5(db *enode.DB) *v5 {
	if db == nil {
		db = must(enode.OpenDB(""))
	}
	key := must(crypto.GenerateKey())
	conn := must(net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, taddr))
	ln := enode.NewLocalNode(db, key)
	ln.SetStaticIP(net.IPv4(127, 0, 0, 1))
	ln.SetFallbackUDP(conn.LocalAddr().(*net.UDPAddr).Port)
	ln.Node()
	return &v5{key, ln, v5wire.NewCodec(ln, key, mclock.System{}, nil), conn}
}

func (c *v5) handshake() {
	for i := 0; i < 5; i++ {
		if c.try() {
			return
		}
	}
	panic("v5 handshake failed")
}

// try: random packet -> WHOAREYOU -> handshake(PING) -> PONG
func (c *v5) try() bool {
	addr := taddr.String()
	ping := &v5wire.Ping{ReqID: []byte{1, 2, 3, 4, 5, 6, 7, 8}, ENRSeq: c.ln.Node().Seq()}
	enc, _, err := c.codec.Encode(target.ID(), addr, ping, nil)
	if err != nil {
		panic(err)
	}
	c.conn.Write(enc)
	buf := make([]byte, 1500)
	c.conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	for {
		n, err := c.conn.Read(buf)
		if err != nil {
			return false
		}
		_, _, p, err := c.codec.Decode(buf[:n], addr)
		if err != nil {
			continue
		}
		switch p := p.(type) {
		case *v5wire.Whoareyou:
			p.Node = target
			enc, _, err := c.codec.Encode(target.ID(), addr, ping, p)
			if err != nil {
				panic(err)
			}
			c.conn.Write(enc)
		case *v5wire.Pong:
			return true
		}
	}
}
