package purge

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"nearcast/cdn"
	"nearcast/edge/store"
)

// marks are when something was purged last, hard and softly; zero for never.
type marks struct {
	hard, soft store.Epoch
	at         int64 // of soft
}

func (m *marks) add(epoch store.Epoch, soft bool, at int64) {
	switch {
	case !soft:
		m.hard = max(m.hard, epoch)
	case epoch > m.soft:
		m.soft, m.at = epoch, at
	}
}

func (m *marks) fold(other marks) {
	m.hard = max(m.hard, other.hard)
	m.add(other.soft, true, other.at)
}

func (m *marks) newest() store.Epoch { return max(m.hard, m.soft) }

// table is what has been purged, by what covers an object.
type table struct {
	maxRegexps int

	mu      sync.RWMutex // guards the following
	all     store.Epoch
	sites   map[cdn.SiteName]*site
	domains map[cdn.Domain]*marks // see scopeDomain
	recheck store.Epoch           // what was found out about an object before it counts no more
	entries int                   // of all sites, but for whole
	folded  uint64
}

// site is what has been purged of a site.
type site struct {
	newest  store.Epoch
	loose   Loose
	whole   marks
	keys    map[uint64]marks // by hash of the cache key
	tags    map[uint64]marks // by hash of the tag
	dirs    map[string][]*directory
	regexps []*expression // the one that was purged last, last
}

// directory is in site.dirs under its path in lower case.
type directory struct {
	marks
	domain cdn.Domain
	path   string
}

// expression is a regular expression.
type expression struct {
	marks
	domain cdn.Domain     // empty: every one
	text   string         // as it was given
	re     *regexp.Regexp // nil: it matches everything
	anyway *regexp.Regexp // in any letter case; nil where that is not wanted
}

func (t *table) init(maxRegexps int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.maxRegexps = maxRegexps
	t.clearLocked()
}

func (t *table) clearLocked() {
	t.sites, t.domains, t.entries = make(map[cdn.SiteName]*site), make(map[cdn.Domain]*marks), 0
}

// add puts a record into force.
func (t *table) add(r *record, rules Rules) {
	keys := keysOf(r, rules) // before the lock: judges wait for it
	t.mu.Lock()
	defer t.mu.Unlock()
	switch r.kind {
	case kindAll:
		t.all = max(t.all, r.epoch)
		t.clearLocked() // all of it is older
	case kindKey:
		t.addKeysLocked(r, []cdn.CacheKey{r.key}, rules)
	case kindPurge:
		t.addKeysLocked(r, keys, rules)
		for i := range r.scopes {
			t.addScopeLocked(r, &r.scopes[i], rules)
		}
	default: // the others purge nothing
	}
}

// addTargets is add for the targets of a record that is in force already.
func (t *table) addTargets(r *record, rules Rules) {
	keys := keysOf(r, rules)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addKeysLocked(r, keys, rules)
}

func keysOf(r *record, rules Rules) (keys []cdn.CacheKey) {
	if rules == nil {
		return nil // they are added when there are some
	}
	for i := range r.targets {
		keys = append(keys, rules.Keys(r.targets[i])...)
	}
	return keys
}

func (t *table) addKeysLocked(r *record, keys []cdn.CacheKey, rules Rules) {
	if r.epoch < t.all {
		return
	}
	for _, key := range keys {
		name, _, _ := strings.Cut(string(key), " ")
		s := t.siteLocked(cdn.SiteName(name), r.epoch, rules)
		if r.epoch < s.whole.hard {
			continue
		}
		t.mark(s.keys, xxhash.Sum64String(string(key)), r)
	}
}

// mark adds to a map of marks.
func (t *table) mark(in map[uint64]marks, hash uint64, r *record) {
	m, ok := in[hash]
	if !ok {
		t.entries++
	}
	m.add(r.epoch, r.soft, r.at)
	in[hash] = m
}

// siteLocked returns a site of which something is purged.
func (t *table) siteLocked(name cdn.SiteName, epoch store.Epoch, rules Rules) *site {
	s := t.sites[name]
	if s == nil {
		s = &site{keys: make(map[uint64]marks), tags: make(map[uint64]marks), dirs: make(map[string][]*directory)}
		if rules != nil {
			s.loose = rules.Loose(name)
		}
		t.sites[name] = s
	}
	s.newest = max(s.newest, epoch)
	return s
}

func (t *table) addScopeLocked(r *record, scope *cdn.Scope, rules Rules) {
	if scope.Kind == scopeDomain {
		t.addDomainLocked(r, scope.Domain, rules)
		return
	}
	s := t.siteLocked(scope.Site, r.epoch, rules)
	if r.epoch < s.whole.hard {
		return
	}
	switch scope.Kind {
	case cdn.ScopeSite:
		s.whole.add(r.epoch, r.soft, r.at)
		if !r.soft {
			t.entries -= s.clear() // all of it is older
		}
	case cdn.ScopeTag:
		t.mark(s.tags, store.TagHash(scope.Tag), r)
	case cdn.ScopeDir:
		d, fresh := s.directory(scope.Domain, scope.Path)
		t.entries += fresh
		d.add(r.epoch, r.soft, r.at)
	case cdn.ScopeRegexp:
		e, fresh := s.expression(scope.Domain, scope.Regexp)
		t.entries += fresh
		e.add(r.epoch, r.soft, r.at)
		t.boundRegexpsLocked(s)
	default: // of a later version: it could be anything
		t.all = max(t.all, r.epoch)
	}
}

func (t *table) addDomainLocked(r *record, domain cdn.Domain, rules Rules) {
	m := t.domains[domain]
	if m == nil {
		m = new(marks)
		t.domains[domain] = m
	}
	m.add(r.epoch, r.soft, r.at)
	if rules == nil {
		return
	}
	if name, ok := rules.Site(domain); ok {
		t.siteLocked(name, r.epoch, rules).whole.fold(*m)
	}
}

// clear empties the site but for its whole, and returns how many entries that were.
func (s *site) clear() (entries int) {
	entries = len(s.keys) + len(s.tags) + len(s.regexps)
	for _, list := range s.dirs {
		entries += len(list)
	}
	clear(s.keys)
	clear(s.tags)
	clear(s.dirs)
	s.regexps = nil
	return entries
}

// directory finds or adds a directory; added is 1 if it had to.
func (s *site) directory(domain cdn.Domain, path string) (d *directory, added int) {
	lower := strings.ToLower(path)
	for _, d := range s.dirs[lower] {
		if d.domain == domain && d.path == path {
			return d, 0
		}
	}
	d = &directory{domain: domain, path: path}
	s.dirs[lower] = append(s.dirs[lower], d)
	return d, 1
}

// expression finds or adds a regular expression and puts it last.
func (s *site) expression(domain cdn.Domain, text string) (e *expression, added int) {
	i := slices.IndexFunc(s.regexps, func(e *expression) bool { return e.domain == domain && e.text == text })
	if i >= 0 {
		e = s.regexps[i]
		s.regexps = append(slices.Delete(s.regexps, i, i+1), e)
		return e, 0
	}
	e = &expression{domain: domain, text: text}
	e.re, _ = regexp.Compile(text) // one that cannot be understood matches everything
	e.loosen(s.loose)
	s.regexps = append(s.regexps, e)
	return e, 1
}

func (e *expression) loosen(l Loose) {
	if e.anyway = nil; l.Case && e.re != nil {
		if e.anyway, _ = regexp.Compile("(?i)" + e.text); e.anyway == nil { // see expression
			e.re = nil
		}
	}
}

// boundRegexpsLocked folds the regular expression that was purged longest ago if there are too many.
func (t *table) boundRegexpsLocked(s *site) {
	for len(s.regexps) > t.maxRegexps {
		s.whole.fold(s.regexps[0].marks)
		s.regexps = slices.Delete(s.regexps, 0, 1)
		t.entries--
		t.folded++
	}
}

// loosen takes over what the rules say of sites and domains.
func (t *table) loosen(rules Rules) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for domain, m := range t.domains {
		if name, ok := rules.Site(domain); ok {
			t.siteLocked(name, m.newest(), rules).whole.fold(*m)
		}
	}
	for name, s := range t.sites {
		s.loose = rules.Loose(name)
		for _, e := range s.regexps {
			e.loosen(s.loose)
		}
	}
}

func (t *table) recheckAt(epoch store.Epoch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recheck = epoch
}
