package model_test

import (
	"slices"
	"strings"
)

// effective is the control that counts: the targeted one, if there is one (RFC 9213
// section 2.2).
func (r *message) effective() control {
	if r.targeted.present {
		return r.targeted
	}
	return r.cc
}

// verdict of the reference: what a cache may do, and what it has no ground to refuse.
type verdict struct{ may, must bool }

// heuristic says which statuses are cacheable by heuristics (RFC 9110 section 15.1; 206 and
// 300 do not occur here).
var heuristic = []int{200, 203, 204, 301, 308, 404, 405, 410, 414, 501}

func known(status int) bool { return status != 299 && status != 599 }

// born is what Date says, or else when the response came (RFC 9110 section 6.6.1).
func (r *message) born() int64 {
	if r.date.set {
		return r.date.n
	}
	return r.came
}

// currentAge is RFC 9111 section 4.2.3.
func (r *message) currentAge(now int64) int64 {
	var value int64
	if r.age.set && r.age.valid {
		value = r.age.n
	}
	apparent := max(0, r.came-r.born())
	return max(apparent, value+r.came-r.sent) + now - r.came
}

// explicit is RFC 9111 section 4.2.1: a lifetime, if the response has one. What is invalid
// is a lifetime of nothing.
func (r *message) explicit() (lifetime int64, ok bool) {
	c := r.effective()
	for _, n := range []number{c.sMaxAge, c.maxAge} {
		if n.set {
			if !n.valid {
				return 0, true
			}
			return n.n, true
		}
	}
	if r.expires.set && !r.targeted.present {
		if !r.expires.valid {
			return 0, true
		}
		return max(0, r.expires.n-r.born()), true
	}
	return 0, false
}

// lifetime returns the least and the greatest lifetime that the response can be given: they
// differ where a heuristic may be used (section 4.2.2).
func (r *message) lifetime() (least, most int64) {
	if n, ok := r.explicit(); ok {
		return n, n
	}
	if r.modified == 0 || !slices.Contains(heuristic, r.status) && !r.effective().public {
		return 0, 0
	}
	return 0, max(0, (r.born()-r.modified+9)/10) // a tenth; ages are whole seconds
}

// store is RFC 9111 section 3. obeys says that the directives of requests count. HEAD is
// for a cache that makes a GET of it, which brings the content.
func (r *message) store(a ask, now int64, obeys bool) verdict {
	c := r.effective()
	age := r.currentAge(now)
	_, explicit := r.explicit()
	least, _ := r.lifetime()
	switch {
	case a.method == "POST":
		return verdict{}
	case c.mustUnderstand && !known(r.status):
		return verdict{}
	case c.noStore && !c.mustUnderstand:
		return verdict{}
	case c.private:
		return verdict{}
	case obeys && a.noStore:
		return verdict{}
	case a.authorized && !c.public && !c.mustRevalidate && !c.sMaxAge.set: // section 3.5
		return verdict{}
	case !explicit && !c.public && !slices.Contains(heuristic, r.status):
		return verdict{}
	}
	must := least > age && !c.noStore && !c.noCache && !slices.Contains(r.vary, "*") && (c.sMaxAge.valid || !c.sMaxAge.set)
	return verdict{true, must}
}

// matches is RFC 9111 section 4.1.
func (r *message) matches(a ask) bool {
	for _, name := range r.vary {
		i := slices.Index(variedNames[:], name)
		if i < 0 || r.asked.fields[i] != a.fields[i] {
			return false // "*", or another value
		}
	}
	return true
}

// forbidsStale is RFC 9111 section 4.2.4, but for s-maxage.
func (c control) forbidsStale() bool { return c.noCache || c.mustRevalidate || c.proxyRevalidate }

// reuse is RFC 9111 sections 4, 4.2 and 5.2.1, RFC 5861 section 3 and RFC 8246: whether the
// stored response may answer without being validated.
func (r *message) reuse(a ask, now int64, obeys bool) verdict {
	if a.method != "GET" && a.method != "HEAD" || r.effective().noCache {
		return verdict{}
	}
	age := r.currentAge(now)
	least, most := r.lifetime()
	if most > age {
		return r.reuseFresh(a, age, least, most, obeys)
	}
	return verdict{may: r.reuseStale(a, age-most, age, obeys)}
}

func (r *message) reuseFresh(a ask, age, least, most int64, obeys bool) verdict {
	v := verdict{true, least > age && !a.authorized}
	if !obeys {
		return v
	}
	if a.noCache {
		return verdict{}
	}
	refused := a.maxAge.set && a.maxAge.valid && age > a.maxAge.n
	if a.minFresh.set && a.minFresh.valid {
		refused = refused || most-age < a.minFresh.n
		v.must = v.must && least-age >= a.minFresh.n
	}
	if refused { // an immutable one need not be validated for that, and max-stale may mean less strict
		v = verdict{may: r.effective().imm || a.maxStale.set}
	}
	return v
}

// reuseStale says whether it may be served late by so much.
func (r *message) reuseStale(a ask, late, age int64, obeys bool) bool {
	c := r.effective()
	if c.forbidsStale() {
		return false
	}
	tolerant := obeys && a.maxStale.set && a.maxStale.valid
	if obeys {
		unwilling := a.noCache || a.minFresh.set && a.minFresh.valid ||
			a.maxAge.set && a.maxAge.valid && (!tolerant || age > a.maxAge.n+a.maxStale.n)
		if unwilling {
			return false
		}
	}
	if tolerant && late <= a.maxStale.n && !c.sMaxAge.set {
		return true
	}
	return c.swr.set && c.swr.valid && late <= c.swr.n
}

// afterError is RFC 9111 section 4.2.4 and RFC 5861 section 4: whether the stored response
// may stand in for an origin that failed.
func (r *message) afterError(a ask, now int64, obeys, disconnected bool) verdict {
	c := r.effective()
	if c.forbidsStale() {
		return verdict{}
	}
	age := r.currentAge(now)
	least, most := r.lifetime()
	if c.sie.set && c.sie.valid && age-most <= c.sie.n {
		return verdict{true, age-least < c.sie.n}
	}
	if c.sMaxAge.set {
		return verdict{may: most > age}
	}
	if obeys && a.sie.set && a.sie.valid && age-most <= a.sie.n {
		return verdict{may: true}
	}
	return verdict{may: disconnected || most > age}
}

// notModified is RFC 9110 section 13.2 for a cache, and RFC 9111 section 4.3.2, which
// asks for it with a 200 and leaves it open for other successes.
func (r *message) notModified(a ask) verdict {
	if r.status < 200 || r.status > 299 {
		return verdict{}
	}
	holds := r.holds(a)
	return verdict{holds, holds && r.status == 200}
}

// holds says whether the client has this version already.
func (r *message) holds(a ask) bool {
	if a.ifNoneMatch == "*" {
		return true
	}
	if a.ifNoneMatch != "" {
		for tag := range strings.SplitSeq(a.ifNoneMatch, ", ") {
			if r.etag != "" && strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(r.etag, "W/") {
				return true
			}
		}
		return false
	}
	last := r.modified
	if last == 0 {
		last = r.born()
	}
	return a.modifiedSince != 0 && last <= a.modifiedSince
}

// refreshed is RFC 9111 section 3.2 and 4.3.4: what a 304 makes of it.
func (r *message) refreshed(by *message) message {
	n := *r
	n.sent, n.came, n.date, n.age = by.sent, by.came, by.date, by.age
	if by.cc.present {
		n.cc = by.cc
	}
	if by.targeted.present {
		n.targeted = by.targeted
	}
	if by.expires.set {
		n.expires = by.expires
	}
	return n
}
