// Command netlimit measures kernel and runtime floors on loopback: UDP sendto/recvfrom against
// sendmmsg/recvmmsg batches and GSO, TCP small writes against coalesced writes, goroutine hand-offs.
// All figures are CPU time of this process (user+kernel), interleaved.
//
//nolint:errcheck,staticcheck // kept as it is: figures must stay comparable
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"
	"unsafe"

	"parley/interop/bench/internal/pair"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

func udp() (*net.UDPConn, *net.UDPConn) {
	s, _ := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	c, _ := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	s.SetReadBuffer(1 << 20)
	return s, c
}

func main() {
	const rounds, slice = 30, 4 * time.Millisecond
	const B = 32
	for _, size := range []int{100, 500, 1200} {
		s, c := udp()
		to := s.LocalAddr().(*net.UDPAddr).AddrPort()
		pkt := make([]byte, size)
		buf := make([]byte, 2048)
		pc, ps := ipv4.NewPacketConn(c), ipv4.NewPacketConn(s)
		wm, rm := make([]ipv4.Message, B), make([]ipv4.Message, B)
		for i := range wm {
			wm[i] = ipv4.Message{Buffers: [][]byte{make([]byte, size)}, Addr: s.LocalAddr()}
			rm[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 2048)}}
		}
		recvAll := func() {
			for n := 0; n < B; {
				k, err := ps.ReadBatch(rm, 0)
				if err != nil {
					panic(err)
				}
				n += k
			}
		}
		recvOne := func() {
			for i := 0; i < B; i++ {
				if _, _, err := s.ReadFromUDPAddrPort(buf); err != nil {
					panic(err)
				}
			}
		}
		sendOne := func() {
			for i := 0; i < B; i++ {
				c.WriteToUDPAddrPort(pkt, to)
			}
		}
		sendBatch := func() {
			for n := 0; n < B; {
				k, err := pc.WriteBatch(wm[n:], 0)
				if err != nil {
					panic(err)
				}
				n += k
			}
		}
		big := make([]byte, size*B)
		raw, _ := c.SyscallConn()
		sa := &unix.SockaddrInet4{Port: int(to.Port()), Addr: [4]byte{127, 0, 0, 1}}
		oob := make([]byte, unix.CmsgSpace(2))
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		h.SetLen(unix.CmsgLen(2))
		oob[unix.CmsgLen(0)], oob[unix.CmsgLen(0)+1] = byte(size), byte(size>>8)
		sendGSO := func() { // one syscall, kernel splits into B datagrams
			raw.Write(func(fd uintptr) bool {
				if err := unix.Sendmsg(int(fd), big, oob, sa, 0); err != nil {
					panic(err)
				}
				return true
			})
		}
		fs := []pair.F{
			{Name: "sendto+recvfrom", Ops: B, Do: func() { sendOne(); recvOne() }},
			{Name: "sendmmsg(32)+recvmmsg(32)", Ops: B, Do: func() { sendBatch(); recvAll() }},
			{Name: "sendto+recvmmsg(32)", Ops: B, Do: func() { sendOne(); recvAll() }},
		}
		if size*B < 65000 {
			fs = append(fs, pair.F{Name: "GSO send+recvmmsg(32)", Ops: B, Do: func() { sendGSO(); recvAll() }})
		}
		pair.Run(os.Stdout, fmt.Sprintf("UDP loopback %d B, per packet send+receive", size), rounds, slice, fs...)
		s.Close()
		c.Close()
	}

	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	for _, size := range []int{112, 1136} {
		mk := func() net.Conn {
			go func() {
				c, _ := ln.Accept()
				io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10))
			}()
			c, _ := net.Dial("tcp", ln.Addr().String())
			return c
		}
		var fs []pair.F
		for _, k := range []int{1, 4, 16, 64} {
			c := mk()
			b := make([]byte, size*k)
			fs = append(fs, pair.F{Name: fmt.Sprintf("%d frames per write", k), Ops: k, Bytes: size, Do: func() { c.Write(b) }})
		}
		c := mk()
		bufs := make([][]byte, 16)
		for i := range bufs {
			bufs[i] = make([]byte, size)
		}
		scratch := make(net.Buffers, 16)
		fs = append(fs, pair.F{Name: "writev of 16 frames (net.Buffers)", Ops: 16, Bytes: size, Do: func() { copy(scratch, bufs); v := scratch; v.WriteTo(c) }})
		pair.Run(os.Stdout, fmt.Sprintf("TCP loopback %d-byte frames, writer+sink reader, per frame", size), rounds, slice, fs...)
	}

	ch, back := make(chan int), make(chan int)
	go func() {
		for range ch {
			back <- 1
		}
	}()
	tcp := func() (net.Conn, net.Conn) {
		chn := make(chan net.Conn)
		go func() { c, _ := ln.Accept(); chn <- c }()
		a, _ := net.Dial("tcp", ln.Addr().String())
		return a, <-chn
	}
	a, b := tcp()
	go func() {
		var x [100]byte
		for {
			if _, err := io.ReadFull(b, x[:]); err != nil {
				return
			}
			b.Write(x[:])
		}
	}()
	var x [100]byte
	dl, _ := tcp()
	pair.Run(os.Stdout, "hand-offs", rounds, slice,
		pair.F{Name: "unbuffered channel round trip", Do: func() { ch <- 1; <-back }},
		pair.F{Name: "TCP loopback 100 B echo round trip", Do: func() { a.Write(x[:]); io.ReadFull(a, x[:]) }},
		pair.F{Name: "SetReadDeadline", Do: func() { dl.SetReadDeadline(time.Now().Add(30 * time.Second)) }},
		pair.F{Name: "time.Now", Do: func() { time.Now() }},
	)
}
