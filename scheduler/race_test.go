//go:build race

package scheduler_test

func raceEnabled() bool { return true } // it takes several times the memory and the time
