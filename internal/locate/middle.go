package locate

import (
	"cmp"
	"math"
	"slices"

	"nearcast/cdn"
	"nearcast/internal/geo"
)

// middles are the middles of the places in cities, regions and countries. Geofeeds have no coordinates; other sources
// mostly know where the same city is, or at least the country.
type middles map[area]cdn.Location

// area is a city, region or country; of the latter two, what is smaller is empty.
type area struct{ country, region, city string }

// areas returns those that a record is in, the smallest first.
func areas(r *geo.Record) []area {
	if r.Country == "" {
		return nil
	}
	all := make([]area, 0, 4)
	if r.City != "" {
		all = append(all, area{r.Country, r.Region, r.City}, area{r.Country, "", r.City})
	}
	if r.Region != "" {
		all = append(all, area{r.Country, r.Region, ""})
	}
	return slices.Compact(append(all, area{r.Country, "", ""}))
}

// middlesOf finds the middles of those areas that some record without coordinates is in.
func middlesOf(records []geo.Record) middles {
	wanted := make(map[area][]cdn.Location)
	for i := range records {
		if !records[i].Located {
			for _, a := range areas(&records[i]) {
				wanted[a] = nil
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	for i := range records {
		r := &records[i]
		if !r.Located {
			continue
		}
		for _, a := range areas(r) {
			if in, ok := wanted[a]; ok {
				wanted[a] = append(in, cdn.Location{Latitude: r.Latitude, Longitude: r.Longitude})
			}
		}
	}
	found := make(middles, len(wanted))
	for a, in := range wanted {
		if m, ok := Middle(in); ok {
			found[a] = m
		}
	}
	return found
}

func (m middles) of(r *geo.Record) (cdn.Location, bool) {
	for _, a := range areas(r) {
		if l, ok := m[a]; ok {
			return l, true
		}
	}
	return cdn.Location{}, false
}

// Middle returns the point with the shortest way to all locations, as the crow flies through the earth, without a country. There is none
// for no locations, nor for some that are all around the earth. The order of the locations does not matter.
func Middle(of []cdn.Location) (cdn.Location, bool) {
	of = slices.Clone(of) // sums of floating-point numbers depend on their order
	slices.SortFunc(of, func(a, b cdn.Location) int {
		return cmp.Or(cmp.Compare(a.Latitude, b.Latitude), cmp.Compare(a.Longitude, b.Longitude))
	})
	const rad = math.Pi / 180
	var x, y, z float64
	for _, l := range of {
		sinLat, cosLat := math.Sincos(l.Latitude * rad)
		sinLon, cosLon := math.Sincos(l.Longitude * rad)
		x, y, z = x+cosLat*cosLon, y+cosLat*sinLon, z+sinLat
	}
	if math.Sqrt(x*x+y*y+z*z) < 1e-6*float64(len(of)) || len(of) == 0 {
		return cdn.Location{}, false
	}
	return cdn.Location{Latitude: math.Atan2(z, math.Hypot(x, y)) / rad, Longitude: math.Atan2(y, x) / rad}, true
}
