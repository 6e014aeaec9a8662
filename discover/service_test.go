package discover

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/internal/simnet"
)

// A ping takes one round trip, whichever protocol answers.
func TestPing(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: 40 * time.Millisecond}, func(w *world) {
				a, b := w.add(kind.set), w.add(kind.set)
				p, err := b.Ping(context.Background(), a.node)
				if err != nil || p.RTT != 80*time.Millisecond || p.Seq != 1 {
					t.Errorf("Ping = %+v, %v; want 80ms and record 1", p, err)
				}
				if p.V5 && p.Endpoint != b.machine.AddrPort(30303) {
					t.Errorf("Ping says that we are at %v, not %v", p.Endpoint, b.machine.AddrPort(30303))
				}
			})
		})
	}
}

// Every call reaches the other side and comes back with what it is for.
func TestCalls(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: 5 * time.Millisecond}, func(w *world) {
				a, b, c := w.add(kind.set), w.add(kind.set), w.add(kind.set)
				w.wait(20 * time.Second)
				ctx := w.context(time.Minute)

				if n, err := b.RequestENR(ctx, a.node); err != nil || n.String() != a.node.String() {
					t.Errorf("RequestENR = %v, %v; want %v", n, err, a.node)
				}
				bare := enode.NewV4(c.node.PublicKey(), c.node.Addr().Next(), 0, 0)
				if n, err := b.Resolve(ctx, bare); err != nil || n.String() != c.node.String() {
					t.Errorf("Resolve by key alone = %v, %v; want %v", n, err, c.node)
				}
				stranger := enode.NewV4(testKey(t, 99).Public(), c.node.Addr(), 0, 0)
				if n, err := b.Resolve(ctx, stranger); !errors.Is(err, ErrNotFound) {
					t.Errorf("Resolve of nobody = %v, %v; want ErrNotFound", n, err)
				}
				found, err := b.Lookup(ctx, c.node.PublicKey())
				if err != nil || len(found) != 2 || found[0].ID() != c.node.ID() || found[1].ID() != a.node.ID() {
					t.Errorf("Lookup = %v, %v; want c and a", found, err)
				}
				if b.v5 != nil {
					d := uint(enode.LogDistance(a.node.ID(), c.node.ID()))
					found, err = b.FindNode(ctx, a.node, []uint{d, 0})
					if err != nil || !holdsAll(found, a.node, c.node) {
						t.Errorf("FindNode = %v, %v; want a and c", found, err)
					}
					if found, err = b.LookupID(ctx, c.node.ID()); err != nil || len(found) != 2 {
						t.Errorf("LookupID = %v, %v; want 2 nodes", found, err)
					}
				} else if _, err = b.FindNode(ctx, a.node, []uint{256}); !errors.Is(err, ErrProtocol) {
					t.Errorf("FindNode without v5: %v, want ErrProtocol", err)
				}
				if b.v4 != nil {
					found, err = b.FindNearest(ctx, a.node, c.node.PublicKey())
					if err != nil || !holdsAll(found, c.node) {
						t.Errorf("FindNearest = %v, %v; want c", found, err)
					}
				}
			})
		})
	}
}

func holdsAll(list []*enode.Node, want ...*enode.Node) bool {
	for _, n := range want {
		if !slices.ContainsFunc(list, func(o *enode.Node) bool { return o.ID() == n.ID() }) {
			return false
		}
	}
	return true
}

// A context ends a call at once, and nothing of it is left.
func TestContext(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{}, func(w *world) {
				_, conn, dead := w.machine(99)
				defer conn.Close()
				a := w.add(kind.set)
				for name, f := range map[string]func(context.Context) error{
					"Ping":       func(ctx context.Context) error { _, err := a.Ping(ctx, dead); return err },
					"RequestENR": func(ctx context.Context) error { _, err := a.RequestENR(ctx, dead); return err },
					"Resolve":    func(ctx context.Context) error { _, err := a.Resolve(ctx, dead); return err },
				} {
					start := time.Now()
					err := f(w.context(100 * time.Millisecond))
					if took := time.Since(start); took != 100*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s ended after %v with %v; want 100ms, deadline exceeded", name, took, err)
					}
				}
				ended, cancel := context.WithCancel(context.Background())
				cancel()
				if _, err := a.Ping(ended, dead); !errors.Is(err, context.Canceled) {
					t.Errorf("Ping with an ended context: %v", err)
				}
				a.in(func(time.Time) {
					if len(a.calls) != 0 {
						t.Errorf("%d calls are still known", len(a.calls))
					}
				})
			})
		})
	}
}

// Close ends every call, whenever it comes, and leaves nothing behind: synctest
// fails the test if a goroutine is left.
func TestClose(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			for _, after := range []time.Duration{0, 1, time.Millisecond, 21 * time.Millisecond, 300 * time.Millisecond, time.Second, 10 * time.Second} {
				inWorld(t, simnet.Link{Delay: 10 * time.Millisecond}, func(w *world) {
					_, conn, dead := w.machine(99)
					defer conn.Close()
					for range 4 {
						w.add(kind.set)
					}
					h := w.list[3]
					var wg sync.WaitGroup
					wg.Go(func() {
						for range h.Nodes(context.Background()) {
						}
					})
					wg.Go(func() {
						for {
							if _, err := h.Ping(context.Background(), dead); errors.Is(err, ErrClosed) {
								return
							} else if err == nil {
								t.Error("a dead node answered")
							}
						}
					})
					for range 2 {
						wg.Go(func() {
							w.wait(after)
							h.Close()
						})
					}
					wg.Wait()
					<-h.Done()
					if h.Table(); h.Stats().ReadErrors != 0 {
						t.Error("closing counts as an error")
					}
					if err := h.SetSelf(h.node); !errors.Is(err, ErrClosed) {
						t.Errorf("SetSelf after Close: %v", err)
					}
				})
			}
		})
	}
}

// A socket that somebody else closes ends the service, and says so.
func TestSocketClosed(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(both)
		a.conn.Close()
		<-a.Done()
		if _, err := a.Ping(context.Background(), a.node); !errors.Is(err, ErrClosed) {
			t.Errorf("Ping = %v, want ErrClosed", err)
		}
	})
}

// A walk asks nobody while its consumer is busy, and comes to rest in a small
// network.
func TestNodesDemand(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: time.Millisecond}, func(w *world) {
				for range 3 {
					w.add(kind.set)
				}
				h := w.list[2]
				w.wait(time.Minute)
				pulls := 0
				for range h.Nodes(w.context(10 * time.Minute)) {
					if pulls++; pulls == 1 {
						w.wait(10 * time.Second)
						h.in(func(time.Time) {
							if len(h.calls) != 0 {
								t.Errorf("%d lookups are under way for a consumer that is busy", len(h.calls))
							}
						})
					}
				}
				// Two nodes a lookup, which is every 8 s after the first few.
				if most := 2 * 2 * 90; pulls < 2*60 || pulls > most {
					t.Errorf("%d nodes in 10 minutes, want 120 to %d", pulls, most)
				}
				for range h.Nodes(context.Background()) {
					break
				}
				synctest.Wait()
				h.in(func(time.Time) {
					if len(h.calls) != 0 {
						t.Errorf("%d lookups are under way after the walk", len(h.calls))
					}
				})
			})
		})
	}
}

// The owner gets votes and proven nodes by asking, and is told when to.
func TestNews(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{}, func(w *world) {
				a, b := w.add(kind.set), w.add(kind.set)
				w.wait(time.Minute)
				select {
				case <-b.Fresh():
				default:
					t.Fatal("no news after a minute")
				}
				news := b.Take()
				if len(news.Votes) == 0 || news.Votes[0] != (Vote{a.machine.Addr(), b.machine.AddrPort(30303)}) {
					t.Errorf("votes %v, want one of %v for %v", news.Votes, a.machine.Addr(), b.machine.AddrPort(30303))
				}
				if !holdsAll(news.Proven, a.node) {
					t.Errorf("proven %v, want %v", news.Proven, a.node)
				}
				if again := b.Take(); len(again.Votes)+len(again.Proven) != 0 {
					t.Errorf("the same news twice: %v", again)
				}
			})
		})
	}
	t.Run("bounded", func(t *testing.T) {
		var lost int
		list := newest(make([]int, maxNews+5), &lost)
		if len(list) != maxNews || lost != 5 {
			t.Errorf("%d wait and %d are lost, want %d and 5", len(list), lost, maxNews)
		}
	})
}

// A node that changes its record is asked for the new one by those who know it.
func TestSetSelf(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{}, func(w *world) {
				a, b := w.add(kind.set), w.add(kind.set)
				next := w.record(0, 7, a.machine.AddrPort(30303))
				if err := a.SetSelf(next); err != nil {
					t.Fatal(err)
				}
				if n, err := b.RequestENR(context.Background(), a.node); err != nil || n.Seq() != 7 {
					t.Errorf("RequestENR = %v, %v; want record 7", n, err)
				}
				if err := a.SetSelf(b.node); err == nil {
					t.Error("SetSelf took the record of another node")
				}
			})
		})
	}
}

// Seeds bring a node without bootnodes into the network.
func TestSeeds(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: 10 * time.Millisecond}, func(w *world) {
				for range 4 {
					w.add(kind.set)
				}
				w.wait(30 * time.Second)
				h := w.add(func(c *Config) {
					kind.set(c)
					c.Bootnodes, c.Seeds = nil, []*enode.Node{w.list[2].node}
				})
				w.wait(10 * time.Second)
				if n := h.live(); n != 4 {
					t.Errorf("%d live nodes, want 4", n)
				}
			})
		})
	}
}

// All mistakes of a Config are one error.
func TestConfig(t *testing.T) {
	_, err := Listen(Config{Rate: -1, Sessions: -2, Bootnodes: []*enode.Node{nil}})
	for _, want := range []string{"no private key", "neither v4 nor v5", "Rate -1", "Sessions -2", "a nil node"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", cmp.Or(err, errors.New("none")), want)
		}
	}
	if _, err := Listen(Config{PrivateKey: testKey(t, 1), V5: true, ProtocolID: "too long"}); err == nil {
		t.Error("a protocol id of 8 bytes is accepted")
	}
}
