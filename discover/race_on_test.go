//go:build race

package discover

// raceEnabled tells that the test binary has the race detector, which makes
// signatures about ten times slower.
const raceEnabled = true
