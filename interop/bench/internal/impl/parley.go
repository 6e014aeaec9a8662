package impl

import (
	"crypto/ecdsa"
	"net"
	"sync"

	"github.com/ethereum/go-ethereum/crypto"

	"parley/enode"
	"parley/rlpx"
)

// bufs is what one server shares between its connections.
var bufs = rlpx.NewBuffers()

// keys holds parley's form of each private key: a node has one and parses it
// once, so that is no part of a handshake.
var keys sync.Map // *ecdsa.PrivateKey → *enode.PrivateKey

func parleyKey(prv *ecdsa.PrivateKey) (*enode.PrivateKey, error) {
	if k, ok := keys.Load(prv); ok {
		return k.(*enode.PrivateKey), nil
	}
	k, err := enode.ParsePrivateKey(crypto.FromECDSA(prv))
	if err != nil {
		return nil, err
	}
	keys.Store(prv, k)
	return k, nil
}

// A parleyConn is a rlpx.Conn of parley, before the handshake too.
type parleyConn struct {
	fd   net.Conn
	dest *ecdsa.PublicKey // nil: the recipient
	conn *rlpx.Conn
	last rlpx.Msg // what Read returned; its buffer goes back with the next Read
}

func (c *parleyConn) Handshake(prv *ecdsa.PrivateKey) error {
	key, err := parleyKey(prv)
	if err != nil {
		return err
	}
	if c.dest == nil {
		c.conn, err = rlpx.Accept(c.fd, key, bufs)
	} else {
		to := enode.PublicKey(crypto.FromECDSAPub(c.dest)[1:])
		c.conn, err = rlpx.Initiate(c.fd, key, to, bufs)
	}
	if err != nil {
		return err
	}
	c.conn.SetLimits(rlpx.Limits{})
	return nil
}

func (c *parleyConn) SetSnappy(on bool) { c.conn.SetSnappy(on) }

func (c *parleyConn) Read() (uint64, []byte, error) {
	c.last.Release()
	var err error
	c.last, err = c.conn.ReadMsg()
	return c.last.Code, c.last.Payload, err
}

func (c *parleyConn) Write(code uint64, data []byte) error { return c.conn.WriteMsg(code, data) }

func (c *parleyConn) Close() error {
	if c.conn == nil {
		return c.fd.Close()
	}
	return c.conn.Close()
}

func init() {
	All = append(All, Impl{"parley", func(c net.Conn, d *ecdsa.PublicKey) Conn { return &parleyConn{fd: c, dest: d} }})
}
