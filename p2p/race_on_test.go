//go:build race

package p2p

// raceEnabled tells that the test binary has the race detector, which makes the
// transport's cryptography about ten times slower.
const raceEnabled = true
