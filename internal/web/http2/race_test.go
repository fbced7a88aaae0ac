//go:build race

package http2_test

// raceDetector makes allocations of its own.
const raceDetector = true
