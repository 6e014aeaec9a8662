// Command chat passes lines of text between nodes, by a sub-protocol of its own:
// what is typed goes to all peers, what peers say is printed.
//
//	chat                              prints its enode URL
//	chat -peer enode://…@host:port    stays connected to the node of that URL
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"parley/enode"
	"parley/p2p"
	"parley/rlp"
)

// The protocol has one message, a line of text as an RLP string.
var protocol = p2p.Protocol{Name: "chat", Version: 1, Length: 1, MaxMsgSize: 4096, Run: listen}

// listen runs for each peer, until the connection ends.
func listen(peer *p2p.Peer, rw p2p.MsgReadWriter) error {
	who := peer.ID().TerminalString()
	fmt.Printf("* %s joined\n", who)
	defer fmt.Printf("* %s left\n", who)
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		var line string
		err = msg.Decode(&line)
		msg.Release()
		if err != nil {
			return fmt.Errorf("chat: %w: %w", p2p.DiscProtocolError, err)
		}
		fmt.Printf("%s: %s\n", who, printable(line))
	}
}

// say sends a line to all peers.
func say(srv *p2p.Server, line string) {
	payload, err := rlp.Encode(line)
	if err != nil || len(payload) > int(protocol.MaxMsgSize) {
		fmt.Println("* not sent: the line is too long")
		return
	}
	for _, missed := range srv.Broadcast(p2p.Outgoing{Protocol: protocol.Name, Payload: payload}, srv.Peers()) {
		fmt.Printf("* not sent to %s: %v\n", missed.Peer.ID().TerminalString(), missed.Err)
	}
}

// printable replaces what would move the cursor or change colours: whoever wrote
// the text is a stranger.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

func main() {
	addr := flag.String("listen", "127.0.0.1:0", "`address` to listen on; with port 0 the system picks one")
	keyFile := flag.String("nodekey", "", "`file` with the node key (default: a new key)")
	url := flag.String("peer", "", "enode `URL` of a node to stay connected to")
	flag.Parse()
	srv, err := start(*addr, *keyFile, *url)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(srv.Self().URL())

	// An interrupt cannot end a read from a terminal, but it can end the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { srv.Stop(); os.Exit(0) })

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		say(srv, lines.Text())
	}
	srv.Stop() // peers are told, and get what was said before
}

func start(addr, keyFile, url string) (*p2p.Server, error) {
	cfg := p2p.Config{Name: "chat/v1", ListenAddr: addr, Protocols: []p2p.Protocol{protocol}}
	key, err := enode.GenerateKey()
	if keyFile != "" {
		var text []byte
		if text, err = os.ReadFile(keyFile); err == nil {
			key, err = enode.ParseKeyText(text)
		}
	}
	if err != nil {
		return nil, err
	}
	cfg.PrivateKey = key
	if url != "" {
		n, err := enode.Parse(url)
		if err != nil {
			return nil, err
		}
		cfg.StaticNodes = []*enode.Node{n}
	}
	srv := &p2p.Server{Config: cfg}
	return srv, srv.Start()
}
