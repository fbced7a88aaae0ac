//go:build !race

package scheduler_test

func raceEnabled() bool { return false }
