package purge

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"nearcast/cdn"
	"nearcast/edge/store"
)

// comparison is one object's with the table.
type comparison struct {
	object   *store.Object
	since    store.Epoch // only what was purged later counts
	checked  store.Epoch // up to which it has been compared already; zero if it has not
	softened int64       // when a soft purge covered it; zero if none has
}

// by compares with one thing that covers the object, and reports whether it is gone.
func (c *comparison) by(m *marks) bool {
	if m.hard > c.since {
		return true
	}
	if m.soft > c.since {
		c.softened = max(c.softened, m.at, 1)
	}
	return false
}

// gone compares an object with everything, and reports whether it is gone.
func (t *table) gone(c *comparison) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if c.checked != 0 && c.checked >= t.recheck {
		c.since = max(c.since, c.checked)
	} else {
		c.softened = 0
	}
	if t.all > c.since {
		return true
	}
	name, keyed, _ := strings.Cut(string(c.object.Key), " ")
	s := t.sites[cdn.SiteName(name)]
	if s == nil || s.newest <= c.since {
		return false
	}
	if c.by(&s.whole) {
		return true
	}
	if m, ok := s.keys[xxhash.Sum64String(string(c.object.Key))]; ok && c.by(&m) {
		return true
	}
	return c.byTags(s) || c.byURLs(s, keyed)
}

func (c *comparison) byTags(s *site) bool {
	if len(s.tags) == 0 {
		return false
	}
	for _, tag := range c.object.Tags {
		if m, ok := s.tags[tag]; ok && c.by(&m) {
			return true
		}
	}
	return false
}

// byURLs compares with directories and regular expressions: for the URL that was asked for, and the one in the key, which may
// be of another domain or in other letter case.
func (c *comparison) byURLs(s *site, keyed string) bool {
	if len(s.dirs) == 0 && len(s.regexps) == 0 {
		return false
	}
	if _, url, ok := strings.Cut(keyed, "://"); ok && url != c.object.URL && c.byURL(s, url) {
		return true
	}
	return c.object.URL != "" && c.byURL(s, c.object.URL)
}

func (c *comparison) byURL(s *site, url string) bool {
	slash := strings.IndexByte(url, '/')
	if slash < 0 {
		return false
	}
	domain, uri := cdn.Domain(url[:slash]), url[slash:]
	return c.byDirectories(s, domain, uri) || c.byRegexps(s, domain, uri)
}

func (c *comparison) byDirectories(s *site, domain cdn.Domain, uri string) bool {
	if len(s.dirs) == 0 {
		return false
	}
	path, _, _ := strings.Cut(uri, "?")
	lower := strings.ToLower(path)
	for i := range len(lower) {
		if lower[i] != '/' {
			continue
		}
		for _, d := range s.dirs[lower[:i+1]] {
			if (d.domain == domain || s.loose.Domain) && (s.loose.Case || strings.HasPrefix(path, d.path)) && c.by(&d.marks) {
				return true
			}
		}
	}
	return false
}

func (c *comparison) byRegexps(s *site, domain cdn.Domain, uri string) bool {
	for _, e := range slices.Backward(s.regexps) {
		if e.newest() <= c.since {
			return false // all before it are older
		}
		if (e.domain == "" || e.domain == domain || s.loose.Domain) && e.matches(uri) && c.by(&e.marks) {
			return true
		}
	}
	return false
}

func (e *expression) matches(uri string) bool {
	switch {
	case e.re == nil:
		return true
	case e.anyway != nil:
		return e.anyway.MatchString(uri)
	}
	return e.re.MatchString(uri)
}

// The bits of an epoch: an era, which is another one with each log, and a number within it.
const eraShift = 40

// sameEra reports whether two epochs are of one log, so that one of them is the later.
func sameEra(a, b store.Epoch) bool { return a>>eraShift == b>>eraShift }

// Ordinal is how many purges an epoch stands behind in its log, those included that only renewed it.
func Ordinal(e store.Epoch) uint64 { return uint64(e) & (1<<eraShift - 1) }
