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

// sizeElems is the size of the elements of a slice or array, without a header.
func sizeElems(elem *plan, v reflect.Value, depth int) int {
	n := 0
	for i := range v.Len() {
		n += elem.size(v.Index(i), depth)
	}
	return n
}

func appendElems(b []byte, elem *plan, v reflect.Value, depth int) ([]byte, error) {
	var err error
	for i := range v.Len() {
		if b, err = elem.append(b, v.Index(i), depth); err != nil {
			return b, at(index(i), err)
		}
	}
	return b, nil
}

// decodeElems reads all items left in c into a new slice. They are counted
// first, so that the slice is charged and allocated once and never grows.
func decodeElems(c *Cursor, elem *plan, empty, v reflect.Value) error {
	n, err := c.Count()
	if err != nil {
		return err
	}
	v.Set(empty)
	if n == 0 {
		return nil
	}
	if err := c.mem.charge(n, int(v.Type().Elem().Size())); err != nil {
		return err
	}
	v.Grow(n)
	v.SetLen(n)
	for i := range n {
		if err := elem.decode(c, v.Index(i)); err != nil {
			return at(index(i), err)
		}
	}
	return nil
}

func (c *compiler) fillSlice(p *plan, t reflect.Type) {
	elem := c.plan(t.Elem())
	empty := reflect.MakeSlice(t, 0, 0)
	c.fillList(p, elem, func(c *Cursor, v reflect.Value) error {
		return decodeElems(c, elem, empty, v)
	})
}

func (c *compiler) fillArray(p *plan, t reflect.Type) {
	elem := c.plan(t.Elem())
	c.fillList(p, elem, func(c *Cursor, v reflect.Value) error {
		for i := range v.Len() {
			if err := elem.decode(c, v.Index(i)); err != nil {
				return at(index(i), err)
			}
		}
		return nil
	})
}

// fillList makes the plan of a slice or array that is written as a list; items
// reads what is in the list.
func (c *compiler) fillList(p *plan, elem *plan, items func(*Cursor, reflect.Value) error) {
	p.size = func(v reflect.Value, depth int) int {
		if depth >= MaxDepth {
			return 0
		}
		return ListSize(sizeElems(elem, v, depth+1))
	}
	p.append = func(b []byte, v reflect.Value, depth int) ([]byte, error) {
		if depth >= MaxDepth {
			return b, ErrDepth
		}
		b, start := openList(b)
		b, err := appendElems(b, elem, v, depth+1)
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
