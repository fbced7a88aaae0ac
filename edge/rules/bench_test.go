package rules_test

import (
	"fmt"
	"testing"

	"nearcast/cdn"
)

// plain is a site with prefixes and endings only, as most are.
func plain() []cdn.Route {
	var routes []cdn.Route
	for i := range 10 {
		routes = append(routes, cdn.Route{Match: cdn.Match{PathPrefix: fmt.Sprintf("/static/%d/", i), Extensions: []string{".js", ".css"}}, TTL: 1})
	}
	return append(routes, cdn.Route{TTL: 1})
}

// Finding the route takes no memory, and the plan takes its key.
func TestAllocations(t *testing.T) {
	tab := table(t, plain()...)
	r := get(t, "/static/9/a.css?v=1")
	if n := testing.AllocsPerRun(100, func() { tab.Route(r) }); n != 0 {
		t.Errorf("a route takes %v allocations, want none", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = tab.Request(r).Key }); n > 1 {
		t.Errorf("a plan takes %v allocations, want one", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = tab.Response(r, 200) }); n != 0 {
		t.Errorf("a response takes %v allocations, want none", n)
	}
}

func BenchmarkRoute(b *testing.B) {
	tab := table(b, plain()...)
	r := get(b, "/img/a.jpg?v=1")
	b.ReportAllocs()
	for b.Loop() {
		if tab.Route(r) != 10 {
			b.Fatal("another route")
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	tab := table(b, plain()...)
	r := get(b, "/img/a.jpg?v=1")
	b.ReportAllocs()
	for b.Loop() {
		if p := tab.Request(r); p.Route != 10 {
			b.Fatal("another route")
		}
	}
}

func BenchmarkGlob(b *testing.B) {
	tab := table(b, cdn.Route{Match: cdn.Match{PathGlob: "/img/**/thumb-*.jpg"}})
	r := get(b, "/img/2026/11/a/long/way/down/thumb-1234567890.jpg")
	b.ReportAllocs()
	for b.Loop() {
		if tab.Route(r) != 0 {
			b.Fatal("no match")
		}
	}
}
