package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"nearcast/cdn"
	"nearcast/routequality/estimate"
)

// maxSites bounds a matrix: a file with more is something else.
const maxSites = 5000

// site is a place where a POP or visitors may be.
type site struct {
	id         string
	place      cdn.Location
	population float64 // 0: not known
}

// network is sites and the round trips between them.
type network struct {
	sites []site
	rtt   [][]float64 // ms; the diagonal is of no meaning
}

// readNetwork reads a matrix and its sites. Cells that are blank are filled with the way back or, if that is blank too, with what geography
// says.
func readNetwork(matrix, sites string) (*network, error) {
	list, err := readFile(sites, readSites)
	if err != nil {
		return nil, err
	}
	known := make(map[string]site, len(list))
	for _, s := range list {
		known[s.id] = s
	}
	return readFile(matrix, func(r io.Reader) (*network, error) { return readMatrix(r, known) })
}

func readFile[T any](name string, read func(io.Reader) (T, error)) (out T, err error) {
	f, err := os.Open(name)
	if err != nil {
		return out, fmt.Errorf("reading the network: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if out, err = read(f); err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// readSites reads a table with a header that names at least id, lat and lon.
func readSites(r io.Reader) ([]site, error) {
	rows := csv.NewReader(r)
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("a header with id, lat and lon is needed: %w", err)
	}
	column := map[string]int{"population": -1}
	for i, name := range header {
		column[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
	}
	for _, name := range []string{"id", "lat", "lon"} {
		if _, there := column[name]; !there {
			return nil, fmt.Errorf("the header %q names no %s: id, lat and lon are needed", strings.Join(header, ","), name)
		}
	}
	var sites []site
	seen := make(map[string]bool)
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return sites, nil
		}
		if err != nil {
			return nil, fmt.Errorf("sites: %w", err)
		}
		line, _ := rows.FieldPos(0)
		s, err := readSite(row, column)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", line, err)
		case seen[s.id]:
			return nil, fmt.Errorf("line %d: site %q is there twice", line, s.id)
		case len(sites) == maxSites:
			return nil, fmt.Errorf("line %d: more than %d sites", line, maxSites)
		}
		seen[s.id] = true
		sites = append(sites, s)
	}
}

func readSite(row []string, column map[string]int) (s site, err error) {
	if s.id = strings.TrimSpace(row[column["id"]]); s.id == "" {
		return s, errors.New("the id is blank")
	}
	if s.place.Latitude, err = number(row[column["lat"]], -90, 90); err != nil {
		return s, fmt.Errorf("lat of %q: %w", s.id, err)
	}
	if s.place.Longitude, err = number(row[column["lon"]], -180, 180); err != nil {
		return s, fmt.Errorf("lon of %q: %w", s.id, err)
	}
	if i := column["population"]; i >= 0 && strings.TrimSpace(row[i]) != "" {
		if s.population, err = number(row[i], 0, 1e11); err != nil {
			return s, fmt.Errorf("population of %q: %w", s.id, err)
		}
	}
	return s, nil
}

// number reads a number within bounds.
func number(s string, low, high float64) (float64, error) {
	x, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(x >= low && x <= high) {
		return 0, fmt.Errorf("%q is not a number from %v to %v", s, low, high)
	}
	return x, nil
}

// readMatrix reads a table whose first row and first column are site ids and whose cells are milliseconds, or blank. The sites of the network are
// those of its columns; rows of other sites, and columns without a row, are allowed.
func readMatrix(r io.Reader, known map[string]site) (*network, error) {
	rows := csv.NewReader(r)
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("a first row of site ids is needed: %w", err)
	}
	if len(header) > maxSites+1 {
		return nil, fmt.Errorf("%d columns: more than %d sites", len(header), maxSites)
	}
	n := &network{}
	index := make(map[string]int)
	for i, id := range header[1:] {
		id = strings.TrimSpace(id)
		s, there := known[id]
		if _, twice := index[id]; !there || twice {
			return nil, fmt.Errorf("column %d: site %q is not among the sites, or there twice", i+2, id)
		}
		index[id] = i
		n.sites = append(n.sites, s)
	}
	n.rtt = blank(len(n.sites))
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			n.fill()
			return n, nil
		}
		if err != nil {
			return nil, fmt.Errorf("matrix: %w", err)
		}
		i, there := index[strings.TrimSpace(row[0])]
		if !there {
			continue
		}
		for j, cell := range row[1:] {
			if strings.TrimSpace(cell) == "" {
				continue
			}
			if n.rtt[i][j], err = number(cell, 0, 60_000); err != nil {
				line, _ := rows.FieldPos(j + 1)
				return nil, fmt.Errorf("line %d, column %d: %w", line, j+2, err)
			}
		}
	}
}

func blank(n int) [][]float64 {
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n)
		for j := range m[i] {
			m[i][j] = math.NaN()
		}
	}
	return m
}

// fill replaces what is not known.
func (n *network) fill() {
	for i := range n.rtt {
		for j := range n.rtt[i] {
			if math.IsNaN(n.rtt[i][j]) {
				n.rtt[i][j] = n.rtt[j][i]
			}
		}
	}
	for i := range n.rtt {
		for j := range n.rtt[i] {
			if math.IsNaN(n.rtt[i][j]) {
				n.rtt[i][j] = estimate.Geographic(n.km(i, j)).R50
			}
		}
	}
}

func (n *network) km(i, j int) float64 { return n.sites[i].place.Kilometres(n.sites[j].place) }

// write writes the network as readNetwork reads it.
func (n *network) write(matrix, sites string) error {
	ids := []string{""}
	table := [][]string{{"id", "lat", "lon", "population"}}
	for _, s := range n.sites {
		ids = append(ids, s.id)
		table = append(table, []string{s.id, text(s.place.Latitude), text(s.place.Longitude), text(s.population)})
	}
	if err := writeTable(sites, table); err != nil {
		return err
	}
	table = [][]string{ids}
	for i, row := range n.rtt {
		line := []string{n.sites[i].id}
		for j, x := range row {
			if math.IsNaN(x) || i == j {
				line = append(line, "")
			} else {
				line = append(line, text(x))
			}
		}
		table = append(table, line)
	}
	return writeTable(matrix, table)
}

func text(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func writeTable(name string, rows [][]string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("writing the network: %w", err)
	}
	w := csv.NewWriter(f)
	err = w.WriteAll(rows)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the network: %w", err)
	}
	return nil
}
