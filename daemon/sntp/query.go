package sntp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// maxStrays bounds the packets that are read while an answer is waited for.
const maxStrays = 16

// Query asks the server at host, a name or an address with or without a port (123 is
// that of the protocol), once. ctx should have a deadline: what is lost is not
// repeated.
func Query(ctx context.Context, host string) (Reading, error) {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, "123")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", host)
	if err != nil {
		return Reading{}, fmt.Errorf("sntp: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	var seed [8]byte
	rand.Read(seed[:]) // never fails
	nonce := binary.BigEndian.Uint64(seed[:])
	sent := time.Now()
	if _, err := conn.Write(Seal(nonce)); err != nil {
		return Reading{}, fmt.Errorf("sntp: %w", err)
	}
	var p [512]byte
	for range maxStrays {
		n, err := conn.Read(p[:])
		received := time.Now()
		if err != nil {
			if ctx.Err() != nil {
				err = errors.Join(ctx.Err(), errors.New("no answer"))
			}
			return Reading{}, fmt.Errorf("sntp: %w", err)
		}
		r, err := Open(p[:n], nonce, sent, received)
		if !errors.Is(err, ErrNotOurs) {
			return r, err
		}
	}
	return Reading{}, ErrNotOurs
}
