// Package sntp asks a time server how far the clock is off, as RFC 4330 has it. It
// sets no clock.
package sntp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// packetSize is the length of a packet in bytes without extensions.
const packetSize = 48

// Offsets in a packet. RFC 4330, section 4.
const (
	atFlags    = 0 // leap indicator, version, mode
	atStratum  = 1
	atCode     = 12 // of a kiss of death, in the place of the reference
	atOriginal = 24 // our transmit timestamp, sent back
	atReceived = 32
	atSent     = 40
)

const (
	version    = 4
	modeClient = 3
	modeServer = 4

	unsynchronized = 3  // leap indicator
	maxStratum     = 15 // 16 and more are not synchronized; 0 is a kiss of death
)

// Errors of Open.
var (
	ErrNotOurs = errors.New("sntp: not an answer to this request")
	ErrNoTime  = errors.New("sntp: the server does not know the time")
)

// A KissError is the code with which a server refuses to answer, such as RATE or DENY.
// RFC 4330, section 8.
type KissError string

// Error tells the code. It is printable.
func (e KissError) Error() string { return fmt.Sprintf("sntp: the server refuses: %q", string(e)) }

// A Reading is what an answer says.
type Reading struct {
	Offset  time.Duration // of the server's clock from ours: positive if ours is slow
	Delay   time.Duration // of the way there and back; Offset is off by at most half of it
	Stratum int           // distance from a reference clock, 1 to 15
}

// Seal returns a request. The nonce takes the place of our time, which is nobody's
// business; the server sends it back, so that only who saw the request can answer it.
func Seal(nonce uint64) []byte {
	p := make([]byte, packetSize)
	p[atFlags] = version<<3 | modeClient
	binary.BigEndian.PutUint64(p[atSent:], nonce)
	return p
}

// Open reads the answer to the request with that nonce, which left at sent and was
// answered at received, by our clock.
func Open(p []byte, nonce uint64, sent, received time.Time) (Reading, error) {
	if len(p) < packetSize || p[atFlags]&7 != modeServer || binary.BigEndian.Uint64(p[atOriginal:]) != nonce {
		return Reading{}, ErrNotOurs
	}
	stratum := int(p[atStratum])
	if stratum == 0 {
		return Reading{}, KissError(p[atCode : atCode+4])
	}
	arrived, left := binary.BigEndian.Uint64(p[atReceived:]), binary.BigEndian.Uint64(p[atSent:])
	if p[atFlags]>>6 == unsynchronized || stratum > maxStratum || arrived == 0 || left == 0 {
		return Reading{}, ErrNoTime
	}
	there, back := timeOf(arrived).Sub(sent.Round(0)), timeOf(left).Sub(received.Round(0))
	// Halved first: their sum may overflow if a clock is off by a century.
	return Reading{
		Offset:  there/2 + back/2,
		Delay:   max(0, there-back),
		Stratum: stratum,
	}, nil
}

// timeOf returns the time of a timestamp: seconds since 1900, and their 2^32nd parts.
// With a first bit of 0 it is of the era that begins in 2036. RFC 4330, section 3.
func timeOf(stamp uint64) time.Time {
	const from1900to1970 = 2_208_988_800
	seconds := int64(stamp >> 32)
	if stamp>>63 == 0 {
		seconds += 1 << 32
	}
	nanos := (stamp & 0xffff_ffff) * uint64(time.Second) >> 32
	return time.Unix(seconds-from1900to1970, int64(nanos))
}
