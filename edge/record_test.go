package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

// accessLine is a line of the access log, as a reader of it would declare it.
type accessLine struct {
	Time                            time.Time
	Node, Site, Client, Method, URL string
	Protocol                        string
	Status                          int
	Bytes                           int64
	Duration                        *float64 `json:"duration_ms"`
	FirstByte                       *float64 `json:"ttfb_ms"`
	Cache, Upstream                 string
	UserAgent                       string `json:"user_agent"`
	Referer                         string
	Rejected                        string
}

// accessLog waits for n lines in a log.
func accessLog(t *testing.T, name string, n int) (lines []accessLine) {
	t.Helper()
	var text []byte
	eventually(t, "the lines are in the access log", func() bool {
		var err error
		if text, err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		return bytes.Count(text, []byte("\n")) >= n
	})
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	for {
		var l accessLine
		if err := dec.Decode(&l); err == io.EOF {
			return lines
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		lines = append(lines, l)
	}
}

func TestAccessLog(t *testing.T) {
	r := newRig(t, cacheable)
	name := filepath.Join(t.TempDir(), "access.ndjson")
	l1, _ := r.chain(t, func(cfg *edge.Config) { cfg.AccessLog = name })
	owner := func(path string) string { return l1.Explain(cdn.Question{Target: target(path)}).Next }
	addr := r.addr("fra-1")
	// One at a time, so that the order of the lines is known.
	r.get(t, addr, "/a?x=%7e<", "User-Agent", "tester", "Referer", "http://from.example/")
	accessLog(t, name, 1)
	r.get(t, addr, "/a?x=%7e<", "User-Agent", "tester")
	accessLog(t, name, 2)
	r.ask(t, http.MethodPost, addr, domain, "/b", "User-Agent", "tester")
	accessLog(t, name, 3)
	r.ask(t, http.MethodGet, addr, "nobody.example", "/c", "User-Agent", "tester")
	got := accessLog(t, name, 4)
	common := accessLine{Node: "fra-1", Site: "shop", Client: "127.0.0.1", Protocol: "HTTP/1.1", Method: "GET", Status: 200, UserAgent: "tester"}
	want := []accessLine{common, common, common, common}
	want[0].URL, want[0].Cache, want[0].Upstream, want[0].Bytes = "http://www.shop.example/a?x=~%3C", "MISS", owner("/a?x=~%3C"), 10
	want[0].Referer = "http://from.example/"
	want[1].URL, want[1].Cache, want[1].Upstream, want[1].Bytes = "http://www.shop.example/a?x=~%3C", "HIT", "none", 10
	want[2].URL, want[2].Cache, want[2].Upstream, want[2].Bytes, want[2].Method = "http://www.shop.example/b", "PASS", owner("/b"), 10, "POST"
	want[3] = accessLine{Node: "fra-1", Client: "127.0.0.1", Protocol: "HTTP/1.1", Method: "GET", Status: 404, Cache: "ERROR", Upstream: "none", UserAgent: "tester"}
	want[3].Bytes = int64(len("nearcast: no site is configured for domain nobody.example\n"))
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(accessLine{}, "Time", "Duration", "FirstByte")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, l := range got {
		if time.Since(l.Time).Abs() > time.Minute || l.Duration == nil || l.FirstByte == nil || *l.Duration < *l.FirstByte || *l.FirstByte < 0 {
			t.Errorf("%s: time %v, duration %v, to the first octet %v", l.URL, l.Time, l.Duration, l.FirstByte)
		}
	}
}

// TestAccessLogOfACutResponse: what a visitor did not get is not counted as sent.
func TestAccessLogOfACutResponse(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, strings.Repeat("x", 40))
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	name := filepath.Join(t.TempDir(), "access.ndjson")
	_, addr := r.startAlone(t, func(cfg *edge.Config) { cfg.AccessLog = name })
	raw(t, addr, "GET /a HTTP/1.1\r\nHost: "+domain+"\r\n\r\n")
	if l := accessLog(t, name, 1)[0]; l.Status != 200 || l.Bytes > 40 || l.Upstream != "origin" || l.Node != "nearcast" || l.Site != "standalone" {
		t.Errorf("%+v", l)
	}
}

// TestAccessLogThatCannotKeepUp: records are lost and counted; nobody waits.
func TestAccessLogThatCannotKeepUp(t *testing.T) {
	registry := prometheus.NewRegistry()
	name := filepath.Join(t.TempDir(), "access.ndjson")
	s, err := edge.New(edge.Config{Origin: broken{cdn.Unavailable}, AccessLog: name, Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodGet, "http://"+domain+"/", http.NoBody)
	sent, dropped := 0, 0
	for dropped < 3 { // nothing is written until Run
		s.ServeHTTP(httptest.NewRecorder(), req)
		if sent++; sent%256 != 0 {
			continue
		}
		dropped = int(metric(t, registry, "nearcast_edge_access_records_dropped_total"))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.Run(ended) // writes what is queued, whatever else it fails at
	if got := len(accessLog(t, name, sent-dropped)); got != sent-dropped {
		t.Errorf("%d records written, want %d", got, sent-dropped)
	}
}

// TestAccessLogAgrees: a hit has the same record whichever way it takes, and whatever is in its fields is one valid line.
func TestAccessLogAgrees(t *testing.T) {
	r := newRig(t, cacheable)
	name := filepath.Join(t.TempDir(), "access.ndjson")
	_, addr := r.startAlone(t, func(cfg *edge.Config) { cfg.AccessLog = name })
	fields := []string{
		"", "User-Agent: a\r\nUser-Agent: b\r\n", "User-Agent:\r\nUser-Agent: b\r\n", "Referer: a\r\nReferer: b\r\n", "User-Agent: \xff\xfe\"\\\t</script>\r\n",
		"Referer: \xe2\x80\xa8\xe2\x80\xa9 caf\xc3\xa9 \xc3\r\n", "user-agent: \"},{\"status\":200\r\n", "Range: bytes=0-0\r\n", "Referer: " + strings.Repeat("\"", 5000) + "\r\n",
	}
	paths := []string{"/a", "/a?%22\"\\<>{}|^`'", "/%7F%0A", "/a?x=%00"}
	n := 0
	for _, path := range paths {
		for _, f := range append(fields[:1:1], fields...) {
			for _, loop := range []string{"", "CDN-Loop: other\r\n"} {
				raw(t, addr, "GET "+path+" HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\n"+loop+f+"\r\n")
				n++
			}
		}
	}
	lines := accessLog(t, name, n)
	for i := 0; i < len(lines); i += 2 {
		if i%(2*len(fields)+2) == 0 {
			continue // it was a miss
		}
		if diff := cmp.Diff(lines[i+1], lines[i], cmpopts.IgnoreFields(accessLine{}, "Time", "Duration", "FirstByte")); diff != "" {
			t.Errorf("request %d: -general +lane:\n%s", i, diff)
		}
	}
}

// fullDisk takes so many octets, and more when it has been full once.
type fullDisk struct {
	bytes.Buffer

	room int
}

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.Buffer.Write(p[:n])
	if d.room = 1 << 20; n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// TestAccessLogAfterAFullDisk: the line that the disk had no room for is lost, and none of those after it.
func TestAccessLogAfterAFullDisk(t *testing.T) {
	const line = "{\"a\":1}\n"
	for _, room := range []int{0, 3, len(line), len(line) + 3} {
		disk := &fullDisk{room: room}
		registry := prometheus.NewRegistry()
		edge.WriteRecords(disk, registry, line+line, line+line)
		dropped := int(metric(t, registry, "nearcast_edge_access_records_dropped_total"))
		valid := 0
		for text := range strings.Lines(disk.String()) {
			if text == line {
				valid++
			}
		}
		if want := 2 + room/len(line); valid != want || dropped != 4-want {
			t.Errorf("room for %d: %d valid lines, %d lost, want %d and %d: %q", room, valid, dropped, want, 4-want, disk.String())
		}
	}
}
