package discv5

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	// challengeLife is how long a handshake may answer a challenge.
	challengeLife = 2 * time.Second

	challengePages = 2048
	challengeWays  = 16

	// challengeRepeat is how long every packet from one node at one endpoint gets
	// the same challenge: requests sent together lead to one handshake. After it
	// there is another, in case the first got lost. No challenge is pushed out by
	// packets in the name of an honest node.
	challengeRepeat = 500 * time.Millisecond

	challengesPerPlace = int(challengeLife / challengeRepeat)
)

// A challenge is what must be remembered of a WHOAREYOU to make its bytes again.
// The random parts are derived, so it is small, and a table of all that can be
// outstanding has a fixed size: 1 MiB when every part of it was used.
type challenge struct {
	tag   uint64 // of the place
	seq   uint64 // enr-seq
	made  time.Duration
	nonce nonce
	used  bool
}

func (w *challenge) live(t time.Duration) bool { return w.used && t-w.made < challengeLife }

// challenges are those sent and not answered yet. To add one, find one and
// forget one each costs the same whatever strangers send.
type challenges struct {
	secret cipher.Block
	epoch  time.Time
	pages  [challengePages]*[challengeWays]challenge // by tag, made when first used
	in     [aes.BlockSize]byte
	out    [aes.BlockSize]byte
}

func newChallenges(rng *rand.Rand) *challenges {
	var key [keySize]byte
	fill(key[:], rng)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("discv5: AES refuses a key of 16 bytes") // cannot happen
	}
	return &challenges{secret: block}
}

// add returns the challenge for a packet that cannot be read: the one sent
// before if the packet or the challenge is a repetition, else a new one.
func (c *challenges) add(now time.Time, at place, n nonce, seq uint64) challenge {
	if c.epoch.IsZero() {
		c.epoch = now
	}
	t := now.Sub(c.epoch)
	tag := c.tag(at)
	page := c.page(tag)
	if *page == nil {
		*page = new([challengeWays]challenge)
	}
	var free, last *challenge // the oldest in the page; the newest of this place
	for i := range *page {
		w := &(*page)[i]
		if free == nil || (free.used && (!w.used || w.made < free.made)) {
			free = w
		}
		if w.tag != tag || !w.live(t) {
			continue
		}
		if w.nonce == n {
			return *w
		}
		if last == nil || w.made > last.made {
			last = w
		}
	}
	if last != nil && t-last.made < challengeRepeat {
		return *last
	}
	*free = challenge{tag: tag, seq: seq, made: t, nonce: n, used: true}
	return *free
}

// find appends the challenges that a handshake from a place may answer.
func (c *challenges) find(dst []challenge, now time.Time, at place) []challenge {
	t := now.Sub(c.epoch)
	tag := c.tag(at)
	if page := *c.page(tag); page != nil {
		for i := range page {
			if w := &page[i]; w.tag == tag && w.live(t) {
				dst = append(dst, *w)
			}
		}
	}
	return dst
}

// forget ends the challenges of a place, because one was answered.
func (c *challenges) forget(at place) {
	tag := c.tag(at)
	if page := *c.page(tag); page != nil {
		for i := range page {
			if page[i].tag == tag {
				page[i].used = false
			}
		}
	}
}

func (c *challenges) page(tag uint64) **[challengeWays]challenge {
	return &c.pages[tag%challengePages]
}

// append appends the WHOAREYOU packet of a challenge, not yet masked. IV and
// id-nonce are a keyed hash of all that is particular to it.
func (c *challenges) append(b []byte, w challenge, codec *codec) []byte {
	iv := c.derive(w, 'i')
	id := c.derive(w, 'n')
	return codec.appendWhoareyou(b, iv, w.nonce, id, w.seq)
}

// tag is a keyed hash of a place: CBC-MAC, all of whose inputs are of equal
// length. Strangers cannot choose which places collide.
func (c *challenges) tag(at place) uint64 {
	c.start('p')
	c.absorb([aes.BlockSize]byte(at.id[:]))
	c.absorb([aes.BlockSize]byte(at.id[aes.BlockSize:]))
	c.absorb(at.addr.Addr().As16())
	var port [aes.BlockSize]byte
	binary.BigEndian.PutUint16(port[:], at.addr.Port())
	c.absorb(port)
	return binary.BigEndian.Uint64(c.out[:])
}

// prefix is a keyed hash of a network.
func (c *challenges) prefix(p netip.Prefix) uint64 {
	c.start('b')
	c.absorb(p.Addr().As16())
	return binary.BigEndian.Uint64(c.out[:])
}

func (c *challenges) derive(w challenge, purpose byte) [aes.BlockSize]byte {
	c.start(purpose)
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], w.tag)
	binary.BigEndian.PutUint64(b[8:], w.seq)
	c.absorb(b)
	binary.BigEndian.PutUint64(b[:], uint64(w.made))
	copy(b[8:], w.nonce[:8])
	c.absorb(b)
	b = [aes.BlockSize]byte{}
	copy(b[:], w.nonce[8:])
	c.absorb(b)
	return c.out
}

func (c *challenges) start(purpose byte) {
	c.out = [aes.BlockSize]byte{}
	c.absorb([aes.BlockSize]byte{purpose})
}

func (c *challenges) absorb(b [aes.BlockSize]byte) {
	for i := range b {
		c.in[i] = c.out[i] ^ b[i]
	}
	c.secret.Encrypt(c.out[:], c.in[:])
}

// fill fills b from a source of randomness.
func fill(b []byte, rng *rand.Rand) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, rng.Uint64())
		b = b[8:]
	}
	if len(b) > 0 {
		v := rng.Uint64()
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
	}
}
