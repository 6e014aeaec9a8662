package dnsdisc

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Sync reads one whole list, at the client's rate, and follows none of its links. It
// verifies everything, and every entry must be there: an entry that fails three
// times ends it. The nodes are as they are in the list, whatever their
// addresses.
//
// progress, if not nil, is told after each lookup how many entries have been
// read and how many more are known to be needed.
func (c *Client) Sync(ctx context.Context, link Link, progress func(read, left int)) (*Tree, error) {
	t := &Tree{entries: make(map[hash]string)}
	err := c.try(ctx, link.Domain+".", func(texts []string) (err error) {
		t.root, err = pickRoot(texts, link.Key)
		return err
	})
	if err == nil && t.root.seq < c.seq(link) {
		err = ErrSeq
	}
	if err == nil {
		err = c.remember(link, t.root.seq)
	}
	if err != nil {
		return nil, fmt.Errorf("dnsdisc: sync %s: root: %w", link.Domain, err)
	}
	work := []ref{{h: t.root.nodes}, {h: t.root.links, links: true}}
	known := map[ref]bool{{h: t.root.nodes}: true, {h: t.root.links, links: true}: true}
	for len(work) > 0 {
		r := work[len(work)-1]
		work = work[:len(work)-1]
		e, err := c.syncEntry(ctx, t, link, r)
		if err != nil {
			return nil, fmt.Errorf("dnsdisc: sync %s: entry %v: %w", link.Domain, r.h, err)
		}
		for _, h := range slices.Backward(e.branch) {
			child := ref{h: h, links: r.links}
			if known[child] {
				continue
			}
			if len(known) >= MaxEntries {
				return nil, fmt.Errorf("dnsdisc: sync %s: %w", link.Domain, ErrTooMany)
			}
			known[child] = true
			work = append(work, ref{h: h, links: r.links, depth: r.depth + 1})
		}
		if progress != nil {
			progress(len(known)-len(work), len(work))
		}
	}
	t.sort()
	return t, nil
}

// syncEntry reads one entry into t.
func (c *Client) syncEntry(ctx context.Context, t *Tree, link Link, r ref) (e entry, err error) {
	text, ok := t.entries[r.h]
	if !ok {
		err = c.try(ctx, query{list: &list{link: link}, ref: r}.name(), func(texts []string) (err error) {
			text, err = pickEntry(texts, r.h)
			return err
		})
		if err != nil {
			return e, err
		}
	}
	e, err = parseEntry(text)
	switch {
	case err != nil:
		return e, err
	case e.isBranch && r.depth >= MaxDepth:
		return e, ErrDepth
	case !e.isBranch && e.isLink != r.links:
		return e, ErrMisplaced
	case e.node != nil:
		t.nodes = append(t.nodes, e.node)
	case e.isLink:
		t.links = append(t.links, e.link)
	}
	if !ok {
		t.entries[r.h] = text
		t.order = append(t.order, r.h)
	}
	return e, nil
}

// try looks a name up until use takes the answer, three times at most.
func (c *Client) try(ctx context.Context, name string, use func([]string) error) error {
	for n := 1; ; n++ {
		texts, err := c.lookup(ctx, name)
		if err == nil {
			err = use(texts)
		}
		if err == nil || n == triesEach {
			return err
		}
		if !wait(ctx, time.Now().Add(gap(time.Second, n))) {
			return ctx.Err()
		}
	}
}
