package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/daemon/jsonrpc"
	"parley/discover"
	"parley/enode"
)

// pingTime bounds p2p_ping.
const pingTime = 5 * time.Second

// A Pong is the result of p2p_ping: a node answered.
type Pong struct {
	Protocol string  `json:"protocol"` // discv4 or discv5, whichever answered first
	Millis   float64 `json:"ms"`
	Seen     string  `json:"seen,omitempty"` // where the node sees us, which only v5 tells
}

// RegisterPing adds p2p_ping, which asks a node given by its URL or record for a sign
// of life by all protocols of discovery. The service may be nil, without discovery.
func RegisterPing(rpc *jsonrpc.Server, s *discover.Service) {
	rpc.Register("p2p_ping", func(ctx context.Context, p jsonrpc.Params) (any, error) {
		var url string
		if err := p.Decode(&url); err != nil {
			return nil, err
		}
		n, err := enode.Parse(url)
		if err != nil {
			return nil, fmt.Errorf("invalid enode: %w", err)
		}
		if s == nil {
			return nil, errors.New("discovery is off")
		}
		ctx, cancel := context.WithTimeout(ctx, pingTime)
		defer cancel()
		pong, err := s.Ping(ctx, n)
		if err != nil {
			return nil, err
		}
		out := Pong{Protocol: "discv4", Millis: float64(pong.RTT.Microseconds()) / 1000}
		if pong.V5 {
			out.Protocol = "discv5"
		}
		if pong.Endpoint.IsValid() {
			out.Seen = pong.Endpoint.String()
		}
		return out, nil
	})
}
