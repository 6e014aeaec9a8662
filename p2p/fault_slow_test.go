package p2p

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/internal/simnet"
	"parley/rlp"
)

// echoProtocol sends every message back.
func echoProtocol(_ *Peer, rw MsgReadWriter) error {
	for {
		m, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		if err := rw.WriteMsg(Msg{Code: m.Code, Payload: m.Payload}); err != nil {
			return err
		}
	}
}

// latencies lets 49 strangers and one more ask a server that echoes, every 100 ms
// each, while the server broadcasts to all, and returns what the 49 found: how long
// each answer and each broadcast took. The link of the one more is given.
func latencies(t *testing.T, odd simnet.Link) (all []time.Duration) {
	const (
		peers = 50
		asks  = 20
	)
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			c.MaxPeers, c.NoDial = 2*peers, true
			c.Protocols[0].Run = echoProtocol
		})
		results := make(chan []time.Duration, peers)
		question, news := rlp.AppendBytes(nil, make([]byte, 2000)), incompressible(20_000)
		begin := time.Now().Add(time.Minute) // when all are peers
		for i := range peers {
			host := w.net.Host(privateAddr(1000 + i))
			if i == 0 {
				w.net.SetLink(s.host, host, odd)
			}
			x := s.strangerFrom(100+i, host).join()
			asked := make(chan time.Time, asks)
			go func() { // asks
				rest(time.Until(begin))
				for range asks {
					asked <- time.Now()
					if x.send(baseLength+1, question) != nil {
						break
					}
					rest(100 * time.Millisecond)
				}
			}()
			go func() { // listens
				var took []time.Duration
				for {
					m, err := x.conn.ReadMsg()
					if err != nil {
						break
					}
					switch m.Code {
					case codePing:
						x.send(codePong, emptyList[:])
					case baseLength + 1:
						took = append(took, time.Since(<-asked))
					case baseLength + 2:
						took = append(took, time.Since(begin)%time.Second)
					}
					m.Release()
				}
				if i == 0 {
					took = nil
				}
				results <- took
			}()
		}
		w.pass(time.Until(begin))
		missed := 0
		for range asks / 10 {
			missed += len(s.Broadcast(Outgoing{Protocol: "idle", Code: 2, Payload: news}, s.Peers()))
			w.pass(time.Second)
		}
		if n := s.PeerCount(); n != peers {
			t.Errorf("%d peers, want %d", n, peers)
		}
		t.Logf("%d broadcasts did not fit the queue of their peer", missed)
		s.Stop()
		for range peers {
			all = append(all, <-results...)
		}
	})
	if want := (peers - 1) * (asks + asks/10); len(all) != want {
		t.Errorf("%d answers and broadcasts came, want %d", len(all), want)
	}
	slices.Sort(all)
	return all
}

// L9: that one of 50 peers takes 1 KiB a second changes nothing for the others: the
// times of their answers and of the broadcasts to them are the same to the
// nanosecond.
func TestL9SlowPeer(t *testing.T) {
	good := simnet.Link{Delay: 10 * time.Millisecond}
	slow := good
	slow.Bandwidth, slow.Window = 1<<10, 4<<10
	want, got := latencies(t, good), latencies(t, slow)
	if !slices.Equal(got, want) {
		t.Errorf("beside a slow peer answers take %s, otherwise %s", spread(got), spread(want))
	}
	t.Logf("answers and broadcasts take %s", spread(got))
}

// spread describes sorted durations.
func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%v to %v, in the median %v, at p99 %v (%d)", d[0], d[len(d)-1], d[len(d)/2], d[len(d)*99/100], len(d))
}
