package main

import (
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const fourSites = "id,lat,lon,population\na,0,0,10\nb,0,10,20\nc,0,20,\nd,0,30,40\n"

// written puts text into a file of the test.
func written(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestReadNetwork(t *testing.T) {
	for _, tt := range []struct {
		name, matrix, sites string
		want                string // part of the error
	}{
		{"as it should be", ",a,b\na,,1\nb,2,\n", fourSites, ""},
		{"with a mark of the byte order", "x,a,b\na,0,1\nb,2,0\n", "\ufeff" + fourSites, ""},
		{"columns in another order", ",a\na,\n", "population,lon,lat,id\n1,2,3,a\n", ""},
		{"a row of a stranger", ",a,b\na,,1\nz,2,3\n", fourSites, ""},
		{"no sites at all", ",a\na,\n", "", "a header with id, lat and lon is needed"},
		{"a header that lacks a column", ",a\na,\n", "id,lat\na,1\n", "names no lon"},
		{"a place that is none", ",a\na,\n", "id,lat,lon\na,91,0\n", `line 2: lat of "a": "91" is not a number from -90 to 90`},
		{"not a number", ",a\na,\n", "id,lat,lon\na,NaN,0\n", `lat of "a"`},
		{"people below zero", ",a\na,\n", "id,lat,lon,population\na,1,0,-1\n", `population of "a"`},
		{"a site that is there twice", ",a\na,\n", "id,lat,lon\na,1,0\na,2,0\n", `line 3: site "a" is there twice`},
		{"a site without a name", ",a\na,\n", "id,lat,lon\n ,1,0\n", "line 2: the id is blank"},
		{"an empty matrix", "", fourSites, "a first row of site ids is needed"},
		{"a column of a stranger", ",a,z\na,,1\nz,2,\n", fourSites, `column 3: site "z" is not among the sites`},
		{"a column that is there twice", ",a,a\na,,1\n", fourSites, `column 3: site "a"`},
		{"a round trip below zero", ",a,b\na,,-1\nb,2,\n", fourSites, `line 2, column 3: "-1"`},
		{"a round trip that is none", ",a,b\na,,fast\nb,2,\n", fourSites, `line 2, column 3: "fast"`},
		{"a row that is too short", ",a,b\na,1\n", fourSites, "wrong number of fields"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readNetwork(written(t, "m.csv", tt.matrix), written(t, "s.csv", tt.sites))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestBlankCells are taken from the way back, and from geography if that is not known either.
func TestBlankCells(t *testing.T) {
	n, err := readNetwork(written(t, "m.csv", ",a,b,c\nc,7,,\na,,5, \n"), written(t, "s.csv", fourSites))
	if err != nil {
		t.Fatal(err)
	}
	if n.rtt[0][1] != 5 || n.rtt[1][0] != 5 || n.rtt[0][2] != 7 || n.rtt[2][0] != 7 {
		t.Errorf("round trips %v", n.rtt)
	}
	if r := n.rtt[1][2]; r < 30 || r > 60 { // 1112 km
		t.Errorf("over 1112 km geography says %.1f ms", r)
	}
	if n.sites[1].population != 20 || n.sites[2].population != 0 {
		t.Errorf("sites %+v", n.sites)
	}
}

func FuzzNetwork(f *testing.F) {
	f.Add(",a,b\na,,1\nb,2,\n", fourSites)
	f.Add(",a\na,NaN\n", "id,lat,lon\na,1,\n")
	f.Add("\"", "id,lat,lon\n\"a\n\",0,0\n")
	f.Fuzz(func(t *testing.T, matrix, sites string) {
		list, err := readSites(strings.NewReader(sites))
		if err != nil {
			return
		}
		known := make(map[string]site)
		for _, s := range list {
			known[s.id] = s
		}
		n, err := readMatrix(strings.NewReader(matrix), known)
		if err != nil {
			return
		}
		for i := range n.rtt {
			for j, x := range n.rtt[i] {
				if !(x >= 0 && x <= 60_000) {
					t.Fatalf("from %d to %d: %v ms", i, j, x)
				}
			}
		}
	})
}

// TestConvert makes the two files from a folder as it was published, and reads them again.
func TestConvert(t *testing.T) {
	dir := t.TempDir()
	const cities = "city,Lat,Long,Population\nRome,41.9,12.5,2800000\nNew York,40.7,-74,8400000\nYork,53.9,-1.1,150000\nLost,0,0,1\n"
	if err := os.WriteFile(filepath.Join(dir, "cities-population.csv"), []byte(cities), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "pings-2018.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	const pings = "src,dst,dst_region,km,avg_ms,min_ms\n" +
		"Rome,\"New York United States, North America\",,1,110.5,1\nRome,\"York United Kingdom, Eurasia\",,1,35,1\n" +
		"New York,\"York United Kingdom, Eurasia\",,1,80,1\nNew York,\"Rome Italy, Eurasia\",,1,111,1\nAtlantis,\"Rome Italy, Eurasia\",,1,3,1\n"
	if _, err := z.Write([]byte(pings)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	matrix, sites := filepath.Join(dir, "m.csv"), filepath.Join(dir, "s.csv")
	if err := command(t, []string{"--convert", dir, "--matrix", matrix, "--sites", sites}, &strings.Builder{}, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	n, err := readNetwork(matrix, sites)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.sites) != 0 && slices.ContainsFunc(n.sites, func(s site) bool { return s.id == "Lost" }) {
		t.Error("a city of which nothing was measured is a site")
	}
	got := map[string]float64{}
	for i, s := range n.sites {
		for j, u := range n.sites {
			got[s.id+">"+u.id] = n.rtt[i][j]
		}
	}
	for pair, want := range map[string]float64{"Rome>New York": 110.5, "New York>Rome": 111, "York>Rome": 35, "New York>York": 80} {
		if got[pair] != want {
			t.Errorf("%s: %v ms, want %v", pair, got[pair], want)
		}
	}
}

// TestSynthetic: the median round trip by distance is as in the set from which the quantiles come, and nothing is faster than light.
func TestSynthetic(t *testing.T) {
	n := synthetic(246, 1)
	byDistance := map[int][]float64{}
	bounds := []float64{300, 1500, 5000, 10_000, math.Inf(1)}
	for i := range n.sites {
		for j := range n.sites {
			if i == j {
				continue
			}
			km := n.km(i, j)
			if n.rtt[i][j] < km/100 {
				t.Fatalf("%.0f km in %.1f ms", km, n.rtt[i][j])
			}
			k := slices.IndexFunc(bounds, func(b float64) bool { return km < b })
			byDistance[k] = append(byDistance[k], n.rtt[i][j])
		}
	}
	for k, want := range []float64{10, 30, 68, 148, 244} {
		list := byDistance[k]
		slices.Sort(list)
		if got := list[len(list)/2]; got < 0.75*want || got > 1.35*want {
			t.Errorf("below %.0f km half of the round trips are below %.1f ms, want about %.0f", bounds[k], got, want)
		}
	}
	if again := synthetic(246, 1); !slices.EqualFunc(n.rtt, again.rtt, func(a, b []float64) bool { // NaN is not itself
		return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) })
	}) {
		t.Error("the same seed has made another network")
	}
}
