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
		if f.optional || f.tail {
			continue
		}
		s.required++
		if f.plan.constant > 0 {
			s.constant += f.plan.constant
		} else {
			s.measured = append(s.measured, f)
		}
	}
	p.size, p.append, p.decode = s.size, s.append, s.decode
}

// A structPlan is a struct whose fields are the items of a list.
type structPlan struct {
	fields   []field
	required int // how many fields come before the optional ones and the tail

	// Of the required fields, the size of those for which it is constant, and
	// the others.
	constant int
	measured []field
}

// present returns the fields of v to write: all up to the last that is required
// or not zero. A slice is zero if it is nil, so that an empty one that was
// received is sent again.
func (s *structPlan) present(v reflect.Value) []field {
	n := len(s.fields)
	for ; n > s.required; n-- {
		if !v.Field(s.fields[n-1].index).IsZero() {
			break
		}
	}
	return s.fields[:n]
}

func (s *structPlan) size(v reflect.Value, depth int) int {
	if depth >= MaxDepth {
		return 0
	}
	n := s.constant
	for i := range s.measured {
		f := &s.measured[i]
		n += f.plan.size(v.Field(f.index), depth+1)
	}
	fs := s.present(v)[s.required:]
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
	missing := false // an optional field was
	for i := range s.fields {
		f := &s.fields[i]
		fv := v.Field(f.index)
		switch {
		case f.optional && !c.More(), f.tail && missing:
			fv.SetZero()
			missing = true
		case f.tail:
			err = f.rest.decodeRest(c, fv)
		default:
			err = f.plan.decode(c, fv)
		}
		if err != nil {
			return at(f.name, err)
		}
	}
	return c.leave(after)
}
