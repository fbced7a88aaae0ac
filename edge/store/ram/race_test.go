//go:build race

package ram_test

// raceEnabled says that the race detector takes memory too.
const raceEnabled = true
