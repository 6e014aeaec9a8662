package p2p

import "slices"

// A running protocol is one that both sides of a connection have.
type running struct {
	*Protocol
	offset uint64 // of its first message code on the wire
	queue  inbox
}

// match returns the protocols that run on a connection: of each name the highest
// version that both sides have, with message codes in the order of the names.
// https://github.com/ethereum/devp2p/blob/master/rlpx.md#message-id-based-multiplexing
func match(ours []Protocol, theirs []Cap) []*running {
	best := make(map[string]*Protocol)
	for i := range ours {
		p := &ours[i]
		if b := best[p.Name]; slices.Contains(theirs, p.Cap()) && (b == nil || p.Version > b.Version) {
			best[p.Name] = p
		}
	}
	run := make([]*running, 0, len(best))
	for _, p := range best {
		run = append(run, &running{Protocol: p})
	}
	slices.SortFunc(run, func(a, b *running) int { return a.Cap().Compare(b.Cap()) })
	offset := uint64(baseLength)
	for _, r := range run {
		r.offset = offset
		offset += r.Length
	}
	return run
}

// owner returns the protocol to which a message code on the wire belongs, or nil.
func owner(run []*running, code uint64) *running {
	for _, r := range run {
		if code >= r.offset && code-r.offset < r.Length {
			return r
		}
	}
	return nil
}

// maxSize returns the largest payload that the protocol takes.
func (r *running) maxSize() int {
	if r.MaxMsgSize == 0 {
		return MaxPayload
	}
	return int(r.MaxMsgSize)
}
