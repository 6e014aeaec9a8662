package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A socketState is what the system tells of the node's socket.
type socketState struct {
	queued int // bytes not read yet
	drops  int // packets for which there was no room
}

// socketOf returns the state of the node's socket. It tries more than once: a
// line can be missing if other sockets come or go while the list is read.
func socketOf(to target) (s socketState, err error) {
	for range 10 {
		if s, err = readSocket(to); err == nil {
			return s, nil
		}
	}
	return s, err
}

// readSocket looks for the socket in what the system lists: proc(5), net/udp.
func readSocket(to target) (socketState, error) {
	text, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return socketState{}, err
	}
	return findSocket(string(text), to.addr.Port)
}

// findSocket finds the socket at a port of 127.0.0.1 in the list.
func findSocket(text string, port int) (socketState, error) {
	local := fmt.Sprintf("0100007F:%04X", port)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 13 || f[1] != local {
			continue
		}
		_, rx, _ := strings.Cut(f[4], ":")
		queued, err := strconv.ParseInt(rx, 16, 64)
		if err != nil {
			return socketState{}, fmt.Errorf("/proc/net/udp: %w", err)
		}
		drops, err := strconv.Atoi(f[12])
		if err != nil {
			return socketState{}, fmt.Errorf("/proc/net/udp: %w", err)
		}
		return socketState{int(queued), drops}, nil
	}
	return socketState{}, fmt.Errorf("/proc/net/udp does not have the node's socket %s", local)
}
