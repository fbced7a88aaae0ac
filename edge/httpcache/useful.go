package httpcache

import "time"

// FreshUntil returns when the response becomes too old by its own words even for stale-while-revalidate and
// stale-if-error, and whether it may be validated afterwards. A policy may stretch that. said is false if the origin
// gave no lifetime.
func (r *Response) FreshUntil() (t time.Time, validator, said bool) {
	useful := r.lifetime - r.initial + max(r.directives.StaleWhileRevalidate.Value, r.directives.StaleIfError.Value)
	return r.ResponseTime.Add(max(0, useful)), r.hasValidator(), r.saysLifetime()
}

// Supersedes reports whether a request that selected r would select old too, as far as the two heads can tell: all that
// old varies by is in r with the same values.
func (r *Response) Supersedes(old *Response) bool {
	i := 0
	for _, f := range old.vary {
		for i < len(r.vary) && r.vary[i].name < f.name {
			i++
		}
		if i == len(r.vary) || r.vary[i].name != f.name || r.vary[i].value != f.value {
			return false
		}
	}
	return true
}
