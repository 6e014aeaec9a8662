package nodedb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// The format of a bbolt file, version 2. Numbers are in the byte order of the
// machine.
const (
	pageSize   = 4096 // what we create files with
	pageHeader = 16   // id 8, flags 2, count 2, overflow 4
	element    = 16   // of a branch: pos 4, ksize 4, page 8; of a leaf: flags 4, pos 4, ksize 4, vsize 4

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10

	bucketElement = 0x01 // in the flags of a leaf element

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaLen     = 64 // magic 4, version 4, page size 4, flags 4, root 8, sequence 8, freelist 8, pages 8, txid 8, checksum 8

	maxPageDepth   = 16
	maxBucketDepth = 2
)

// A checker walks a file page by page.
type checker struct {
	data  []byte
	pages uint64 // the file claims to have
	seen  []bool // by page
}

// check reports what in data, the content of a file, would lead bbolt astray.
//
// bbolt trusts its file. Given one that is damaged it may panic, read outside
// its memory or follow pages in a circle for ever, and the last cannot be
// recovered from. So all that bbolt would follow is followed here first.
// Values are not looked at: each has a checksum of its own.
func check(data []byte) error {
	if len(data) < 4*pageSize {
		return errors.New("shorter than an empty database")
	}
	m := newestMeta(data)
	if m == nil {
		return errors.New("no valid meta page")
	}
	le := binary.NativeEndian
	c := &checker{data: data, pages: le.Uint64(m[40:])}
	if c.pages < 4 || c.pages > uint64(len(data)/pageSize) {
		return fmt.Errorf("%d pages in %d bytes", c.pages, len(data))
	}
	c.seen = make([]bool, c.pages)
	c.seen[0], c.seen[1] = true, true
	if err := c.bucket(le.Uint64(m[16:]), 0); err != nil {
		return err
	}
	return c.freelist(le.Uint64(m[32:]))
}

// newestMeta returns the meta that bbolt would use, or nil if neither is valid.
// One that is torn is no damage: it was being written when the power failed.
func newestMeta(data []byte) []byte {
	le := binary.NativeEndian
	var newest []byte
	for i := range uint64(2) {
		page := data[i*pageSize:][:pageSize]
		m := page[pageHeader:][:metaLen]
		h := fnv.New64a()
		h.Write(m[:metaLen-8])
		switch {
		case le.Uint64(page) != i || le.Uint16(page[8:]) != metaPage:
		case le.Uint32(m) != metaMagic || le.Uint32(m[4:]) != metaVersion || le.Uint32(m[8:]) != pageSize:
		case le.Uint64(m[metaLen-8:]) != h.Sum64():
		case newest == nil || le.Uint64(m[48:]) > le.Uint64(newest[48:]):
			newest = m
		}
	}
	return newest
}

// page returns page id with its overflow pages, which nothing else may have
// led to.
func (c *checker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.pages {
		return nil, fmt.Errorf("page %d of %d", id, c.pages)
	}
	p := c.data[id*pageSize:]
	more := uint64(binary.NativeEndian.Uint32(p[12:]))
	if binary.NativeEndian.Uint64(p) != id || more >= c.pages-id {
		return nil, fmt.Errorf("page %d: bad header", id)
	}
	for i := id; i <= id+more; i++ {
		if c.seen[i] {
			return nil, fmt.Errorf("page %d: reached twice", i)
		}
		c.seen[i] = true
	}
	return p[:(more+1)*pageSize], nil
}

// bucket checks the tree of pages below root.
func (c *checker) bucket(root uint64, depth int) error {
	if depth > maxBucketDepth {
		return errors.New("too many buckets in each other")
	}
	var last []byte
	return c.tree(root, &last, nil, depth, 0)
}

// tree checks page id and what is below it. last is the key before it, low the key
// under which it stands in the branch above.
func (c *checker) tree(id uint64, last *[]byte, low []byte, depth, level int) error {
	if level > maxPageDepth {
		return errors.New("too many pages above each other")
	}
	p, err := c.page(id)
	if err != nil {
		return err
	}
	switch binary.NativeEndian.Uint16(p[8:]) {
	case leafPage:
		return c.leaf(p, last, low, depth)
	case branchPage:
	default:
		return fmt.Errorf("page %d: unexpected kind", id)
	}
	n := int(binary.NativeEndian.Uint16(p[10:]))
	if n == 0 || pageHeader+n*element > len(p) {
		return fmt.Errorf("page %d: %d elements", id, n)
	}
	for i := range n {
		e := pageHeader + i*element
		key, err := span(p, e, p[e:], p[e+4:], nil)
		if err != nil {
			return err
		}
		if bytes.Compare(key, low) < 0 || bytes.Compare(*last, key) >= 0 {
			return errors.New("branches out of order")
		}
		if err := c.tree(binary.NativeEndian.Uint64(p[e+8:]), last, key, depth, level+1); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks a page of keys and values, which may be the value of another.
func (c *checker) leaf(p []byte, last *[]byte, low []byte, depth int) error {
	le := binary.NativeEndian
	n := int(le.Uint16(p[10:]))
	if pageHeader+n*element > len(p) {
		return fmt.Errorf("leaf of %d elements", n)
	}
	for i := range n {
		e := pageHeader + i*element
		both, err := span(p, e, p[e+4:], p[e+8:], p[e+12:])
		if err != nil {
			return err
		}
		ksize := le.Uint32(p[e+8:])
		key, value := both[:ksize], both[ksize:]
		if ksize == 0 || bytes.Compare(*last, key) >= 0 || bytes.Compare(key, low) < 0 {
			return errors.New("keys out of order")
		}
		*last = key
		switch flags := le.Uint32(p[e:]); flags {
		case 0:
		case bucketElement:
			if err := c.child(value, depth+1); err != nil {
				return err
			}
		default:
			return errors.New("unknown kind of element")
		}
	}
	return nil
}

// child checks a bucket in a bucket: a root page and a sequence, and if the
// page is 0 the only page itself, inline.
func (c *checker) child(value []byte, depth int) error {
	if len(value) < 16 {
		return errors.New("short bucket")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.bucket(root, depth)
	}
	p := value[16:]
	if len(p) < pageHeader || binary.NativeEndian.Uint16(p[8:]) != leafPage || depth > maxBucketDepth {
		return errors.New("bad inline bucket")
	}
	var last []byte
	return c.leaf(p, &last, nil, depth)
}

// freelist checks the list of unused pages: in order, and none in use.
func (c *checker) freelist(id uint64) error {
	p, err := c.page(id)
	if err != nil {
		return err
	}
	le := binary.NativeEndian
	n, ids := uint64(le.Uint16(p[10:])), p[pageHeader:]
	if n == 0xFFFF { // does not fit the header
		n, ids = le.Uint64(ids), ids[8:]
	}
	if le.Uint16(p[8:]) != freelistPage || n > uint64(len(ids)/8) {
		return errors.New("bad freelist")
	}
	last := uint64(1)
	for i := range n {
		free := le.Uint64(ids[8*i:])
		if free <= last || free >= c.pages || c.seen[free] {
			return fmt.Errorf("page %d: wrongly free", free)
		}
		last = free
	}
	return nil
}

// span returns the key and value of the element at p[e:], which are stored
// together, at pos from it.
func span(p []byte, e int, pos, ksize, vsize []byte) ([]byte, error) {
	le := binary.NativeEndian
	from := uint64(e) + uint64(le.Uint32(pos))
	size := uint64(le.Uint32(ksize))
	if vsize != nil {
		size += uint64(le.Uint32(vsize))
	}
	if from > uint64(len(p)) || size > uint64(len(p))-from || size < uint64(le.Uint32(ksize)) {
		return nil, errors.New("element outside its page")
	}
	return p[from : from+size], nil
}
