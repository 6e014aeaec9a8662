// Package natlab puts programs behind a real gateway, miniupnpd with UPnP, NAT-PMP
// and PCP, and beside a real STUN server, coturn. All run in network namespaces of
// their own that have no way out:
//
//	lan  192.168.77.2          gw  192.168.77.1 | 25.25.25.1          wan  25.25.25.2 to .4
//	     2a0e:77::2 ---------------- fe80::1    | 2a0e:25::1 -------------- 2a0e:25::2
//	next 192.168.77.3 -----------'
//
// The outside has addresses that look public, since miniupnpd takes no others for
// an external address, and package nat believes no others.
//
// It works on Linux, as root, and installs what is missing with apt.
package natlab
