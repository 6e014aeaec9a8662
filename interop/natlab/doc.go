// Package natlab puts programs into networks that are made of network namespaces
// and have no way out.
//
// A Lab has a real gateway, miniupnpd with UPnP, NAT-PMP and PCP, and a real STUN
// server, coturn:
//
//	lan  192.168.77.2          gw  192.168.77.1 | 25.25.25.1          wan  25.25.25.2 to .4
//	     2a0e:77::2 ---------------- fe80::1    | 2a0e:25::1 -------------- 2a0e:25::2
//	next 192.168.77.3 -----------'
//
// The outside has addresses that look public, since miniupnpd takes no others for
// an external address, and package nat believes no others.
//
// A Street is hosts with IPv4, IPv6 or both, each in networks of its own, that a
// router joins. Their links can fail, and their kernels be short of something.
//
// It works on Linux, as root, and installs what is missing with apt.
package natlab
