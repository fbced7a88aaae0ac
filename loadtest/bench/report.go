package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// report is what a run has found.
type report struct {
	Date     time.Time `json:"date"`
	Command  string    `json:"command"`
	Machine  machine   `json:"machine"`
	Versions []version `json:"versions"`
	Missing  []string  `json:"missing"`
	Remarks  []string  `json:"remarks"`
	Rounds   int       `json:"rounds"`
	Seconds  int       `json:"seconds"`
	Rows     []row     `json:"rows"`
}

type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
}

type version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// row is one line of the table.
type row struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Unit    string   `json:"unit"`
	Limit   limit    `json:"limit"`
	Results []result `json:"results"`
}

// result is a server's part of a row: medians over the rounds.
type result struct {
	Server string  `json:"server"`
	Value  float64 `json:"value"` // in the row's unit
	Rate   float64 `json:"rate,omitempty"`
	P50    float64 `json:"p50_us,omitempty"`
	P99    float64 `json:"p99_us,omitempty"`
	Bad    int64   `json:"bad,omitempty"`
	Origin int64   `json:"origin_requests,omitempty"`
	Remark string  `json:"remark,omitempty"`
	// Values, Rates, P50s and P99s are those of the rounds.
	Values []float64 `json:"values"`
	Rates  []float64 `json:"rates,omitempty"`
	P50s   []float64 `json:"p50s_us,omitempty"`
	P99s   []float64 `json:"p99s_us,omitempty"`
}

// add takes in a round.
func (r *result) add(m measured) {
	r.Values = append(r.Values, m.cost)
	r.Value = median(r.Values)
	if m.rate > 0 {
		r.Rates = append(r.Rates, m.rate)
		r.P50s = append(r.P50s, float64(m.p50.Nanoseconds())/1e3)
		r.P99s = append(r.P99s, float64(m.p99.Nanoseconds())/1e3)
		r.Rate, r.P50, r.P99 = median(r.Rates), median(r.P50s), median(r.P99s)
	}
	r.Bad += m.bad
	r.Origin += m.origin
	if m.remark != "" {
		r.Remark = m.remark
	}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// describe fills in what is known before anything is measured.
func (r *report) describe(ctx context.Context, o options, servers []*server, missing []string) {
	r.Date, r.Command, r.Rounds, r.Seconds, r.Missing = time.Now().UTC().Truncate(time.Second), o.command, o.rounds, o.seconds, missing
	r.Machine = machine{CPU: cpuModel(), Cores: runtime.NumCPU(), Kernel: kernel()}
	for _, v := range servers {
		r.Versions = append(r.Versions, version{v.name, v.version})
	}
	r.Versions = append(r.Versions, version{"Go", strings.TrimPrefix(runtime.Version(), "go")})
	for _, tool := range []struct{ name, arg string }{{"wrk", "-v"}, {"h2load", "--version"}} {
		if path, err := exec.LookPath(tool.name); err == nil {
			line := firstLine(ctx, path, tool.arg)
			line, _, _ = strings.Cut(line, " [")
			r.Versions = append(r.Versions, version{tool.name, strings.TrimPrefix(line, tool.name+" ")})
		}
	}
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}

// has reports whether a tool is there.
func (r *report) has(t tool) bool {
	name := map[tool]string{wrk: "wrk ", h2load: "h2load "}[t]
	return name == "" || !slices.ContainsFunc(r.Missing, func(line string) bool { return strings.HasPrefix(line, name) })
}

// edgeTLS says so if the edge cannot take part in the rows about TLS.
func (r *report) edgeTLS(servers []*server) {
	for _, v := range servers {
		if v.name == edgeName && v.tls == "" {
			r.Missing = append(r.Missing, "this build of nearcast has no --tls-listen: it is not in the rows about TLS")
		}
	}
}

func (r *report) addLoad(s scenario, results []result) {
	unit := "µs"
	r.Rows = append(r.Rows, row{ID: s.id, Title: s.title, Unit: unit, Limit: s.limit, Results: results})
	if s.p99 == (limit{}) {
		return
	}
	late := row{ID: s.id + "-p99", Title: s.title + ", 99th percentile of the latency", Unit: unit, Limit: s.p99}
	for _, one := range results {
		late.Results = append(late.Results, result{Server: one.Server, Value: one.P99, Values: one.P99s})
	}
	r.Rows = append(r.Rows, late)
}

func (r *report) addIdle(s idleScenario, n int, results []result) {
	title := fmt.Sprintf("%s, resident memory, of %d", s.title, n)
	r.Rows = append(r.Rows, row{ID: s.id, Title: title, Unit: "KiB", Limit: s.limit, Results: results})
}

// verdict is how the edge stands in a row.
type verdict struct {
	ours     float64
	best     string  // the best peer; empty if there is none
	bestIs   float64 // its figure
	ratio    float64 // ours to that of whom the limit names, or of the best peer
	asked    bool    // there is a limit, and both figures that it needs
	holds    bool
	measured bool // ours is there
}

func (w row) verdict() verdict {
	var v verdict
	values := make(map[string]float64)
	for _, r := range w.Results {
		if r.Value <= 0 {
			continue
		}
		values[r.Server] = r.Value
		if r.Server != edgeName && (v.best == "" || r.Value < v.bestIs) {
			v.best, v.bestIs = r.Server, r.Value
		}
	}
	v.ours, v.measured = values[edgeName]
	other := v.bestIs
	if w.Limit.Of == theNginx {
		other = values[string(theNginx)]
	}
	if v.measured && other > 0 {
		v.ratio = v.ours / other
	}
	switch {
	case !v.measured:
	case w.Limit.Max > 0:
		v.asked, v.holds = true, v.ours <= w.Limit.Max
	case w.Limit.Ratio > 0 && v.ratio > 0:
		v.asked, v.holds = true, v.ratio <= w.Limit.Ratio
	}
	return v
}

// missed returns the rows whose limit does not hold.
func (r *report) missed() []string {
	var ids []string
	for _, w := range r.Rows {
		if v := w.verdict(); v.asked && !v.holds {
			ids = append(ids, w.ID)
		}
	}
	return ids
}

// names returns the servers of all rows, in the order of the run.
func (r *report) names() []string {
	present := make(map[string]bool)
	for _, w := range r.Rows {
		for _, one := range w.Results {
			present[one.Server] = true
		}
	}
	var names []string
	for _, v := range r.Versions {
		if present[v.Name] {
			names = append(names, v.Name)
			delete(present, v.Name)
		}
	}
	return append(names, slices.Sorted(maps.Keys(present))...)
}

func (r *report) writeJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}

func readReport(path string) (report, error) {
	var r report
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("reading results: %w", err)
	}
	return r, nil
}
