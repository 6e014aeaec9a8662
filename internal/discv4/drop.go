package discv4

// A Drop is the reason why a packet was not answered or used. It is an error that
// costs nothing to make, because strangers choose how often it is made.
type Drop uint8

// The reasons, in the order in which a packet meets them.
const (
	DropShort     Drop = iota + 1 // fewer bytes than a header and some data
	DropLong                      // more than MaxSize
	DropHash                      // the hash is not that of the rest
	DropKind                      // no kind of packet that we know
	DropSource                    // from an address or port to which no answer can go
	DropRestrict                  // from outside the networks allowed
	DropReplay                    // this very packet was here before
	DropHostRate                  // too many packets from the host
	DropNetRate                   // too many packets from its network
	DropRate                      // too many packets altogether
	DropContent                   // the content is not what its kind requires
	DropSignature                 // no key can have made the signature
	DropSelf                      // signed by ourselves
	DropExpired                   // its time is over
	DropFuture                    // its time is over too late to be remembered until then
	DropUnbonded                  // a question from an endpoint that has not proved itself
	DropUnasked                   // an answer to no question of ours
	DropAnswered                  // asked too often
	DropRecord                    // the record in it is not one, or another node's

	drops = 1 + int(DropRecord)
)

var dropNames = [drops]string{
	DropShort: "too short", DropLong: "too long", DropHash: "wrong hash", DropKind: "unknown kind",
	DropSource: "unusable source", DropRestrict: "restricted source", DropReplay: "replay",
	DropHostRate: "host rate", DropNetRate: "network rate", DropRate: "rate",
	DropContent: "malformed", DropSignature: "bad signature", DropSelf: "own packet",
	DropExpired: "expired", DropFuture: "far future", DropUnbonded: "no endpoint proof",
	DropUnasked: "unsolicited", DropAnswered: "asked too often", DropRecord: "bad record",
}

// String returns a few words, the same for every packet with this reason.
func (d Drop) String() string {
	if int(d) < drops {
		return dropNames[d]
	}
	return ""
}

// Error returns the words of String with the package before them.
func (d Drop) Error() string { return "discv4: packet dropped: " + d.String() }
