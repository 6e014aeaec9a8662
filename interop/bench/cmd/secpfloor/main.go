// Command secpfloor measures what the curve operations of one piece of work cost with parley's back end: the
// floor of rows S1, D1, D2 and D5.
//
//	secpfloor connection | v4ping | v4findnode | v5handshake
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"parley/enode"
	"parley/internal/secp"
	"parley/interop/bench/internal/cpu"
)

func main() {
	n := flag.Int("n", 300, "times")
	flag.Parse()
	cost, err := measure(flag.Arg(0), *n)
	if err != nil {
		fmt.Fprintln(os.Stderr, "secpfloor:", err)
		os.Exit(1)
	}
	fmt.Printf("floor: n=%d cpu-us/op=%.1f\n", *n, float64(cost)/1e3/float64(*n))
}

// A scene has what the work begins with.
type scene struct {
	static *secp.PrivateKey
	remote secp.PublicKey
	short  [33]byte // remote
	digest [32]byte
	sig    secp.Signature // of digest by remote
}

// works returns the kinds of work by their names.
func works() map[string]func(scene) error {
	return map[string]func(scene) error{
		"connection":  recipient,
		"v4ping":      func(s scene) error { return answer(s, 1) },
		"v4findnode":  func(s scene) error { return answer(s, 2) },
		"v5handshake": handshake,
	}
}

// measure returns the CPU time of n times the work.
func measure(name string, n int) (time.Duration, error) {
	work, ok := works()[name]
	if !ok {
		return 0, fmt.Errorf("no work has the name %q", name)
	}
	static, err := enode.GenerateKey()
	if err != nil {
		return 0, err
	}
	remote, err := enode.GenerateKey()
	if err != nil {
		return 0, err
	}
	s := scene{static: static, remote: remote.Public(), short: remote.Public().Compress()}
	if s.digest, err = static.ECDH(remote.Public()); err != nil {
		return 0, err
	}
	if s.sig, err = remote.Sign(s.digest); err != nil {
		return 0, err
	}
	if err := work(s); err != nil { // tables are made at the first use
		return 0, err
	}
	start := cpu.Process()
	for range n {
		if err := work(s); err != nil {
			return 0, err
		}
	}
	return cpu.Process() - start, nil
}

// answer recovers who signed a packet of discovery v4, and signs so many packets
// in answer.
// https://github.com/ethereum/devp2p/blob/master/discv4.md#wire-protocol
func answer(s scene, packets int) error {
	if _, err := secp.Recover(s.digest, s.sig); err != nil {
		return err
	}
	for range packets {
		if _, err := s.static.Sign(s.digest); err != nil {
			return err
		}
	}
	return nil
}

// handshake does what the recipient of a handshake of discovery v5 does: it
// verifies the record and the id-signature, and agrees on the session's secret with the
// ephemeral key. The keys in record and packet are compressed.
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-theory.md#handshake-steps
func handshake(s scene) error {
	for range 2 {
		key, err := secp.ParsePublicKey(s.short[:])
		if err != nil {
			return err
		}
		if !secp.Verify(key, s.digest, [64]byte(s.sig[:64])) {
			return fmt.Errorf("a good signature is refused")
		}
	}
	_, err := s.static.ECDH(s.remote)
	return err
}

// recipient does what the recipient of a handshake does: it opens the envelope of
// auth, recovers the ephemeral key from the signature under the static secret,
// draws its own ephemeral key and the key of an envelope, seals ack and agrees on
// the session's secret.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#initial-handshake
func recipient(s scene) error {
	for range 2 {
		if _, err := s.static.ECDH(s.remote); err != nil {
			return err
		}
	}
	theirs, err := secp.Recover(s.digest, s.sig)
	if err != nil {
		return err
	}
	ephemeral, err := secp.GenerateKey()
	if err != nil {
		return err
	}
	envelope, err := secp.GenerateKey()
	if err != nil {
		return err
	}
	if _, err := envelope.ECDH(s.remote); err != nil {
		return err
	}
	_, err = ephemeral.ECDH(theirs)
	return err
}
