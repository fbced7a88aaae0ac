//go:build !race

package httpfront

func raceEnabled() bool { return false }
