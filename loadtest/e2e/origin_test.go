package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"nearcast/loadtest/labtest"
)

// countingOrigin is a customer's web server that counts what reaches it.
type countingOrigin struct {
	*httptest.Server

	mu    sync.Mutex // guards count
	count map[string]int
}

func newOrigin(t *testing.T, handler http.HandlerFunc) *countingOrigin {
	o := &countingOrigin{count: map[string]int{}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.count[r.URL.Path]++
		o.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *countingOrigin) requests(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count[path]
}

// addDomain adds a site with one CLI line and waits until every node serves it.
func addDomain(t *testing.T, lab *labtest.Lab, domain, origin string) {
	t.Helper()
	lab.Run(t, "domain", "add", domain, "--origin", origin)
}
