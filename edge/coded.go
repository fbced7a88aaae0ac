package edge

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"

	"nearcast/cdn"
	"nearcast/edge/coding"
	"nearcast/edge/fill"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// codingPolicy compiles what a route says of content codings.
func codingPolicy(c *cdn.Compress) coding.Policy {
	if c == nil {
		return coding.Policy{}
	}
	p := coding.Policy{MinSize: int64(c.Threshold()), Types: c.Types}
	for _, name := range c.CodingList() {
		if known, ok := coding.Parse(name); ok {
			p.Codings = append(p.Codings, known)
		}
	}
	if len(p.Types) == 0 {
		p.Types = coding.DefaultTypes()
	}
	return p
}

// variant is what a visitor gets of a content that the node may code.
type variant struct {
	coding  coding.Coding
	encode  bool        // the coding is to be applied
	decode  bool        // the coding is to be taken off
	header  http.Header // of the variant
	applies bool        // the route is about such responses
}

// variantOf chooses what the visitor gets. Another node gets what is stored, and chooses for its own visitors.
func (x *exchange) variantOf(o *store.Object) variant {
	policy, ok := x.tables.codings[x.plan.Rule]
	r := o.Response
	if !ok || x.hop.node != "" || o.Doubtful || x.untouchable(r) {
		return variant{}
	}
	if own := r.Header["Content-Encoding"]; len(own) == 1 && r.Status == http.StatusOK {
		c, known := coding.Parse(own[0])
		if known && c != coding.Identity && !coding.Acceptable(x.accept, c) && x.wantsWhole() {
			return variant{coding: c, decode: true, applies: true, header: decodedHeader(r.Header)}
		}
		return variant{}
	}
	if !policy.Eligible(r.Status, r.Header, o.Length) {
		return variant{}
	}
	c := coding.Negotiate(x.accept, policy.Codings)
	return variant{coding: c, encode: c != coding.Identity, applies: true, header: coding.Head(r.Header, c)}
}

// untouchable reports whether the origin or the visitor forbids to change the coding (RFC 9110 section 7.7).
func (x *exchange) untouchable(r *httpcache.Response) bool {
	return coding.NoTransform(r.Header) || httpcache.ParseRequestDirectives(x.header).NoTransform
}

// decodedHeader is the header of a response whose coding is taken off because the visitor cannot.
func decodedHeader(h http.Header) http.Header {
	plain := coding.HeadIdentity(h)
	for _, name := range [...]string{"Content-Encoding", "Content-Length", "Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		delete(plain, name)
	}
	return plain
}

// as returns a response with the header of a variant.
func as(r *httpcache.Response, header http.Header) *httpcache.Response {
	variant := *r
	variant.Header = header
	return &variant
}

// sendVariant answers with a variant of a content if the site wants one, and reports whether it has. src has the
// content itself; shared says that it is for everybody.
func (x *exchange) sendVariant(src *source, v variant, shared bool, word string, c cacheStatus) bool {
	if !v.encode && !v.decode {
		return false
	}
	o := src.object
	coded := &store.Object{ID: o.ID, Response: as(o.Response, v.header), Length: -1}
	key := store.CodedKey(o.ID, string(v.coding))
	made := x.made(v, key)
	if made != nil {
		coded.Body, coded.Length = made.Body, made.Length
	}
	if made != nil || x.method == http.MethodHead || x.selects(coded).status == http.StatusNotModified {
		x.sendFrom(x.from(coded), v.header, o.Response, word, c)
		return true
	}
	if !x.wantsWhole() {
		return false // of what is not made yet the parts are not known: the content itself has them
	}
	maker := &fetchOfVariant{s: x.s, variant: v, key: key, store: shared && v.encode}
	ask := fill.Ask[*head]{Span: fill.Whole(), Shared: maker.store, Client: shareOf(x.client)}
	if maker.store {
		ask.Accept = func(*head) (int64, bool) { return 0, true }
	}
	reader, _, err := x.s.fills.Join(key, ask, func() fill.Run[*head] {
		if o, _ := x.s.store.Get(store.Lookup{Key: key, Quick: true}); o != nil && maker.store {
			return nil // it has just been made
		}
		maker.source = src.fork(x.s.closing)
		return maker.run
	})
	switch {
	case err != nil:
		x.sendRefused(err)
		return true
	case reader == nil:
		return x.sendVariant(src, v, shared, word, c)
	}
	defer reader.Close()
	answer := x.from(coded)
	answer.reader = reader
	x.sendFrom(answer, v.header, o.Response, word, c)
	return true
}

// made returns a variant that is stored, or nil.
func (x *exchange) made(v variant, key cdn.CacheKey) *store.Object {
	if !v.encode {
		return nil
	}
	o, _ := x.s.store.Get(store.Lookup{Key: key})
	return o
}

// sendFrom sends a variant; r is the response that it is of.
func (x *exchange) sendFrom(src *source, header http.Header, r *httpcache.Response, word string, c cacheStatus) {
	h := maps.Clone(header)
	x.sayAge(h, r, &c)
	x.stamp(h, word, c)
	sel := x.selects(src.object)
	if x.begin(src, sel, h) {
		x.send(src, sel)
	}
}

// fetchOfVariant makes a variant of a content, once for all who want it.
type fetchOfVariant struct {
	s       *Server
	source  *source
	variant variant
	key     cdn.CacheKey
	store   bool
}

func (m *fetchOfVariant) run(ctx context.Context, f *fill.Fill[*head]) {
	defer m.s.finish(f)
	m.source.ctx = ctx
	defer m.source.close()
	coded, err := m.reader()
	if err != nil {
		f.Fail(&head{err: err, shared: true})
		return
	}
	defer coded.Close() //nolint:errcheck // it gives a coder back
	if !m.store {
		f.Unkeep()
	}
	f.Announce(&head{object: m.source.object, status: http.StatusOK, length: -1, storing: m.store, shared: m.store}, m.store)
	f.ReadFrom(ctx, counting{coded, m.s}, -1, func() {}, func(body store.Body) {
		made := &store.Object{ID: m.source.object.ID, Key: m.key, Response: sliceHead, Body: body, Length: body.Len()}
		f.Commit(func() {
			if !m.s.store.Put(made, nil) {
				m.s.metrics.refused.Inc()
			}
		})
	})
}

func (m *fetchOfVariant) reader() (io.ReadCloser, error) {
	whole := &wholeReader{source: m.source}
	if m.variant.decode {
		return coding.NewDecoder(whole, m.variant.coding, coding.Limits{})
	}
	m.s.metrics.coded.Inc()
	return coding.NewReader(whole, m.variant.coding)
}

// counting counts what is refused of a body that decodes to far more than it should.
type counting struct {
	io.Reader
	s *Server
}

// Read implements [io.Reader].
func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, coding.ErrBomb) {
		c.s.metrics.bombs.Inc()
	}
	return n, err
}
