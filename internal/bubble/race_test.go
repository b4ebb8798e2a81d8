//go:build race

package bubble_test

// raceDetector says that the race detector is on: it makes a bubble seven times slower, and with many goroutines the
// detector itself has crashed.
const raceDetector = true
