package purge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/purge"
	"nearcast/internal/fsys"
)

// plain are rules under which each URL of a domain with a known site has a key of its own; the query counts
// unless bare.
type plain struct {
	sites map[cdn.Domain]cdn.SiteName
	loose purge.Loose
	bare  bool
}

func shop() *plain {
	return &plain{sites: map[cdn.Domain]cdn.SiteName{"a.example": "shop", "b.example": "shop", "c.example": "blog"}}
}

func (p *plain) Keys(t cdn.Target) []cdn.CacheKey {
	site, ok := p.sites[t.Domain]
	if !ok {
		return nil
	}
	if p.bare {
		t.Query, t.HasQuery = "", false
	}
	return []cdn.CacheKey{t.Key(site)}
}

func (p *plain) Site(d cdn.Domain) (cdn.SiteName, bool) {
	s, ok := p.sites[d]
	return s, ok
}

func (p *plain) Loose(cdn.SiteName) purge.Loose { return p.loose }

func open(t testing.TB, cfg purge.Config, rules purge.Rules) *purge.Log {
	t.Helper()
	l, err := purge.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if rules != nil {
		if err := l.Follow(rules); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func target(url string) cdn.Target {
	t, err := cdn.ParseTarget(url)
	if err != nil {
		panic(err)
	}
	return t
}

// object is what a fill of a URL that begins now brings.
func object(l *purge.Log, site cdn.SiteName, url string, tags ...string) *store.Object {
	t := target(url)
	o := &store.Object{Key: t.Key(site), Born: l.Epoch(), URL: string(t.Domain) + t.RequestURI(), Memo: new(store.Memo)}
	for _, tag := range tags {
		o.Tags = append(o.Tags, store.TagHash(tag))
	}
	return o
}

func apply(t testing.TB, l *purge.Log, p cdn.Purge) {
	t.Helper()
	p.At = time.Unix(1000, 0)
	if _, err := l.Apply(p); err != nil {
		t.Fatal(err)
	}
}

func urls(list ...string) cdn.Purge {
	var p cdn.Purge
	for _, u := range list {
		p.Targets = append(p.Targets, target(u))
	}
	return p
}

func scope(s cdn.Scope) cdn.Purge { return cdn.Purge{Scopes: []cdn.Scope{s}} }

func dir(domain cdn.Domain, path string) cdn.Purge {
	return scope(cdn.Scope{Kind: cdn.ScopeDir, Site: "shop", Domain: domain, Path: path})
}

func expr(domain cdn.Domain, text string) cdn.Purge {
	return scope(cdn.Scope{Kind: cdn.ScopeRegexp, Site: "shop", Domain: domain, Regexp: text})
}

func tag(name string) cdn.Purge { return scope(cdn.Scope{Kind: cdn.ScopeTag, Site: "shop", Tag: name}) }

func whole(site cdn.SiteName) cdn.Purge { return scope(cdn.Scope{Kind: cdn.ScopeSite, Site: site}) }

// scopes is what each kind of scope covers, of objects of site shop with the tags "x" and "y".
var scopes = []struct {
	name    string
	purge   cdn.Purge
	loose   purge.Loose
	covered []string
	others  []string
}{
	{
		"url", urls("http://a.example/p?q"),
		purge.Loose{},
		[]string{"http://a.example/p?q"},
		[]string{"https://a.example/p?q", "http://a.example/p", "http://a.example/P?q", "http://b.example/p?q", "http://a.example/p?q=1"},
	},
	{"several urls", urls("http://a.example/p", "https://b.example/"), purge.Loose{}, []string{"http://a.example/p", "https://b.example/"}, []string{"http://b.example/"}},
	{
		"directory", dir("a.example", "/img/"),
		purge.Loose{},
		[]string{"http://a.example/img/", "https://a.example/img/x/y.png?v=1", "http://a.example/img//"},
		[]string{"http://a.example/img", "http://a.example/images/x", "http://b.example/img/x", "http://a.example/x?/img/", "http://a.example/IMG/x", "http://a.example/x/img/y"},
	},
	{
		"directory with escapes and letters", dir("a.example", "/Img%2F/"),
		purge.Loose{},
		[]string{"http://a.example/Img%2f/x"},
		[]string{"http://a.example/img%2f/x", "http://a.example/Img//x"},
	},
	{"directory at the top", dir("a.example", "/"), purge.Loose{}, []string{"http://a.example/", "http://a.example/a/b"}, []string{"http://b.example/"}},
	{"directory, domains shared", dir("a.example", "/img/"), purge.Loose{Domain: true}, []string{"http://a.example/img/x", "http://b.example/img/x"}, []string{"http://b.example/x"}},
	{"directory, case ignored", dir("a.example", "/Img/"), purge.Loose{Case: true}, []string{"http://a.example/img/x", "http://a.example/IMG/x"}, []string{"http://b.example/img/x"}},
	{
		"regular expression", expr("", `^/img/.*\.png$`),
		purge.Loose{},
		[]string{"http://a.example/img/x.png", "https://b.example/img/a/b.png"},
		[]string{"http://a.example/img/x.PNG", "http://a.example/img/x.png?v=1", "http://a.example/x/img/x.png"},
	},
	{"regular expression somewhere", expr("", `v=[0-9]`), purge.Loose{}, []string{"http://a.example/?v=1"}, []string{"http://a.example/?v=", "http://a.example/v"}},
	{"regular expression of a domain", expr("a.example", `x`), purge.Loose{}, []string{"http://a.example/x"}, []string{"http://b.example/x"}},
	{
		"regular expression of a domain, domains shared", expr("a.example", `x`),
		purge.Loose{Domain: true},
		[]string{"http://a.example/x", "http://b.example/x"},
		[]string{"http://b.example/y"},
	},
	{"regular expression, case ignored", expr("", `^/a|b$`), purge.Loose{Case: true}, []string{"http://a.example/A", "http://a.example/xB"}, []string{"http://a.example/xa"}},
	{"tag", tag("x"), purge.Loose{}, []string{"http://a.example/", "http://b.example/any"}, nil},
	{"tag in other letters", tag("X"), purge.Loose{}, nil, []string{"http://a.example/"}},
	{"site", whole("shop"), purge.Loose{}, []string{"http://a.example/", "https://b.example/x?y"}, nil},
	{"other site", whole("sho"), purge.Loose{}, nil, []string{"http://a.example/"}},
	{"unknown kind", scope(cdn.Scope{Kind: "later", Site: "blog"}), purge.Loose{}, []string{"http://a.example/"}, nil},
	{"nothing", cdn.Purge{Revision: 5}, purge.Loose{}, nil, []string{"http://a.example/"}},
}

func TestScopes(t *testing.T) {
	for _, tt := range scopes {
		for _, soft := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, soft %v", tt.name, soft), func(t *testing.T) {
				rules := shop()
				rules.loose = tt.loose
				cfg := purge.Config{Dir: "/state", FS: fsys.NewMem(fsys.MemConfig{})}
				l := open(t, cfg, rules)
				before := map[string]*store.Object{}
				for _, u := range append(tt.covered, tt.others...) {
					before[u] = object(l, "shop", u, "x", "y")
				}
				other := object(l, "blog", "http://c.example/x", "x")
				p := tt.purge
				p.Soft = soft
				apply(t, l, p)
				want := purge.Gone
				if soft && tt.name != "unknown kind" {
					want = purge.Stale
				}
				check := func(when string) {
					t.Helper()
					for _, u := range tt.covered {
						for range 2 { // the second finds what the first has worked out
							if v := l.Judge(before[u]); v != want {
								t.Errorf("%s: %s is %s, want %s", when, u, v, want)
							}
						}
						if v := l.Judge(object(l, "shop", u, "x")); v != purge.Good {
							t.Errorf("%s: %s, born afterwards, is %s", when, u, v)
						}
					}
					for _, u := range tt.others {
						for range 2 {
							if v := l.Judge(before[u]); v != purge.Good {
								t.Errorf("%s: %s is %s, want good", when, u, v)
							}
						}
					}
					if v := l.Judge(other); v != purge.Good && tt.name != "unknown kind" {
						t.Errorf("%s: another site's object is %s", when, v)
					}
				}
				check("at once")
				apply(t, l, urls("http://a.example/unrelated"))
				check("after another purge")
				l.Close()
				l = open(t, cfg, rules)
				check("after a restart")
			})
		}
	}
}

// TestKeyAndURL: what was asked for as one domain's is found by the domain of its key as well.
func TestKeyAndURL(t *testing.T) {
	l := open(t, purge.Config{}, shop())
	o := &store.Object{Key: "shop http://a.example/img/x", URL: "b.example/img/x", Born: l.Epoch()}
	for _, domain := range []cdn.Domain{"a.example", "b.example"} {
		o.Born = l.Epoch()
		apply(t, l, dir(domain, "/img/"))
		if v := l.Judge(o); v != purge.Gone {
			t.Errorf("purged by %s: %s", domain, v)
		}
	}
}

func TestOrder(t *testing.T) {
	soft := func(p cdn.Purge) cdn.Purge {
		p.Soft = true
		return p
	}
	page := urls("http://a.example/")
	for _, tt := range []struct {
		name   string
		purges []cdn.Purge
		want   purge.Verdict
	}{
		{"soft, then hard", []cdn.Purge{soft(page), page}, purge.Gone},
		{"hard, then soft", []cdn.Purge{page, soft(page)}, purge.Gone},
		{"soft, then soft of the site", []cdn.Purge{soft(page), soft(whole("shop"))}, purge.Stale},
		{"soft of the site, then of nothing of it", []cdn.Purge{soft(whole("shop")), whole("blog")}, purge.Stale},
		{"soft of a directory, then hard of a tag", []cdn.Purge{soft(dir("a.example", "/")), tag("x")}, purge.Gone},
		{"others only", []cdn.Purge{tag("z"), dir("a.example", "/z/"), whole("blog")}, purge.Good},
	} {
		for _, judged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, judged between %v", tt.name, judged), func(t *testing.T) {
				l := open(t, purge.Config{}, shop())
				o := object(l, "shop", "http://a.example/", "x")
				for _, p := range tt.purges {
					if judged {
						l.Judge(o)
					}
					apply(t, l, p)
				}
				if v := l.Judge(o); v != tt.want {
					t.Errorf("%s, want %s", v, tt.want)
				}
			})
		}
	}
}

func TestEverything(t *testing.T) {
	path := t.TempDir()
	l := open(t, purge.Config{Dir: path}, shop())
	o, slice := object(l, "shop", "http://a.example/"), &store.Object{Key: store.SliceKey(3, 1), Born: l.Epoch()}
	if _, err := l.ApplyAll(9); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if v := l.Judge(o); v != purge.Gone {
			t.Errorf("%s, want gone", v)
		}
		if v := l.Judge(slice); v != purge.Good {
			t.Errorf("a slice, which is found through its head only, is %s", v)
		}
		if l.Applied() != 9 {
			t.Errorf("revision %d", l.Applied())
		}
		l.Close()
		l = open(t, purge.Config{Dir: path}, shop())
	}
}

func TestInvalidate(t *testing.T) {
	path := t.TempDir()
	l := open(t, purge.Config{Dir: path}, shop())
	o, other := object(l, "shop", "http://a.example/"), object(l, "shop", "http://a.example/x")
	if _, err := l.Invalidate(o.Key); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if v, w := l.Judge(o), l.Judge(other); v != purge.Gone || w != purge.Good {
			t.Errorf("%s and %s, want gone and good", v, w)
		}
		l = open(t, purge.Config{Dir: path}, shop()) // without Close
	}
}

// TestNewRules: what was purged as a URL holds under the keys of later configurations, for what was born before.
func TestNewRules(t *testing.T) {
	path := t.TempDir()
	l := open(t, purge.Config{Dir: path}, shop())
	bare := object(l, "shop", "http://a.example/p") // stored under rules without query
	apply(t, l, urls("http://a.example/p?q", "http://d.example/"))
	if v := l.Judge(bare); v != purge.Good {
		t.Fatalf("before: %s", v)
	}
	later := object(l, "shop", "http://a.example/p")
	unknown := object(l, "new", "http://d.example/")
	unknown.Born = bare.Born
	l.Judge(unknown)
	for _, again := range []bool{false, true} {
		if again {
			l.Close()
			l = open(t, purge.Config{Dir: path}, nil)
		}
		rules := shop()
		rules.bare, rules.sites["d.example"] = true, "new"
		if err := l.Follow(rules); err != nil {
			t.Fatal(err)
		}
		if v, w, u := l.Judge(bare), l.Judge(later), l.Judge(unknown); v != purge.Gone || w != purge.Good || u != purge.Gone {
			t.Errorf("restarted %v: %s, born afterwards %s, of a domain that came later %s", again, v, w, u)
		}
	}
	// The same for what keys leave out.
	l = open(t, purge.Config{}, shop())
	o := object(l, "shop", "http://b.example/img/x")
	apply(t, l, dir("a.example", "/IMG/"))
	apply(t, l, expr("c.example", "^/IMG/y"))
	if v := l.Judge(o); v != purge.Good {
		t.Fatalf("before: %s", v)
	}
	loose := shop()
	loose.loose = purge.Loose{Domain: true, Case: true}
	if err := l.Follow(loose); err != nil {
		t.Fatal(err)
	}
	if v := l.Judge(o); v != purge.Gone {
		t.Errorf("%s, want gone: both URLs have one key now", v)
	}
}

func TestMemoryOnly(t *testing.T) {
	a, b := open(t, purge.Config{}, shop()), open(t, purge.Config{}, shop())
	o := object(a, "shop", "http://a.example/")
	if v := a.Judge(o); v != purge.Good {
		t.Errorf("in its own log: %s", v)
	}
	o.Memo = nil
	if v := b.Judge(o); v != purge.Gone {
		t.Errorf("in the next process's: %s, want gone", v)
	}
}

func TestLook(t *testing.T) {
	l := open(t, purge.Config{}, shop())
	o := object(l, "shop", "http://a.example/")
	if got := l.Look(o); got != o {
		t.Error("a good object is not handed out as it is")
	}
	p := urls("http://a.example/")
	p.Soft = true
	apply(t, l, p)
	got := l.Look(o)
	if got == nil || got == o || !got.Softened.Equal(time.Unix(1000, 0)) || !o.Softened.IsZero() || got.Memo != o.Memo {
		t.Errorf("a stale one: %+v", got)
	}
	apply(t, l, urls("http://a.example/"))
	if got := l.Look(o); got != nil {
		t.Errorf("a gone one: %+v", got)
	}
}

// TestHold: until it is known what was purged meanwhile, what an earlier process has stored is held back, and only that.
func TestHold(t *testing.T) {
	path := t.TempDir()
	l := open(t, purge.Config{Dir: path}, shop())
	old := object(l, "shop", "http://a.example/")
	apply(t, l, urls("http://a.example/x"))
	late := object(l, "shop", "http://a.example/")
	l.Close()
	l = open(t, purge.Config{Dir: path}, shop())
	l.Hold()
	fresh := object(l, "shop", "http://a.example/")
	for _, o := range []*store.Object{old, late} {
		if l.Look(o) != nil || l.Judge(o) != purge.Good {
			t.Errorf("born at %d: handed out, or judged", o.Born)
		}
	}
	if l.Look(fresh) != fresh {
		t.Error("what this process has stored is held back")
	}
	l.Release()
	for _, o := range []*store.Object{old, late, fresh} {
		if l.Look(o) != o {
			t.Errorf("born at %d: still held back", o.Born)
		}
	}
}

func TestBounds(t *testing.T) {
	path := t.TempDir()
	cfg := purge.Config{Dir: path, Entries: 64, Regexps: 4}
	l := open(t, cfg, shop())
	var before []*store.Object // of each, one that was born right before its purge
	for i := range 200 {
		u := fmt.Sprint("http://a.example/", i)
		before = append(before, object(l, "shop", u))
		apply(t, l, urls(u))
	}
	fresh := object(l, "shop", "http://a.example/7")
	other := object(l, "blog", "http://c.example/0")
	other.Born = before[0].Born
	check := func(when string) {
		t.Helper()
		for i, o := range before {
			o.Memo = new(store.Memo)
			if v := l.Judge(o); v != purge.Gone {
				t.Errorf("%s: object %d is %s", when, i, v)
			}
		}
		if v, w := l.Judge(fresh), l.Judge(other); v != purge.Good || w != purge.Good {
			t.Errorf("%s: a later object is %s, another site's is %s", when, v, w)
		}
		if s := l.Stats(); s.Entries > cfg.Entries {
			t.Errorf("%s: %d entries, at most %d are allowed", when, s.Entries, cfg.Entries)
		}
	}
	check("at once")
	if s := l.Stats(); s.Folded == 0 || s.Applied["url"] != 200 {
		t.Errorf("%+v", s)
	}
	l.Close()
	l = open(t, cfg, shop())
	check("after a restart")
	o := object(l, "shop", "http://a.example/x")
	for i := range 6 {
		apply(t, l, expr("", fmt.Sprint("no match ", i)))
	}
	if v := l.Judge(o); v != purge.Gone {
		t.Errorf("%s, want gone: the first regular expression has been folded", v)
	}
}

func TestSwept(t *testing.T) {
	path := t.TempDir()
	l := open(t, purge.Config{Dir: path}, shop())
	born := l.Begin()
	late := object(l, "shop", "http://a.example/")
	apply(t, l, urls("http://a.example/"))
	apply(t, l, dir("a.example", "/"))
	apply(t, l, tag("x"))
	apply(t, l, expr("", "x"))
	apply(t, l, whole("blog"))
	l.Swept(l.Epoch())
	if v := l.Judge(late); v != purge.Gone || l.Stats().Entries != 4 {
		t.Errorf("with a fill from before under way: %s, %d entries", v, l.Stats().Entries)
	}
	l.End(born)
	kept := l.Epoch()
	o := object(l, "shop", "http://a.example/")
	apply(t, l, urls("http://a.example/"))
	l.Swept(kept)
	if n := l.Stats().Entries; n != 1 {
		t.Errorf("%d entries are left, want 1", n)
	}
	if v := l.Judge(o); v != purge.Gone {
		t.Errorf("purged since: %s", v)
	}
	l.Swept(l.Epoch() + 1000)
	if v := l.Judge(object(l, "shop", "http://a.example/")); v != purge.Good || l.Stats().Entries != 0 {
		t.Errorf("%s, %d entries", v, l.Stats().Entries)
	}
}

// TestCompaction: the log does not grow with purges of the same things, and loses none.
func TestCompaction(t *testing.T) {
	path := t.TempDir()
	l := open(t, purge.Config{Dir: path}, shop())
	o, site := object(l, "shop", "http://a.example/7"), object(l, "blog", "http://c.example/")
	apply(t, l, whole("blog"))
	for i := range 300 {
		var list []string
		for j := range 100 {
			list = append(list, fmt.Sprint("http://a.example/", j))
		}
		p := urls(list...)
		p.Revision, p.Soft = cdn.Revision(i+1), i < 299
		apply(t, l, p)
	}
	if s := l.Stats(); s.JournalBytes > 1<<20 || s.Entries > 201 {
		t.Errorf("%d octets, %d entries", s.JournalBytes, s.Entries)
	}
	l.Close()
	l = open(t, purge.Config{Dir: path}, shop())
	if v, w := l.Judge(o), l.Judge(site); v != purge.Gone || w != purge.Gone || l.Applied() != 300 {
		t.Errorf("%s, %s, revision %d", v, w, l.Applied())
	}
}

func TestClosed(t *testing.T) {
	l := open(t, purge.Config{Dir: t.TempDir()}, shop())
	l.Close()
	if _, err := l.Apply(urls("http://a.example/")); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("error %v", err)
	}
}
