package rlpx

// A sealing makes one frame in place, in as many steps as the MACs of it need
// digests. Who drives it hashes: one frame alone, or several side by side.
type sealing struct {
	lane  *lane
	frame []byte // frameLen(size) bytes, the plaintext from offset frameHead on; the rest is overwritten
	size  int    // 1 to maxFrame
	step  int
}

// next takes the frame to the next digest. It returns what the lane's hash has to
// take up for it; the caller then sets the lane's digest. nil means that the frame
// is complete.
func (s *sealing) next() []byte {
	l := s.lane
	header, body := s.frame[:headerSize], s.frame[frameHead:len(s.frame)-macSize]
	s.step++
	switch s.step {
	case 1:
		clear(header)
		header[0], header[1], header[2] = byte(s.size>>16), byte(s.size>>8), byte(s.size)
		// header-data is [capability-id, context-id], both always zero.
		header[3], header[4], header[5] = 0xc2, 0x80, 0x80
		l.stream.XORKeyStream(header, header)
		return l.mask(header)
	case 2:
		copy(s.frame[headerSize:frameHead], l.digest[:])
		clear(body[s.size:])
		l.stream.XORKeyStream(body, body)
		return body
	case 3:
		return l.mask(l.digest[:macSize])
	}
	copy(s.frame[len(s.frame)-macSize:], l.digest[:])
	return nil
}

// seal makes a frame, see sealing.
func (l *lane) seal(frame []byte, size int) {
	s := sealing{lane: l, frame: frame, size: size}
	for in := s.next(); in != nil; in = s.next() {
		l.mac.Absorb(in)
		l.digest = l.mac.Sum()
	}
}
