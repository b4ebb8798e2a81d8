//go:build !race

package discovery_test

// raceDetector says that the race detector is on.
const raceDetector = false
