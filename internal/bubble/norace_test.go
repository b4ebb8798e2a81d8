//go:build !race

package bubble_test

// raceDetector says that the race detector is on.
const raceDetector = false
