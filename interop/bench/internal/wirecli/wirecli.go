// Package wirecli is a minimal wire-level devp2p client used to load any server under test.
//
//nolint:errcheck,errorlint,revive // kept as it is: figures must stay comparable
package wirecli

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/p2p/rlpx"
	"github.com/ethereum/go-ethereum/rlp"
)

type cap struct {
	Name    string
	Version uint
}
type hello struct {
	Version    uint64
	Name       string
	Caps       []cap
	ListenPort uint64
	ID         []byte
}

type Conn struct {
	*rlpx.Conn
	TCP net.Conn
}

// Connect dials, does the RLPx and Hello handshakes and switches snappy on.
func Connect(n *enode.Node, key *ecdsa.PrivateKey) (*Conn, error) {
	tcp, err := net.Dial("tcp", fmt.Sprintf("%v:%d", n.IP(), n.TCP()))
	if err != nil {
		return nil, err
	}
	tcp.SetDeadline(time.Now().Add(20 * time.Second))
	c := &Conn{rlpx.NewConn(tcp, n.Pubkey()), tcp}
	if _, err := c.Handshake(key); err != nil {
		tcp.Close()
		return nil, err
	}
	h, _ := rlp.EncodeToBytes(&hello{5, "bench/client", []cap{{"bench", 1}}, 0, crypto.FromECDSAPub(&key.PublicKey)[1:]})
	if _, err := c.Write(0, h); err != nil {
		tcp.Close()
		return nil, err
	}
	code, data, _, err := c.Read()
	if err != nil || code != 0 {
		tcp.Close()
		return nil, fmt.Errorf("hello: code %d %x err %v", code, data, err)
	}
	c.SetSnappy(true)
	tcp.SetDeadline(time.Time{})
	return c, nil
}

// Ping sends bench code 0 and waits for code 1, skipping base protocol messages.
func (c *Conn) Ping(body []byte) error {
	if _, err := c.Write(16, body); err != nil {
		return err
	}
	for {
		code, _, _, err := c.Read()
		if err != nil {
			return err
		}
		switch code {
		case 17:
			return nil
		case 1:
			return errors.New("disconnected")
		case 2: // base ping
			c.Write(3, []byte{0xC0})
		}
	}
}

func Keys(n int) []*ecdsa.PrivateKey {
	ks := make([]*ecdsa.PrivateKey, n)
	for i := range ks {
		ks[i], _ = crypto.GenerateKey()
	}
	return ks
}
