//go:build race

package httpfront

func raceEnabled() bool { return true } // a pool forgets at random
