// Package natlab puts programs behind a real gateway: miniupnpd with UPnP, NAT-PMP
// and PCP, and a STUN server, in network namespaces of their own without a way
// out.
package natlab
