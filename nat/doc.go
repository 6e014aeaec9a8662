// Package nat finds out how this host is seen from outside, and has the gateway in
// front of it lead ports to it.
package nat
