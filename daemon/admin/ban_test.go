package admin

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/p2p"
)

// The methods about bans do to the node what they say, and answer in this form. Time
// stands still at the beginning of the year 2000.
func TestBans(t *testing.T) {
	id, err := enode.ParseID(nodeID)
	if err != nil {
		t.Fatal(err)
	}
	net := netip.MustParsePrefix("10.0.0.0/8")
	notStored := fmt.Errorf("%w: disk full", p2p.ErrBanNotStored)
	byID, byNet := []p2p.Ban{{ID: id}}, []p2p.Ban{{Net: net}}
	const since = `"since":"2000-01-01T00:00:00Z"`

	tests := []struct {
		name, method, params string
		node                 *fake
		want                 string
		left                 int // bans
	}{
		{"by url", "admin_banPeer", `["` + nodeURL + `"]`, &fake{}, `"result":true`, 1},
		{"trusted", "admin_banPeer", `["` + nodeURL + `"]`, &fake{fail: fmt.Errorf("p2p: %w", p2p.ErrTrusted)},
			`"error":{"code":-32000,"message":"p2p: it is a trusted node; take it from the trusted nodes first"}`, 1},
		{"not stored", "admin_banPeer", `["` + nodeURL + `"]`, &fake{fail: notStored}, `"result":true`, 1},
		{"no url", "admin_banPeer", `["10.0.0.1"]`, &fake{}, `"error":{"code":-32000,"message":"invalid enode: `, 0},
		{"lifted", "admin_unbanPeer", `["` + nodeURL + `"]`, &fake{bans: byID}, `"result":true`, 0},
		{"was not banned", "admin_unbanPeer", `["` + nodeURL + `"]`, &fake{}, `"result":false`, 0},
		{"list", "p2p_bans", `[]`, &fake{bans: append(byID[:1:1], byNet...)},
			`"result":[{"node":"` + nodeID + `","since":"0001-01-01T00:00:00Z","earned":false},{"net":"10.0.0.0/8","since":"0001-01-01T00:00:00Z","earned":false}]`, 2},
		{"no bans", "p2p_bans", `[]`, &fake{}, `"result":[]`, 0},
		{"node for a time", "p2p_ban", `[{"node":"` + nodeURL + `","for":"6h","why":"spam"}]`, &fake{about: p2p.Explanation{Static: true}},
			`"result":{"ban":{"node":"` + nodeID + `",` + since + `,"until":"2000-01-01T06:00:00Z","why":"spam","earned":false},"static":true}`, 1},
		{"network", "p2p_ban", `[{"net":"10.1.2.3/8"}]`, &fake{}, `"result":{"ban":{"net":"10.0.0.0/8",` + since + `,"earned":false}}`, 1},
		{"address", "p2p_ban", `[{"net":"::ffff:10.1.2.3"}]`, &fake{}, `"result":{"ban":{"net":"10.1.2.3/32",` + since + `,"earned":false}}`, 1},
		{"told that it is not stored", "p2p_ban", `[{"net":"10.0.0.0/8"}]`, &fake{fail: notStored},
			`"result":{"ban":{"net":"10.0.0.0/8",` + since + `,"earned":false},"warning":"` + notStored.Error() + `"}`, 1},
		{"both", "p2p_ban", `[{"net":"10.0.0.0/8","node":"` + nodeID + `"}]`, &fake{}, `"error":{"code":-32000,"message":"invalid ban: want either a node or a net"}`, 0},
		{"neither", "p2p_ban", `[{}]`, &fake{}, `"error":{"code":-32000,"message":"invalid ban: want either a node or a net"}`, 0},
		{"no network", "p2p_ban", `[{"net":"10.0.0"}]`, &fake{}, `"error":{"code":-32000,"message":"invalid ban: `, 0},
		{"zone", "p2p_ban", `[{"net":"fe80::1%eth0"}]`, &fake{}, `"error":{"code":-32000,"message":"invalid ban: `, 0},
		{"no time", "p2p_ban", `[{"net":"10.0.0.0/8","for":"-1h"}]`, &fake{}, `"error":{"code":-32000,"message":"invalid ban: for `, 0},
		{"network lifted", "p2p_unban", `[{"net":"10.0.0.0/8"}]`, &fake{bans: byNet}, `"result":{}`, 0},
		{"node lifted", "p2p_unban", `[{"node":"` + nodeID + `"}]`, &fake{bans: byID}, `"result":{}`, 0},
		{"not banned", "p2p_unban", `[{"node":"` + nodeID + `"}]`, &fake{}, `"error":{"code":-32000,"message":"` + nodeID + ` is not banned"}`, 0},
		{"only its network", "p2p_unban", `[{"net":"10.1.2.3"}]`, &fake{bans: byNet},
			`"error":{"code":-32000,"message":"10.1.2.3 is not banned: 10.0.0.0/8 is, which it is part of"}`, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.node.bans = append([]p2p.Ban(nil), tt.node.bans...)
			synctest.Test(t, func(t *testing.T) {
				ask, _ := session(t, tt.node)
				if got := ask(tt.method, tt.params); got != tt.want && (strings.HasSuffix(tt.want, "}") || !strings.HasPrefix(got, tt.want)) {
					t.Errorf("%s\nwant\n%s", got, tt.want)
				}
			})
			if len(tt.node.bans) != tt.left {
				t.Errorf("%d bans in force, want %d: %+v", len(tt.node.bans), tt.left, tt.node.bans)
			}
		})
	}
}

func TestTarget(t *testing.T) {
	for _, tt := range []struct {
		ban  Ban
		want string
	}{
		{NewBan(&p2p.Ban{Net: netip.MustParsePrefix("10.0.0.7/32"), Since: time.Unix(0, 0)}), "10.0.0.7"},
		{NewBan(&p2p.Ban{Net: netip.MustParsePrefix("2001:db8::/32")}), "2001:db8::/32"},
		{Ban{Node: nodeID}, nodeID},
	} {
		if got := tt.ban.Target(); got != tt.want {
			t.Errorf("Target of %+v = %s, want %s", tt.ban, got, tt.want)
		}
	}
}
