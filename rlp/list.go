package rlp

import (
	"fmt"
	"reflect"
	"strconv"
)

// enter moves c to the items of the next list and returns what follows the list,
// for leave.
func (c *Cursor) enter() (after []byte, err error) {
	items, err := c.List()
	if err != nil {
		return nil, err
	}
	after = c.b
	*c = items
	return after, nil
}

// leave moves c behind the list, all of which must have been read.
func (c *Cursor) leave(after []byte) error {
	if err := c.End(); err != nil {
		return err
	}
	c.b = after
	c.depth--
	return nil
}

// index is the step in the path of an error to the i-th element.
func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// elems is how the elements of a slice or array are handled, without the header
// of the list around them.
type elems struct {
	size   func(v reflect.Value, depth int) int
	append func(b []byte, v reflect.Value, depth int) ([]byte, error)
	// constant tells that size needs no look at the elements.
	constant bool
	// count returns how many items are left in c, to allocate a slice for them.
	// It may stop when there are more than limit.
	count func(c *Cursor, limit int) (int, error)
	// decode reads as many items as v is long.
	decode func(c *Cursor, v reflect.Value) error
}

// elems returns how the elements of t, a slice or array type, are handled.
func (c *compiler) elems(t reflect.Type) *elems {
	e := &elems{count: (*Cursor).countTo}
	if t.Kind() == reflect.Slice && c.fillFlat(e, t.Elem()) {
		return e
	}
	elem := c.plan(t.Elem())
	e.size = func(v reflect.Value, depth int) int {
		n := 0
		for i := range v.Len() {
			n += elem.size(v.Index(i), depth)
		}
		return n
	}
	e.append = func(b []byte, v reflect.Value, depth int) ([]byte, error) {
		var err error
		for i := range v.Len() {
			if b, err = elem.append(b, v.Index(i), depth); err != nil {
				return b, at(index(i), err)
			}
		}
		return b, nil
	}
	e.decode = func(c *Cursor, v reflect.Value) error {
		for i := range v.Len() {
			if err := elem.decode(c, v.Index(i)); err != nil {
				return at(index(i), err)
			}
		}
		return nil
	}
	return e
}

// A slicePlan is a slice that takes all items that are left in a list.
type slicePlan struct {
	*elems
	empty reflect.Value // not nil
	space int           // of one element in memory
}

func (c *compiler) slice(t reflect.Type) *slicePlan {
	return &slicePlan{c.elems(t), reflect.MakeSlice(t, 0, 0), int(t.Elem().Size())}
}

// decodeRest reads all items left in c into a new slice. They are counted first,
// so that the slice is charged and allocated once and never grows.
func (s *slicePlan) decodeRest(c *Cursor, v reflect.Value) error {
	limit := maxInt
	if s.space > 0 {
		limit = c.mem.left / s.space // more will be refused below
	}
	n, err := s.count(c, limit)
	if err != nil {
		return err
	}
	v.Set(s.empty)
	if n == 0 {
		return nil
	}
	if err := c.mem.charge(n, s.space); err != nil {
		return err
	}
	v.Grow(n)
	v.SetLen(n)
	return s.decode(c, v)
}

func (c *compiler) fillSlice(p *plan, t reflect.Type) {
	s := c.slice(t)
	fillList(p, s.elems, s.decodeRest)
}

func (c *compiler) fillArray(p *plan, t reflect.Type) {
	e := c.elems(t)
	fillList(p, e, e.decode)
}

// fillList makes the plan of a slice or array that is written as a list; items
// reads what is in the list.
func fillList(p *plan, e *elems, items func(*Cursor, reflect.Value) error) {
	p.size = func(v reflect.Value, depth int) int {
		if depth >= MaxDepth {
			return 0
		}
		return ListSize(e.size(v, depth+1))
	}
	p.append = func(b []byte, v reflect.Value, depth int) ([]byte, error) {
		if depth >= MaxDepth {
			return b, ErrDepth
		}
		if e.constant {
			return e.append(AppendList(b, e.size(v, depth+1)), v, depth+1)
		}
		b, start := openList(b)
		b, err := e.append(b, v, depth+1)
		if err != nil {
			return b, err
		}
		return closeList(b, start), nil
	}
	p.decode = func(c *Cursor, v reflect.Value) error {
		after, err := c.enter()
		if err != nil {
			return err
		}
		if err := items(c, v); err != nil {
			return err
		}
		return c.leave(after)
	}
}

// maxPointers is how many pointers in a row are followed. A type that points to
// itself has no end.
const maxPointers = 4

// fillPointer makes the plan of a pointer type. null is the struct tag that
// makes an empty item stand for nil, if any.
func (c *compiler) fillPointer(p *plan, t reflect.Type, null string) {
	base := t
	for range maxPointers {
		if base.Kind() == reflect.Pointer {
			base = base.Elem()
		}
	}
	if base.Kind() == reflect.Pointer || base.Kind() == reflect.Interface {
		*p = unsupported(t, "pointer to a pointer or interface")
		return
	}
	kind := kindOf(base)
	switch null {
	case "nilString":
		kind = String
	case "nilList":
		kind = List
	}
	emptyItem := byte(stringBase)
	if kind == List {
		emptyItem = listBase
	}

	target := t.Elem()
	elem := c.plan(target)
	space := int(target.Size())
	p.size = func(v reflect.Value, depth int) int {
		if v.IsNil() {
			return 1
		}
		return elem.size(v.Elem(), depth)
	}
	p.append = func(b []byte, v reflect.Value, depth int) ([]byte, error) {
		if v.IsNil() {
			return append(b, emptyItem), nil
		}
		return elem.append(b, v.Elem(), depth)
	}
	p.decode = func(c *Cursor, v reflect.Value) error {
		if null != "" {
			found, size, err := c.Kind()
			if err != nil {
				return err
			}
			if size == 0 && found != kind {
				return wrongEmpty(kind)
			}
			if size == 0 {
				v.SetZero()
				return c.Skip()
			}
		}
		if err := c.mem.charge(space, 1); err != nil {
			return err
		}
		fresh := reflect.New(target)
		v.Set(fresh)
		return elem.decode(c, fresh.Elem())
	}
}

// wrongEmpty is the error for an empty item that would mean nil if it were of
// the other kind.
func wrongEmpty(want Kind) error {
	if want == List {
		return fmt.Errorf("%w for nil", ErrExpectedList)
	}
	return fmt.Errorf("%w for nil", ErrExpectedString)
}
