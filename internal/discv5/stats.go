package discv5

// A Drop is the reason for which a packet was not acted on. Zero is none.
type Drop uint8

// The reasons, in the order in which they are looked for.
const (
	DropSize          Drop = iota + 1 // below MinPacket or above MaxPacket
	DropProtocol                      // another protocol id, or for another node
	DropVersion                       // another version of the header
	DropFlag                          // no such kind of packet
	DropAuthSize                      // authdata does not fit the flag or the packet
	DropRestricted                    // the source address is not permitted, or its port is 0
	DropSelf                          // it claims to come from this node
	DropUnasked                       // a WHOAREYOU for nothing sent, or a second one
	DropNoChallenge                   // a handshake that nobody asked for
	DropBusy                          // more handshakes than this node can afford
	DropRecord                        // the record in a handshake is missing, invalid, old or another node's
	DropIdentity                      // id-signature or ephemeral key is wrong
	DropUndecryptable                 // the message in a handshake does not match its tag
	DropReplay                        // seen before
	DropMessage                       // unknown or malformed message
	DropNoCall                        // an answer to nothing asked, or to another node's call
	DropTalk                          // too many requests wait for applications

	drops
)

// String returns a short name, for logs and labels of metrics.
func (d Drop) String() string {
	names := [drops]string{
		"none", "size", "protocol", "version", "flag", "authsize", "restricted", "self", "unasked",
		"no challenge", "busy", "record", "identity", "undecryptable", "replay", "message", "no call", "talk",
	}
	if d >= drops {
		return "unknown"
	}
	return names[d]
}

// Stats counts what an Engine did since it was made.
type Stats struct {
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64

	MessagesIn  [kinds]uint64 // by Kind, decrypted and well formed
	MessagesOut [kinds]uint64 // by Kind, encrypted in a session

	ChallengesIn, ChallengesOut uint64 // WHOAREYOU acted on, sent
	HandshakesIn, HandshakesOut uint64 // that made a session, sent
	Dropped                     [drops]uint64

	Sessions, Calls, Lookups, Talks int // at the moment
	Timeouts                        uint64
}
