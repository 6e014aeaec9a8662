package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/daemon/doctor"
	"parley/daemon/jsonrpc"
	"parley/daemon/sntp"
	"parley/discover"
	"parley/dnsdisc"
	"parley/enode"
)

const (
	tryTime = 5 * time.Second // for one thing that is tried

	maxTried = 32 // bootnodes
	atOnce   = 8  // of them
)

// tryOut tries what the node needs from around it, everything at the same time: a time
// server if one is named, the node's sockets, its bootnodes through it, and lists in
// DNS.
func tryOut(ctx context.Context, f *doctor.Facts, ntp string, connect func() (*jsonrpc.Client, error)) {
	var tasks sync.WaitGroup
	try := func(do func(ctx context.Context)) {
		tasks.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, tryTime)
			defer cancel()
			do(ctx)
		})
	}
	if ntp != "" {
		f.Clock = &doctor.Clock{Server: ntp}
		try(func(ctx context.Context) { f.Clock.Reading, f.Clock.Err = sntp.Query(ctx, ntp) })
	}
	if f.Setup.Listen != "" {
		try(func(ctx context.Context) { f.TCP = tryTCP(ctx, f.Setup.Listen) })
	}
	if f.Setup.Discovery != nil {
		try(func(ctx context.Context) { f.UDP = tryUDP(ctx, f) })
	}
	if len(f.Setup.DNSLists) > 0 {
		try(func(ctx context.Context) { f.DNS = tryDNS(ctx, f.Setup.DNSLists) })
	}
	f.Bootnodes = parseBootnodes(f.Setup.Bootnodes)
	slots := make(chan struct{}, atOnce)
	for i := range f.Bootnodes {
		tasks.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, 2*tryTime) // the node gives up before
			defer cancel()
			f.Bootnodes[i].Err = tryBootnode(ctx, &f.Bootnodes[i], connect)
		})
	}
	tasks.Wait()
}

func tryTCP(ctx context.Context, listen string) error {
	at, err := doctor.Local(listen)
	if err != nil {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// tryUDP pings the node as another node of this machine would, with a new key.
func tryUDP(ctx context.Context, f *doctor.Facts) error {
	at, err := doctor.Local(f.Setup.Discovery.Listen)
	if err != nil {
		return err
	}
	who, _, _ := strings.Cut(f.Info.Enode, "@")
	n, err := enode.Parse(who + "@" + at.String())
	if err != nil {
		return err
	}
	key, err := enode.GenerateKey()
	if err != nil {
		return err
	}
	s, err := discover.Listen(discover.Config{
		PrivateKey: key, V4: f.Setup.Discovery.V4, V5: f.Setup.Discovery.V5,
		Addr: net.JoinHostPort(at.Addr().String(), "0"),
	})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Ping(ctx, n)
	return err
}

// tryDNS reads from each list until it is known to be there.
func tryDNS(ctx context.Context, urls []string) []dnsdisc.ListStatus {
	var cfg dnsdisc.Config
	for _, url := range urls {
		if link, err := dnsdisc.ParseLink(url); err == nil {
			cfg.Lists = append(cfg.Lists, link)
		}
	}
	cfg.Private = true // it is asked whether there are any
	client, err := dnsdisc.NewClient(cfg)
	if err != nil {
		return nil
	}
	own := func() []dnsdisc.ListStatus {
		return slices.DeleteFunc(client.Lists(), func(l dnsdisc.ListStatus) bool { return !slices.Contains(cfg.Lists, l.Link) })
	}
	for range client.Nodes(ctx) {
		if !slices.ContainsFunc(own(), func(l dnsdisc.ListStatus) bool { return !l.Synced }) {
			break
		}
	}
	return own()
}

func parseBootnodes(urls []string) []doctor.Answer {
	var nodes []doctor.Answer
	for _, url := range urls[:min(len(urls), maxTried)] {
		if n, err := enode.Parse(url); err == nil {
			nodes = append(nodes, doctor.Answer{Node: n})
		}
	}
	return nodes
}

// tryBootnode has the node ping one of its bootnodes.
func tryBootnode(ctx context.Context, a *doctor.Answer, connect func() (*jsonrpc.Client, error)) error {
	n, err := withAddress(ctx, a.Node)
	if err != nil {
		return err
	}
	client, err := connect()
	if err != nil {
		return err
	}
	defer client.Close()
	err = client.Call(ctx, &a.Pong, "p2p_ping", n.String())
	if refusal, ok := errors.AsType[*jsonrpc.Error](err); ok {
		if strings.Contains(refusal.Message, discover.ErrTimeout.Error()) || strings.Contains(refusal.Message, context.DeadlineExceeded.Error()) {
			return errors.New("no answer")
		}
		return fmt.Errorf("%s", printable(refusal.Message))
	}
	return err
}
