// Command secpfloor measures what the curve operations of one inbound connection cost with parley's back
// end: the floor of row S1.
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
	n := flag.Int("n", 300, "connections")
	flag.Parse()
	cost, err := measure(*n)
	if err != nil {
		fmt.Fprintln(os.Stderr, "secpfloor:", err)
		os.Exit(1)
	}
	fmt.Printf("floor: n=%d cpu-us/conn=%.1f\n", *n, float64(cost)/1e3/float64(*n))
}

// measure returns the CPU time of n connections.
func measure(n int) (time.Duration, error) {
	static, err := enode.GenerateKey()
	if err != nil {
		return 0, err
	}
	remote, err := enode.GenerateKey()
	if err != nil {
		return 0, err
	}
	token, err := static.ECDH(remote.Public())
	if err != nil {
		return 0, err
	}
	sig, err := remote.Sign(token)
	if err != nil {
		return 0, err
	}
	if err := recipient(static, remote.Public(), token, sig); err != nil { // tables are made at the first use
		return 0, err
	}
	start := cpu.Process()
	for range n {
		if err := recipient(static, remote.Public(), token, sig); err != nil {
			return 0, err
		}
	}
	return cpu.Process() - start, nil
}

// recipient does what the recipient of a handshake does: it opens the envelope of
// auth, recovers the ephemeral key from the signature under the static secret,
// draws its own ephemeral key and the key of an envelope, seals ack and agrees on
// the session's secret.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#initial-handshake
func recipient(static *secp.PrivateKey, remote secp.PublicKey, token [32]byte, sig secp.Signature) error {
	for range 2 {
		if _, err := static.ECDH(remote); err != nil {
			return err
		}
	}
	theirs, err := secp.Recover(token, sig)
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
	if _, err := envelope.ECDH(remote); err != nil {
		return err
	}
	_, err = ephemeral.ECDH(theirs)
	return err
}
