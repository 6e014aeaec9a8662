// Package nat finds out how this host is seen from outside, and has the gateway in
// front of it lead ports to it.
//
// A [Method] says whom to ask: the default gateway by PCP (RFC 6887), NAT-PMP (RFC
// 6886) or UPnP (IGD versions 1 and 2), STUN servers (RFC 8489), or nobody because
// the operator knows. A [Mapper] does it: ranging over [Mapper.Run] keeps mappings
// alive and yields a [State] whenever what is known has changed.
//
// Nobody is believed without need. Only the default gateway, or the one that was
// named, is asked to map ports, whoever else answers; each step takes at most 3
// seconds and reads at most 256 KiB. An external address has to be public. STUN
// servers have to agree. What was known is told for 10 more minutes when it cannot
// be confirmed, so that a gateway that restarts does not change a node's record
// for nothing.
//
// A gateway is asked once a minute, so mappings are back within 2 minutes after
// its restart; STUN and name servers every 4 minutes.
package nat
