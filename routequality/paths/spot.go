package paths

import (
	"math"

	"nearcast/cdn"
)

// spot is a place on earth as a vector of length one; zero if it is not known.
type spot [3]float64

func spotOf(l cdn.Location) spot {
	const rad = math.Pi / 180
	sinLat, cosLat := math.Sincos(l.Latitude * rad)
	sinLon, cosLon := math.Sincos(l.Longitude * rad)
	return spot{cosLat * cosLon, cosLat * sinLon, sinLat}
}

// km returns the great-circle distance, or NaN if a place is not known.
func (s spot) km(t spot) float64 {
	if s == (spot{}) || t == (spot{}) {
		return math.NaN()
	}
	x, y, z := s[0]-t[0], s[1]-t[1], s[2]-t[2]
	chord := math.Sqrt(x*x + y*y + z*z)
	return 2 * 6371 * math.Asin(min(1, chord/2))
}
