package peerset

import (
	"container/list"
	"net/netip"
	"slices"
	"time"
)

// A Gate is a place where a connection or a candidate can be refused.
type Gate string

// The gates, in the order in which a node meets them.
const (
	GateSource      Gate = "source"
	GateRecord      Gate = "record"
	GateNetRestrict Gate = "netrestrict"
	GateRelay       Gate = "relay"
	GateHistory     Gate = "history"
	GateQuota       Gate = "quota"
	GateBan         Gate = "ban"
	GatePolicy      Gate = "policy"
	GateDial        Gate = "dial"
	GateRLPx        Gate = "rlpx"
	GateHello       Gate = "hello"
	GateProtocol    Gate = "protocol"
)

// A Verdict is what one gate said about a node.
type Verdict struct {
	Time    time.Time      // of the last occurrence
	First   time.Time      // of the first of Count
	Count   int            // how often in a row the gate said this
	Gate    Gate           //
	Inbound bool           // the node came to us
	Remote  netip.AddrPort // its address, if one was involved
	Detail  string         // what was known of it by then, such as its client name; printable
	Err     error          // why
}

// same reports whether v repeats w, apart from when and from which port.
func (v *Verdict) same(w *Verdict) bool {
	return v.Gate == w.Gate && v.Inbound == w.Inbound && v.Detail == w.Detail &&
		v.Remote.Addr() == w.Remote.Addr() && v.Err.Error() == w.Err.Error()
}

const (
	// storyLength is how many verdicts are kept for a node. Repeats count as one.
	storyLength = 16
	// maxStories bounds the nodes about which verdicts are kept; only static and
	// trusted nodes may exceed it. Anybody can make up node IDs.
	maxStories = 1024
)

// A book keeps the last verdicts on the nodes that were heard of most recently.
type book struct {
	stories map[ID]*list.Element // of *story
	recent  list.List            // least recently noted first
	refused map[Gate]uint64
	funnels map[Source]*Funnel
	dryRun  uint64 // what the policy would have refused
}

type story struct {
	id       ID
	verdicts []Verdict // oldest first
}

func newBook() book {
	return book{stories: make(map[ID]*list.Element), refused: make(map[Gate]uint64), funnels: make(map[Source]*Funnel)}
}

// note adds v to the story of id. Stories for which keep is true are not given
// up for new ones.
func (b *book) note(id ID, v Verdict, keep func(ID) bool) {
	v.First, v.Count = v.Time, 1

	e := b.stories[id]
	if e == nil {
		if b.recent.Len() >= maxStories {
			b.drop(keep)
		}
		e = b.recent.PushBack(&story{id: id})
		b.stories[id] = e
	} else {
		b.recent.MoveToBack(e)
	}
	st := e.Value.(*story)
	if n := len(st.verdicts); n > 0 && st.verdicts[n-1].same(&v) {
		last := &st.verdicts[n-1]
		last.Time, last.Remote = v.Time, v.Remote
		last.Count++
		return
	}
	if len(st.verdicts) == storyLength {
		st.verdicts = slices.Delete(st.verdicts, 0, 1)
	}
	st.verdicts = append(st.verdicts, v)
}

// drop forgets the least recent story that need not be kept. Those to be kept
// that it meets count as recent from now on, so that the next search is short.
func (b *book) drop(keep func(ID) bool) {
	for range b.recent.Len() {
		e := b.recent.Front()
		id := e.Value.(*story).id
		if !keep(id) {
			b.recent.Remove(e)
			delete(b.stories, id)
			return
		}
		b.recent.MoveToBack(e)
	}
}

// read returns a copy of the story of id, oldest first.
func (b *book) read(id ID) []Verdict {
	if e := b.stories[id]; e != nil {
		return slices.Clone(e.Value.(*story).verdicts)
	}
	return nil
}
