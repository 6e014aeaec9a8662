// Package impl adapts RLPx implementations to one interface, so that the same
// benchmarks run on both. To add a new one: write a file like geth.go and append to All.
//
//nolint:revive // kept as it is: figures must stay comparable
package impl

import (
	"crypto/ecdsa"
	"net"
)

type Conn interface {
	Handshake(prv *ecdsa.PrivateKey) error
	SetSnappy(bool)
	Read() (code uint64, data []byte, err error)
	Write(code uint64, data []byte) error
	Close() error
}

type Impl struct {
	Name string
	New  func(c net.Conn, dialDest *ecdsa.PublicKey) Conn
}

var All []Impl
