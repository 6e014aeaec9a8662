package main

import (
	"errors"
	"net"
	"os"
	"time"
)

// patience is how long an answer may take.
const patience = 300 * time.Millisecond

// An asker has requests that were made beforehand on one socket.
type asker interface {
	// send sends a request.
	send(packet []byte) error
	// take takes a packet from the node and returns how many requests it
	// completes the answer of.
	take(packet []byte) (int, error)
}

// A stream is a load of which some requests are under way at a time.
type stream struct {
	asker
	conn   *net.UDPConn
	make   func() ([]byte, error) // a new request
	ready  [][]byte
	buffer [2048]byte
}

func (s *stream) prepare(n int) error {
	for range n {
		packet, err := s.make()
		if err != nil {
			return err
		}
		s.ready = append(s.ready, packet)
	}
	return nil
}

func (s *stream) run(n int) (lost int, err error) {
	sent, done := 0, 0
	for done < n {
		for sent < n && sent-done < window {
			if err := s.send(s.ready[0]); err != nil {
				return lost, err
			}
			s.ready = s.ready[1:]
			sent++
		}
		k, err := s.answer(patience)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			lost += sent - done
			done = sent
		case err != nil:
			return lost, err
		}
		done += k
	}
	return lost, nil
}

// answer waits for a packet and returns how many answers it completes.
func (s *stream) answer(wait time.Duration) (int, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, err
	}
	n, err := s.conn.Read(s.buffer[:])
	if err != nil {
		return 0, err
	}
	return s.take(s.buffer[:n])
}

// settle answers what the node asks for a while.
func (s *stream) settle(d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if _, err := s.answer(time.Until(end)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return nil
}

// dial opens a socket to the node with room for the answers to a window of
// requests.
func dial(to target) (*net.UDPConn, error) {
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, to.addr)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetReadBuffer(1 << 20)
}
