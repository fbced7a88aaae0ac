//go:build race

package fsys_test

// raceDetector makes sync.Pool forget.
const raceDetector = true
