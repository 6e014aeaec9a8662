package rlp

import "reflect"

// fillStruct makes the plan of a struct type.
func (c *compiler) fillStruct(p *plan, t reflect.Type) {
	fs, err := c.fields(t)
	if err != nil {
		p.size = func(reflect.Value, int) int { return 0 }
		p.append = func(b []byte, _ reflect.Value, _ int) ([]byte, error) { return b, err }
		p.decode = func(*Cursor, reflect.Value) error { return err }
		return
	}
	s := structPlan{fields: fs}
	for _, f := range fs {
		if !f.optional && !f.tail {
			s.required++
		}
	}
	p.size, p.append, p.decode = s.size, s.append, s.decode
}

// A structPlan is a struct whose fields are the items of a list.
type structPlan struct {
	fields   []field
	required int // how many fields come before the optional ones and the tail
}

// present returns the fields of v to write: all up to the last that is required
// or not zero.
func (s *structPlan) present(v reflect.Value) []field {
	n := len(s.fields)
	for ; n > s.required; n-- {
		f := &s.fields[n-1]
		if fv := v.Field(f.index); f.tail && fv.Len() > 0 || f.optional && !fv.IsZero() {
			break
		}
	}
	return s.fields[:n]
}

func (s *structPlan) size(v reflect.Value, depth int) int {
	if depth >= MaxDepth {
		return 0
	}
	n := 0
	fs := s.present(v)
	for i := range fs {
		f := &fs[i]
		if f.tail {
			n += f.rest.size(v.Field(f.index), depth+1)
		} else {
			n += f.plan.size(v.Field(f.index), depth+1)
		}
	}
	return ListSize(n)
}

func (s *structPlan) append(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth >= MaxDepth {
		return b, ErrDepth
	}
	b, start := openList(b)
	fs := s.present(v)
	for i := range fs {
		var err error
		f := &fs[i]
		if f.tail {
			b, err = f.rest.append(b, v.Field(f.index), depth+1)
		} else {
			b, err = f.plan.append(b, v.Field(f.index), depth+1)
		}
		if err != nil {
			return b, at(f.name, err)
		}
	}
	return closeList(b, start), nil
}

func (s *structPlan) decode(c *Cursor, v reflect.Value) error {
	after, err := c.enter()
	if err != nil {
		return err
	}
	for i := range s.fields {
		f := &s.fields[i]
		fv := v.Field(f.index)
		switch {
		case f.tail:
			err = f.rest.decodeRest(c, fv)
		case f.optional && !c.More():
			fv.SetZero()
		default:
			err = f.plan.decode(c, fv)
		}
		if err != nil {
			return at(f.name, err)
		}
	}
	return c.leave(after)
}
