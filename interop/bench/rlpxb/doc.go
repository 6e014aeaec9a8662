// Package rlpxb holds benchmarks of RLPx handshakes and frames, which run on every implementation that
// package impl knows.
package rlpxb
