package edge

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unsafe"

	"nearcast/cdn"
	"nearcast/edge/coding"
	"nearcast/edge/httpcache"
	"nearcast/edge/rules"
	"nearcast/edge/store"
	"nearcast/internal/heapsize"
	"nearcast/internal/web/grammar"
	"nearcast/internal/web/lane"
)

// view is from where visitors look at an object: the routes that rule their requests and its response.
type view struct {
	tables          *tables
	asked, answered *cdn.Route
	// Their indexes. With them and the tables' number a face knows for whom it is and holds no old configuration.
	askedIndex, answeredIndex int
}

// face is how a stored object, or a variant of it, looks to visitors with the same view: what of its head is the
// same for all of them, in the wire forms. It is worked out when the first of them asks, and is immutable.
type face struct {
	tables                    uint64 // number of the view's
	askedIndex, answeredIndex int
	base                      *httpcache.Response // that the object has, or is a variant of

	response               *httpcache.Response // with the header that conditions and ranges are about
	whole, part, unchanged *lane.Block         // nil if visitors need the general way

	browserTTL time.Duration // what Cache-Control says besides the age; zero if it is the origin's
	undated    bool          // it has no Date
	byOrigin   bool          // visitors with an Origin get other fields

	policy *coding.Policy // the route codes contents like this one; nil if not
	coded  coding.Coding  // the coding that the content came with, if it is one that the node can take off
}

// faceOf returns the face of an object.
func (s *Server) faceOf(o *store.Object, v view) *face {
	if f, ok := o.Memo.Load().(*face); ok && f.fits(v, o.Response) {
		return f
	}
	r := o.Response
	f := &face{tables: v.tables.number, askedIndex: v.askedIndex, answeredIndex: v.answeredIndex, base: r, response: r}
	header := maps.Clone(r.Header)
	if policy, ok := v.tables.codings[v.asked]; ok && f.mayCode(&policy, o) && f.coded == "" {
		header = coding.HeadIdentity(r.Header)
	}
	f.draw(s, v, header)
	o.Remember(f, f.size())
	return f
}

func (f *face) fits(v view, base *httpcache.Response) bool {
	return f.tables == v.tables.number && f.askedIndex == v.askedIndex && f.answeredIndex == v.answeredIndex && f.base == base
}

// size is the memory of the face in bytes, without what the object has anyway.
func (f *face) size() int64 {
	n := heapsize.Pointers(int(unsafe.Sizeof(*f)))
	for _, b := range [...]*lane.Block{f.whole, f.part, f.unchanged} {
		if b != nil {
			n += b.Size()
		}
	}
	return n
}

// mayCode finds out whether a policy is about the object; see exchange.variantOf.
func (f *face) mayCode(policy *coding.Policy, o *store.Object) bool {
	r := o.Response
	own := r.Header["Content-Encoding"]
	switch {
	case coding.NoTransform(r.Header):
		return false
	case len(own) == 1 && r.Status == http.StatusOK:
		c, known := coding.Parse(own[0])
		if !known || c == coding.Identity {
			return false
		}
		f.coded = c
	case !policy.Eligible(r.Status, r.Header, o.Body.Len()):
		return false
	}
	f.policy = policy
	return true
}

// codedFace returns the face of what has been made of an object by a coding.
func (s *Server) codedFace(made, o *store.Object, v view, c coding.Coding) *face {
	if f, ok := made.Memo.Load().(*face); ok && f.fits(v, o.Response) {
		return f
	}
	header := coding.Head(o.Response.Header, c)
	f := &face{
		tables: v.tables.number, askedIndex: v.askedIndex, answeredIndex: v.answeredIndex,
		base: o.Response, response: as(o.Response, header),
	}
	f.draw(s, v, maps.Clone(header))
	made.Remember(f, f.size()+f.response.Size())
	return f
}

// draw makes the blocks out of a header, which it changes.
func (f *face) draw(s *Server, v view, h http.Header) {
	status := f.response.Status
	delete(h, "Content-Length")
	delete(h, "Age")
	if !v.tables.standalone {
		dropTags(h)
	}
	appendMember(h, "Via", "1.1 "+s.name)
	h["X-Cache"] = []string{wordHit}
	_, dated := h["Date"]
	f.undated = !dated
	if rules.SaysBrowserTTL(v.answered, status, h) {
		f.browserTTL = v.answered.BrowserTTL.Std()
		rules.BrowserTTL(v.answered, status, h)
		if f.browserTTL > 0 {
			delete(h, "Cache-Control")
		}
	}
	if touches(&v.answered.ResponseHeaders, f.browserTTL > 0) {
		return
	}
	rules.ResponseHeader(v.answered, h)
	if cors := v.asked.CORS; cors != nil {
		f.byOrigin = cors.Credentials || len(cors.Origins) != 1 || cors.Origins[0] != "*"
		_, fields := rules.CORS(v.asked, nil, http.MethodGet)
		rules.SetCORS(h, fields)
	}
	f.whole = lane.NewBlock(status, fieldsOf(h))
	f.part = lane.NewBlock(http.StatusPartialContent, fieldsOf(h))
	for _, name := range [...]string{"Content-Type", "Content-Encoding", "Content-Range", "Content-Language"} {
		h.Del(name) // as in exchange.begin
	}
	f.unchanged = lane.NewBlock(http.StatusNotModified, fieldsOf(h))
}

// touches reports whether a rule changes what the lane writes itself.
func touches(rule *cdn.HeaderRule, cacheControl bool) bool {
	own := func(name string) bool {
		switch name {
		case "Age", "Cache-Status", "Date", "Content-Range", "Content-Length":
			return true
		}
		return cacheControl && name == "Cache-Control"
	}
	for name := range rule.Set {
		if own(name) {
			return true
		}
	}
	for name := range rule.Add {
		if own(name) {
			return true
		}
	}
	return slices.ContainsFunc(rule.Delete, own)
}

// fieldsOf returns the lines of a header in the order of their names, without those that a server writes itself or
// that cannot be sent.
func fieldsOf(h http.Header) []lane.Field {
	var fields []lane.Field
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if httpcache.HopByHop(name) || name == "Content-Length" || !grammar.IsToken(name) {
			continue
		}
		for _, value := range h[name] {
			if grammar.IsFieldValue(value) {
				fields = append(fields, lane.Field{Name: name, Value: strings.Trim(value, " \t")})
			}
		}
	}
	return fields
}
