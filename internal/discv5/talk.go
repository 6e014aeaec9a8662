package discv5

import (
	"errors"
	"net/netip"
	"time"

	"parley/enode"
)

const (
	// MaxTalkResponse is the longest response that fits a packet.
	MaxTalkResponse = maxPlaintext - 1 - 3 - 9 - 3

	// MaxTalkRequest is the longest request, its protocol included.
	MaxTalkRequest = MaxTalkResponse - 3

	// Requests that wait for applications. Over the limit they are dropped, and
	// after talkLife nobody waits for the response any more.
	maxTalks        = 256
	maxTalksPerNode = 8
	talkLife        = 10 * time.Second
)

// ErrTalkOver says that a TALKREQ can not be answered any more.
var ErrTalkOver = errors.New("discv5: nobody waits for this response any more")

// A TalkRequest is a TALKREQ for an application, which answers it, some time
// soon and from anywhere, through Engine.Answer.
type TalkRequest struct {
	Node     *enode.Node // who asks, proven
	From     netip.AddrPort
	Protocol string
	Payload  []byte

	token uint64
}

// A talkDesk knows the protocols of applications and what waits for them.
type talkDesk struct {
	protocols map[string]bool
	last      uint64
	open      []openTalk // in the order in which they came
}

type openTalk struct {
	token   uint64
	id      requestID
	at      place
	expires time.Time
}

func newTalkDesk() talkDesk { return talkDesk{protocols: make(map[string]bool)} }

// HandleTalk says whether there is an application for TALKREQ of a protocol.
// Requests for others get an empty response at once, as the specification asks.
func (e *Engine) HandleTalk(protocol string, on bool) {
	if on {
		e.talks.protocols[protocol] = true
	} else {
		delete(e.talks.protocols, protocol)
	}
}

// talk takes a TALKREQ.
func (e *Engine) talk(now time.Time, s *session, m message) Drop {
	d := &e.talks
	if !d.protocols[string(m.protocol)] {
		e.send(s, KindTalkResp, appendTalkResp(e.plain[:0], m.id, nil))
		return 0
	}
	d.expire(now)
	same := 0
	for i := range d.open {
		if d.open[i].at == s.place {
			same++
		}
	}
	if same >= maxTalksPerNode || len(d.open) >= maxTalks {
		return DropTalk
	}
	d.last++
	d.open = append(d.open, openTalk{d.last, m.id, s.place, now.Add(talkLife)})
	e.out.Talks = append(e.out.Talks, TalkRequest{
		Node: s.node, From: s.place.addr, Protocol: string(m.protocol), Payload: append([]byte{}, m.payload...),
		token: d.last,
	})
	return 0
}

// Answer sends the response to a TALKREQ, of at most MaxTalkResponse bytes. The
// error is ErrTooLarge, or ErrTalkOver if it was answered before, came more than
// 10 seconds ago or its session is gone.
func (e *Engine) Answer(now time.Time, t TalkRequest, response []byte) error {
	e.begin(now)
	defer e.settle(now)
	if len(response) > MaxTalkResponse {
		return ErrTooLarge
	}
	d := &e.talks
	d.expire(now)
	for i, o := range d.open {
		if o.token != t.token {
			continue
		}
		d.open = append(d.open[:i], d.open[i+1:]...)
		if s := e.sessions.all[o.at]; s != nil {
			e.send(s, KindTalkResp, appendTalkResp(e.plain[:0], o.id, response))
			return nil
		}
		break
	}
	return ErrTalkOver
}

func (d *talkDesk) expire(now time.Time) {
	n := 0
	for n < len(d.open) && !now.Before(d.open[n].expires) {
		n++
	}
	d.open = append(d.open[:0], d.open[n:]...)
}

func (d *talkDesk) wake() time.Time {
	if len(d.open) == 0 {
		return time.Time{}
	}
	return d.open[0].expires
}
