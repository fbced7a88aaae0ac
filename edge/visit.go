package edge

import (
	"net/http"
	"net/textproto"
	"strings"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/rules"
	"nearcast/internal/web/lane"
	"nearcast/internal/web/tlscert"
)

// visit is what the lane keeps for a connection: memory to work in, and what it has found out about the host that was
// asked for last, which mostly is the next one too.
type visit struct {
	server  *Server
	tables  *tables      // of what follows
	certs   *tlscert.Set // likewise; nil without TLS
	host    string       // as it came
	name    cdn.Domain   // that, in normal form, if the site signs redirects; else empty
	scheme  string
	country string
	site    *cdn.Site
	domain  cdn.Domain
	rules   *rules.Table
	key     []byte
	late    func() http.Header // see lateFields

	// Of the request that is in the lane. The fields are put together only if something depends on them.
	request *lane.Request
	rule    *cdn.Route
	ready   bool // header has the fields
	accept  []string
	header  http.Header
	values  []string // what header's lines are made of

	accepted, normal string // an Accept-Encoding and its normal form
}

func (l hitLane) visit(p *lane.Peer) *visit {
	v, ok := p.Memo.(*visit)
	if !ok {
		v = &visit{server: l.Server, scheme: "http"}
		if p.TLS != nil {
			v.scheme = "https"
		}
		v.late = v.lateFields
		p.Memo = v
	}
	return v
}

// at reports whether the host is one that is served on the connection, by a site that is known then.
func (v *visit) at(t *tables, p *lane.Peer, host string) bool {
	var certs *tlscert.Set
	if p.TLS != nil && v.server.certificates != nil {
		certs = v.server.certificates.Set()
	}
	if v.tables == t && v.certs == certs && v.host == host {
		return true
	}
	v.tables = nil
	name, err := cdn.ParseHost(host)
	if err != nil {
		return false
	}
	site, domain, ok := t.routes.Match(name)
	if !ok || v.server.misdirected(t, p.TLS, name, site) {
		return false
	}
	v.site, v.domain, v.rules = site, cdn.Domain(strings.Clone(string(domain))), t.rules[site]
	v.country = t.country(p.Client)
	v.name = ""
	if site.Redirection.Signed {
		v.name = cdn.Domain(strings.Clone(string(name)))
	}
	v.tables, v.certs, v.host = t, certs, strings.Clone(host)
	return true
}

// What a visit may keep between two requests, on a connection that may wait for long.
const (
	maxKeptKey    = 1 << 10 // octets
	maxKeptFields = 64
	maxKeptAccept = 256 // octets
)

// tidy lets go of the request, whose strings may lie in a large buffer, and of what it has made grow.
func (v *visit) tidy() {
	if v.ready {
		clear(v.header)
		clear(v.values)
	}
	v.request, v.values, v.ready, v.accept = nil, v.values[:0], false, nil
	if cap(v.key) > maxKeptKey {
		v.key = nil
	}
	if cap(v.values) > maxKeptFields {
		v.header, v.values = nil, nil
	}
}

// fields returns the end-to-end fields of the request, as an exchange has them when it makes its plan. Its strings
// lie in the loop's memory.
func (v *visit) fields() http.Header {
	if v.ready {
		return v.header
	}
	if v.header == nil {
		v.header = make(http.Header)
	}
	v.ready = true
	for i := range v.request.Fields {
		f := &v.request.Fields[i]
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		if httpcache.HopByHop(name) {
			continue
		}
		lines := v.header[name]
		switch {
		case lines == nil:
			v.values = append(v.values, f.Value)
			v.header[name] = v.values[len(v.values)-1 : len(v.values) : len(v.values)]
		case name == "Cookie" && v.request.Major == 2: // a cookie may come in crumbs (RFC 9113 section 8.2.3)
			v.header[name] = []string{lines[0] + "; " + f.Value}
		default:
			v.header[name] = append(lines, f.Value)
		}
	}
	return v.header
}

// lateFields returns the fields as an exchange has them once its route is known.
func (v *visit) lateFields() http.Header {
	h := v.fields()
	if v.accept != nil {
		return h
	}
	v.accept = h["Accept-Encoding"]
	if v.accept == nil {
		v.accept = []string{}
	}
	_, codes := v.tables.codings[v.rule]
	switch {
	case codes:
		h["Accept-Encoding"] = []string{"identity"}
	case v.tables.standalone:
	default:
		delete(h, "Accept-Encoding")
		if normal := v.normalAccept(v.accept); normal != "" {
			h["Accept-Encoding"] = []string{normal}
		}
	}
	dropClaims(v.request.Method, h, v.rule)
	return h
}

// normalAccept is the function of that name, with a memory for the value that a visitor always sends.
func (v *visit) normalAccept(lines []string) string {
	if len(lines) != 1 || len(lines[0]) > maxKeptAccept {
		return normalAccept(lines)
	}
	if lines[0] != v.accepted {
		v.accepted, v.normal = strings.Clone(lines[0]), normalAccept(lines)
	}
	return v.normal
}
