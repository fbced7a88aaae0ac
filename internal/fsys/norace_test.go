//go:build !race

package fsys_test

const raceDetector = false
