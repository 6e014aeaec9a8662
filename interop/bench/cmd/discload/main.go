// Command discload loads a discovery node with requests of which no two are the same, and prints what one of
// them costs the node. It starts the node as a child process.
//
//	discload -server bin/discnode-parley v4ping | v4findnode | v5ping | v5findnode | v5handshake | v4junk | v5junk
//
// It differs from disccli, which replays one packet, because parley leaves a
// repeated packet unanswered. All that can be is signed or sealed before the clock
// starts. Packets go through the reference's codecs, whichever node is loaded.
//
// Requests go out in bursts at the given rate, the same for both sides where a
// limit applies: parley opens at most 8000 packets of discovery v4 a second and
// verifies at most 500 handshakes of v5, so a node without those limits would be
// compared under a higher load, which costs less for each request. Without a rate they
// go out in a closed loop.
//
// The modes v4junk and v5junk send what is to be dropped: packets with a wrong
// hash, and packets that cannot be decrypted, which v5 answers with a challenge.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"parley/interop/bench/internal/srvctl"

	"github.com/ethereum/go-ethereum/p2p/enode"
)

// burst is how many requests go out at a time, window how many of them wait for
// their answer at once, as many as in disccli.
const (
	burst  = 64
	window = 32
)

// mostLost is the share of requests without an answer above which the figures
// mean nothing.
const mostLost = 0.02

// A target is the node under load.
type target struct {
	node *enode.Node
	addr *net.UDPAddr
}

// A load sends requests of one kind.
type load interface {
	// prepare makes n requests.
	prepare(n int) error
	// run sends the next n requests and waits for their answers. It returns how
	// many had none.
	run(n int) (lost int, err error)
}

// loader returns what makes the load of a mode, or nil. Fill is how many nodes are
// put into the table before.
func loader(mode string) func(to target, fill int) (load, error) {
	switch mode {
	case "v4ping":
		return newPingV4
	case "v4findnode":
		return newFindnodeV4
	case "v4junk":
		return newJunkV4
	case "v5ping":
		return newPingV5
	case "v5findnode":
		return newFindnodeV5
	case "v5handshake":
		return newHandshakeV5
	case "v5junk":
		return newJunkV5
	}
	return nil
}

type options struct {
	server, prof, mode string
	n, fill            int
	rate               float64
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "bin/discnode-parley", "binary of the node")
	flag.StringVar(&o.prof, "prof", "", "file for a CPU profile of the node")
	flag.IntVar(&o.n, "n", 3000, "requests")
	flag.Float64Var(&o.rate, "rate", 1500, "requests a second; 0 means as fast as they are answered")
	flag.IntVar(&o.fill, "fill", 64, "nodes put into the table before FINDNODE")
	flag.Parse()
	o.mode = flag.Arg(0)
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "discload:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	newLoad := loader(o.mode)
	if newLoad == nil || o.n < 1 {
		return fmt.Errorf("mode %q with %d requests; see the comment of the command", o.mode, o.n)
	}
	cmd := exec.Command(o.server, o.mode[:2])
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	text, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return errors.Join(err, cmd.Wait())
	}
	var control, record string
	if _, err := fmt.Sscanf(text, "ready %s %s", &control, &record); err != nil {
		return err
	}
	ctl := srvctl.Dial(control)
	defer func() {
		ctl.Do("quit")
		_ = cmd.Wait() // it was told to end
	}()
	node, err := enode.Parse(enode.ValidSchemes, record)
	if err != nil {
		return err
	}
	l, err := newLoad(target{node, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: node.UDP()}}, o.fill)
	if err != nil {
		return err
	}
	return measure(ctl, l, o)
}

// measure prints what a request costs.
func measure(ctl *srvctl.Client, l load, o options) error {
	warm := min(o.n/10+1, 2*burst)
	if err := l.prepare(o.n + warm); err != nil {
		return err
	}
	if _, err := l.run(warm); err != nil {
		return err
	}
	span := 2 * time.Second // of the profile
	if o.prof != "" {
		ctl.Do("prof %s %f", o.prof, span.Seconds())
	}
	before, began, lost := ctl.Do("stat"), time.Now(), 0
	for sent := 0; sent < o.n; {
		if o.rate > 0 {
			<-time.After(time.Until(began.Add(time.Duration(float64(sent) / o.rate * 1e9))))
		}
		n := o.n
		if o.rate > 0 {
			n = min(burst, o.n-sent)
		}
		k, err := l.run(n)
		if err != nil {
			return err
		}
		sent, lost = sent+n, lost+k
	}
	took, after := time.Since(began), ctl.Do("stat")
	if o.prof != "" {
		<-time.After(span - took + time.Second) // until it is written
	}
	if float64(lost) > mostLost*float64(o.n) {
		return fmt.Errorf("%s: %d of %d requests had no answer", o.mode, lost, o.n)
	}
	k := float64(o.n - lost)
	us := func(d time.Duration) float64 { return float64(d) / 1e3 / k }
	fmt.Printf("%s: n=%d lost=%d op/s=%.0f server-cpu-us/op=%.2f server-user-us/op=%.2f server-kern-us/op=%.2f server-allocs/op=%.1f server-B/op=%.0f table=%d\n",
		o.mode, o.n, lost, k/took.Seconds(), us(after.CPU-before.CPU), us(after.User-before.User), us(after.Kern-before.Kern),
		float64(after.Mallocs-before.Mallocs)/k, float64(after.TotalAlloc-before.TotalAlloc)/k, after.Peers)
	return nil
}
