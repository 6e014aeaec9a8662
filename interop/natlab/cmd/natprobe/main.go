// Command natprobe uses package nat as a node does, and shows what comes of it: it
// listens on a TCP and a UDP port and sends back what it gets there, and writes
// each state of the mapper to standard output as a line of JSON.
//
//	natprobe -nat upnp -port 30303
//
// SIGTERM ends it, after the mappings were removed. From the other side it calls
// endpoints and tells which of them send back what they get:
//
//	natprobe -call 25.25.25.1:30303 -calludp 25.25.25.1:30303
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"parley/interop/natlab"
	"parley/nat"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "natprobe:", err)
		os.Exit(1)
	}
}

func run() error {
	method := nat.Any()
	flag.TextVar(&method, "nat", method, "`method`, as of parley run --nat")
	port := flag.Uint("port", 30303, "TCP and UDP `port` to listen on and to map")
	seed := flag.String("seed", "", "`text` that makes the nonces of PCP")
	tcp := flag.String("call", "", "call this TCP `endpoint` instead")
	udp := flag.String("calludp", "", "call this UDP `endpoint` too")
	flag.Parse()
	if *tcp != "" {
		return json.NewEncoder(os.Stdout).Encode(map[string]bool{"TCP": echoes("tcp", *tcp), "UDP": echoes("udp", *udp)})
	}
	return listen(method, *port, *seed)
}

// listen is the side behind the gateway.
func listen(method nat.Method, port uint, seed string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	inside := uint16(port)
	if port != uint(inside) {
		return fmt.Errorf("there is no port %d", port)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", inside))
	if err != nil {
		return err
	}
	socket, err := net.ListenPacket("udp", fmt.Sprintf(":%d", inside))
	if err != nil {
		return err
	}
	var services sync.WaitGroup
	services.Go(func() { echoStreams(ctx, listener) })
	services.Go(func() { echoPackets(socket) })
	defer services.Wait()
	defer socket.Close()
	defer listener.Close()

	m, err := nat.NewMapper(nat.Config{
		Method: method,
		Ports:  []nat.Port{{Protocol: nat.TCP, Internal: inside}, {Protocol: nat.UDP, Internal: inside}},
		Seed:   []byte(seed),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for state := range m.Run(ctx) {
		if err := out.Encode(natlab.State{IPv4: seen(state.IPv4, inside), IPv6: seen(state.IPv6, inside)}); err != nil {
			return err
		}
	}
	return nil
}

// seen is what of an Outside the lab asks about.
func seen(o nat.Outside, inside uint16) natlab.Seen {
	s := natlab.Seen{Via: o.Via, Mapped: len(o.Mappings), TCP: o.Endpoint(nat.TCP, inside), UDP: o.Endpoint(nat.UDP, inside)}
	if o.Err != nil {
		s.Problem = o.Err.Error()
	}
	return s
}

// echoStreams sends back what comes on each connection, until the listener is
// closed.
func echoStreams(ctx context.Context, l net.Listener) {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conns.Go(func() {
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			defer conn.Close()
			_, _ = io.Copy(conn, conn) // ends when either side has had enough
		})
	}
}

// echoPackets sends back what comes on a socket, until it is closed.
func echoPackets(c net.PacketConn) {
	b := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(b[:n], from) // the other side asks again
	}
}

// callTime bounds a call.
const callTime = 2 * time.Second

// echoes reports whether an endpoint sends back what it gets.
func echoes(network, endpoint string) bool {
	conn, err := net.DialTimeout(network, endpoint, callTime)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(callTime))
	const text = "is anybody there?"
	if _, err := io.WriteString(conn, text); err != nil {
		return false
	}
	b := make([]byte, len(text))
	_, err = io.ReadFull(conn, b)
	return err == nil && string(b) == text
}
