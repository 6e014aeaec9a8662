package admin

// A Setup is the result of p2p_setup: how the node is set up now, as far as it
// matters for whom it can meet.
type Setup struct {
	MaxPeers   int `json:"maxPeers"`
	MaxInbound int `json:"maxInbound"`
	MaxDialed  int `json:"maxDialed"` // besides static nodes

	Dialing bool   `json:"dialing"`          // nodes are dialed
	Listen  string `json:"listen,omitempty"` // where connections are accepted; empty: nowhere

	Discovery   *DiscoverySetup `json:"discovery,omitempty"` // nil: off
	Bootnodes   []string        `json:"bootnodes"`           // URLs
	DNSLists    []string        `json:"dnsLists"`            // URLs
	NetRestrict []string        `json:"netRestrict"`         // networks; empty: all addresses are permitted
}

// A DiscoverySetup says which protocols of discovery run, and where.
type DiscoverySetup struct {
	V4     bool   `json:"v4"`
	V5     bool   `json:"v5"`
	Listen string `json:"listen"` // UDP address and port
}
