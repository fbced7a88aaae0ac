package main

import "fmt"

// bitRate writes octets a second as people talk of lines: in bits a second, decimal.
func bitRate(octets float64) string {
	bits, unit := 8*octets, "bit/s"
	for _, larger := range []string{"kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"} {
		if bits < 1000 {
			break
		}
		bits, unit = bits/1000, larger
	}
	if bits < 10 && unit != "bit/s" {
		return fmt.Sprintf("%.1f%s", bits, unit)
	}
	return fmt.Sprintf("%.0f%s", bits, unit)
}

// percent writes a share; below zero it is not known.
func percent(share float64) string {
	if share < 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}

// ago writes an age in seconds; below zero there is none.
func ago(seconds float64) string {
	switch {
	case seconds < 0:
		return "-"
	case seconds < 10:
		return fmt.Sprintf("%.1fs", seconds)
	case seconds < 3*3600:
		return fmt.Sprintf("%.0fs", seconds)
	}
	return fmt.Sprintf("%.0fh", seconds/3600)
}

// count writes a number of things with their name in one of its two forms.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
