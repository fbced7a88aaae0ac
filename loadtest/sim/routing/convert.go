package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// readWonderNetwork reads the folder of pings between cities as WonderNetwork's were published in 2018: cities-population.csv with
// city,Lat,Long,Population, and pings-2018.csv.gz with src,dst,dst_region,km,avg_ms and more, where a destination is "City Country, Continent".
func readWonderNetwork(dir string) (*network, error) {
	n, err := readFile(filepath.Join(dir, "cities-population.csv"), readCities)
	if err != nil {
		return nil, err
	}
	index := make(map[string]int, len(n.sites))
	for i, s := range n.sites {
		index[s.id] = i
	}
	name := filepath.Join(dir, "pings-2018.csv.gz")
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the pings: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := readPings(r, n, index); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if n = n.measured(); len(n.sites) == 0 {
		return nil, fmt.Errorf("%s: no city is measured from half of the others: are these the pings of these cities?", name)
	}
	return n, nil
}

func readCities(r io.Reader) (*network, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("cities: %w", err)
	}
	n := &network{}
	for i, row := range rows {
		if i == 0 || len(row) < 4 {
			continue
		}
		s := site{id: strings.TrimSpace(row[0])}
		var errs [3]error
		s.place.Latitude, errs[0] = number(row[1], -90, 90)
		s.place.Longitude, errs[1] = number(row[2], -180, 180)
		s.population, errs[2] = number(row[3], 0, 1e11)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		n.sites = append(n.sites, s)
	}
	n.rtt = blank(len(n.sites))
	return n, nil
}

// readPings puts the averages into the matrix. Cities that have no place are left out.
func readPings(r io.Reader, n *network, index map[string]int) error {
	rows := csv.NewReader(r)
	for line := 1; ; line++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("pings: %w", err)
		}
		if line == 1 || len(row) < 5 {
			continue
		}
		src, there := index[strings.TrimSpace(row[0])]
		dst := city(row[1], index)
		if !there || dst < 0 || src == dst {
			continue
		}
		if x, err := strconv.ParseFloat(row[4], 64); err == nil && x > 0 && x < 60_000 {
			n.rtt[src][dst] = x
		}
	}
}

// city returns the site whose id is the longest beginning of a destination, or -1.
func city(destination string, index map[string]int) int {
	for s := destination; s != ""; {
		if i, there := index[s]; there {
			return i
		}
		cut := strings.LastIndexByte(s, ' ')
		if cut < 0 {
			return -1
		}
		s = s[:cut]
	}
	return -1
}

// measured returns the network without those sites of which more than half of the cells are blank, and with the rest filled.
func (n *network) measured() *network {
	var keep []int
	for i := range n.sites {
		there := 0
		for j := range n.sites {
			if !math.IsNaN(n.rtt[i][j]) || !math.IsNaN(n.rtt[j][i]) {
				there++
			}
		}
		if 2*there >= len(n.sites) {
			keep = append(keep, i)
		}
	}
	out := &network{rtt: blank(len(keep))}
	for a, i := range keep {
		out.sites = append(out.sites, n.sites[i])
		for b, j := range keep {
			out.rtt[a][b] = n.rtt[i][j]
		}
	}
	out.fill()
	return out
}
