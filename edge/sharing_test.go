package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/edge"
)

// metric returns the sum of a metric's values over its labels; -1 if there is none.
func metric(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		sum := 0.0
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		return sum
	}
	return -1
}

// TestWhoMayShare: visitors that wait for one key get one answer if it is for
// everybody, and each their own if it turns out to be personal.
func TestWhoMayShare(t *testing.T) {
	const visitors = 6
	for name, tt := range map[string]struct {
		response string // field of the response
		request  string // name of the field that tells the visitors apart
		first    bool   // the first visitor sends that field too
		shared   bool
	}{
		"public":           {"Cache-Control: max-age=60", "Cookie", true, true},
		"private":          {"Cache-Control: private, max-age=60", "Cookie", true, false},
		"nostore":          {"Cache-Control: no-store", "Cookie", true, false},
		"setcookie":        {"Set-Cookie: a=b", "Cookie", true, false},
		"vary":             {"Vary: Cookie", "Cookie", true, false},
		"varystar":         {"Vary: *", "Cookie", true, false},
		"authorization":    {"Cache-Control: max-age=60", "Authorization", true, false},
		"authorizedlater":  {"Cache-Control: max-age=60", "Authorization", false, false},
		"authorizedpublic": {"Cache-Control: public, max-age=60", "Authorization", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			arrived, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				once.Do(func() { close(arrived); <-release })
				w.Header().Set("Cache-Control", "max-age=60")
				field, value, _ := strings.Cut(tt.response, ": ")
				w.Header().Set(field, value)
				io.WriteString(w, "for "+req.Header.Get(tt.request))
			})
			registry := prometheus.NewRegistry()
			r.start(t, "ams-1", func(cfg *edge.Config) { cfg.Registry = registry })
			bodies := make([]string, visitors)
			var done sync.WaitGroup
			visit := func(i int) {
				var fields []string
				if i > 0 || tt.first {
					fields = []string{tt.request, fmt.Sprint("visitor=", i)}
				}
				done.Go(func() { bodies[i] = r.get(t, r.addr("ams-1"), "/a", fields...).body })
			}
			visit(0)
			<-arrived
			for i := 1; i < visitors; i++ {
				visit(i)
			}
			eventually(t, "all are waiting", func() bool { return metric(t, registry, "nearcast_edge_fill_readers") == visitors })
			close(release)
			done.Wait()
			for i := 1; i < visitors; i++ {
				want := fmt.Sprint("for visitor=", i)
				if tt.shared {
					want = bodies[0]
				}
				if bodies[i] != want {
					t.Errorf("visitor %d got %q, want %q", i, bodies[i], want)
				}
			}
			if n := r.origin.requests("/a"); tt.shared && n != 1 {
				t.Errorf("%d origin requests for a shared answer, want 1", n)
			}
		})
	}
}

// TestPersonalAnswersDoNotQueue: once a key is known to be personal, its visitors
// do not wait for each other.
func TestPersonalAnswersDoNotQueue(t *testing.T) {
	const visitors = 4
	arrived, release := make(chan struct{}, visitors), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Wait") != "" {
			arrived <- struct{}{}
			<-release
		}
		w.Header().Set("Cache-Control", "private")
	})
	_, addr := r.startAlone(t)
	r.get(t, addr, "/a")
	var done sync.WaitGroup
	for range visitors {
		done.Go(func() { r.get(t, addr, "/a", "X-Wait", "1") })
	}
	patience := time.After(10 * time.Second)
	for i := range visitors { // all are at the origin at the same time
		select {
		case <-arrived:
		case <-patience:
			t.Errorf("only %d of %d visitors are at the origin", i, visitors)
			close(release)
			done.Wait()
			return
		}
	}
	close(release)
	done.Wait()
}

// TestValidationThatMakesPrivate: a 304 may take back the permission to share.
func TestValidationThatMakesPrivate(t *testing.T) {
	for name, field := range map[string]string{
		"private":   "Cache-Control: private, max-age=60",
		"nostore":   "Cache-Control: no-store",
		"setcookie": "Set-Cookie: a=b",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Etag", `"1"`)
				if req.Header.Get("If-None-Match") != "" {
					field, value, _ := strings.Cut(field, ": ")
					w.Header().Set(field, value)
					w.WriteHeader(http.StatusNotModified)
					return
				}
				io.WriteString(w, "x")
			})
			r.start(t, "ams-1")
			r.get(t, r.addr("ams-1"), "/a")
			r.clock.advance(61 * time.Second)
			if a := r.get(t, r.addr("ams-1"), "/a"); a.word() != "REVALIDATED" || strings.Contains(a.status(), "stored") || a.body != "x" {
				t.Errorf("validation: %s %q, %s", a.word(), a.body, a.status())
			}
			if a := r.get(t, r.addr("ams-1"), "/a"); a.word() != "MISS" {
				t.Errorf("afterwards: %s, %s", a.word(), a.status())
			}
		})
	}
}
