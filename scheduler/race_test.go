//go:build race

package scheduler_test

func raceEnabled() bool { return true } // what it remembers of memory takes some
