package purge_test

import (
	"fmt"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/purge"
	"nearcast/internal/fsys"
)

func BenchmarkJudge(b *testing.B) {
	many := func(n int, ith func(i int) cdn.Purge) func(l *purge.Log) {
		return func(l *purge.Log) {
			for i := range n {
				apply(b, l, ith(i))
			}
		}
	}
	for _, bb := range []struct {
		name  string
		again bool // each time as if something had been purged since
		purge func(l *purge.Log)
	}{
		{"checked", false, many(10, func(int) cdn.Purge { return tag("other") })},
		{"other-site", true, many(1, func(int) cdn.Purge { return whole("blog") })},
		{"100k-urls", true, func(l *purge.Log) {
			for i := range 100 {
				var list []string
				for j := range 1000 {
					list = append(list, fmt.Sprint("http://a.example/", i, "/", j))
				}
				apply(b, l, urls(list...))
			}
		}},
		{"100-dirs", true, many(100, func(i int) cdn.Purge { return dir("a.example", fmt.Sprint("/", i, "/")) })},
		{"1000-regexps", true, many(1000, func(i int) cdn.Purge { return expr("", fmt.Sprint(`^/img/`, i, `/.*\.png$`)) })},
	} {
		b.Run(bb.name, func(b *testing.B) {
			l := open(b, purge.Config{}, shop())
			o := object(l, "shop", "http://a.example/some/page/of/the/shop.html?id=17", "product-17", "shoes")
			bb.purge(l)
			if v := l.Judge(o); v != purge.Good {
				b.Fatal(v)
			}
			b.ReportAllocs()
			for b.Loop() {
				if bb.again {
					o.Memo.Checked.Store(0)
				}
				if l.Judge(o) != purge.Good {
					b.Fatal("not good")
				}
			}
		})
	}
}

// BenchmarkApply is what it costs to accept a purge, whatever it covers.
func BenchmarkApply(b *testing.B) {
	for name, cfg := range map[string]purge.Config{
		"memory": {}, "without-disk": {Dir: "/state", FS: fsys.NewMem(fsys.MemConfig{Safe: true})}, "disk": {Dir: b.TempDir()},
	} {
		b.Run(name, func(b *testing.B) {
			l := open(b, cfg, shop())
			for i := 0; b.Loop(); i++ {
				apply(b, l, urls(fmt.Sprint("http://a.example/", i%100_000)))
			}
		})
	}
}

// TestJudgeAllocatesNothing: neither when nothing is new nor when everything is to be compared.
func TestJudgeAllocatesNothing(t *testing.T) {
	l := open(t, purge.Config{}, shop())
	o := object(l, "shop", "http://a.example/some/page?id=17", "a", "b")
	for _, p := range []cdn.Purge{urls("http://a.example/x"), dir("a.example", "/x/"), tag("x"), expr("", "nothing"), whole("blog")} {
		apply(t, l, p)
	}
	for name, before := range map[string]func(){"checked": func() {}, "compared": func() { o.Memo.Checked.Store(0) }} {
		if n := testing.AllocsPerRun(1000, func() {
			before()
			if l.Judge(o) != purge.Good {
				t.Fatal("not good")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	o.Memo = new(store.Memo)
	if n := testing.AllocsPerRun(1000, func() { l.Epoch() }); n != 0 {
		t.Errorf("Epoch: %v allocations", n)
	}
}
