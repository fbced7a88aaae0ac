package edge_test

import (
	"fmt"
	"net/http"
	"sort"
	"strings"
	"testing"

	"nearcast/cdn"
)

// claimNames are fields by which frameworks, servers and other CDNs let themselves be told another host, path, method,
// scheme, port or address than those of the request; they are what searches for cache poisoning try.
func claimNames() []string {
	return strings.Fields(`
Forwarded Forwarded-For Forwarded-For-Ip Forwarded-Host Forwarded-Proto Forwarded-Server
X-Forwarded X-Forwarded-By X-Forwarded-For X-Forwarded-For-Original X-Forwarded-Host X-Forwarded-Path X-Forwarded-Port
X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Protocol X-Forwarded-Scheme X-Forwarded-Server X-Forwarded-Ssl X-Forwarded-Uri
X-Forwarder-For X-Forward-For X-Forward-Host X-Forward-Proto
X-Original-Url X-Original-Uri X-Original-Host X-Original-Method X-Original-Remote-Addr X-Originally-Forwarded-For X-Originating-Ip X-Originating-Url
X-Rewrite-Url X-Rewrite-Uri X-Http-Host-Override X-Http-Destinationurl X-Http-Path-Override X-Http-Method-Override X-Http-Method X-Method-Override
X-Host X-Host-Override X-Host-Name X-Server-Name X-Backend X-Backend-Host X-Backend-Server X-Proxy-Url X-Proxy-Host X-Proxyuser-Ip
X-Real-Ip X-Remote-Addr X-Remote-Ip X-Client-Ip X-Cluster-Client-Ip X-Azure-Clientip X-Azure-Socketip X-Appengine-Remote-Addr X-Appengine-User-Ip
X-Path-Info X-Path-Prefix X-Base-Url X-Url X-Uri X-Url-Scheme X-Scheme X-Https X-Ssl X-Port X-Protocol X-Request-Uri
X-Amz-Website-Redirect-Location X-Amz-Cf-Id X-Wap-Profile X-Wap-Client-Ip X-Ms-Proxy
Cf-Connecting-Ip Cf-Ipcountry Cf-Visitor Fastly-Client-Ip Fastly-Ssl Fastly-Host Akamai-Origin-Hop X-Akamai-Edgescape Cloudfront-Viewer-Country Cloudfront-Forwarded-Proto
True-Client-Ip Client-Ip Front-End-Https Wl-Proxy-Client-Ip Wl-Proxy-Ssl Proxy-Host Proxy-Url Proxy-Request-Fulluri Proxy-Connection
Base-Url Http-Url Http-Host Request-Uri Real-Ip Redirect Remote-Addr Remote-Host Uri Url
Nearcast-Hop Nearcast-Error Nearcast-Device Nearcast-Country
`)
}

// frameworkNames are the same for one framework, server or proxy: Java's and PHP's names of addresses, Envoy, IIS, WSGI's
// mount point, Rack's file sending (X-Accel-Mapping names folders) and Next.js's own routing.
func frameworkNames() []string {
	return strings.Fields(`
Proxy-Client-Ip Http-Client-Ip Http-X-Forwarded-For Cluster-Client-Ip X-True-Client-Ip X-True-Ip X-Source-Ip X-Custom-Ip-Authorization
X-Envoy-Original-Path X-Envoy-Original-Host X-Envoy-External-Address X-Arr-Ssl X-Script-Name Script-Name
X-Accel-Mapping X-Sendfile-Type X-Invoke-Path X-Invoke-Query X-Matched-Path X-Now-Route-Matches X-Middleware-Subrequest X-Middleware-Rewrite
`)
}

// mirroring is an origin whose content is what the request says beside its target.
func mirroring(w http.ResponseWriter, req *http.Request) {
	var lines []string
	for name, values := range req.Header {
		lines = append(lines, fmt.Sprintf("%s: %q", name, values))
	}
	sort.Strings(lines)
	w.Header().Set("Cache-Control", "max-age=60")
	fmt.Fprintf(w, "%s %s of %s\n%s", req.Method, req.RequestURI, req.Host, strings.Join(lines, "\n"))
}

// poisonous returns which of the fields reach the origin with a request whose answer others get.
func poisonous(t *testing.T, r *rig, node string, names []string) (passed []string) {
	t.Helper()
	for _, name := range names {
		first := r.get(t, r.addr(node), "/"+name, name, "evil.example")
		if first.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name, first.Status)
		}
		again := r.get(t, r.addr(node), "/"+name)
		if strings.Contains(first.body, "evil") || strings.Contains(again.body, "evil") {
			passed = append(passed, name)
		} else if again.word() != "HIT" || again.body != first.body {
			t.Errorf("%s: the next visitor got %s", name, again.status())
		}
	}
	return passed
}

// TestClaimsReachNoOrigin: what one visitor claims about its request is in no answer that another one gets.
func TestClaimsReachNoOrigin(t *testing.T) {
	for _, node := range []string{"ams-1", "fra-1"} {
		r := newRig(t, mirroring)
		r.chain(t)
		if passed := poisonous(t, r, node, claimNames()); len(passed) > 0 {
			t.Errorf("at %s: %s", node, strings.Join(passed, " "))
		}
	}
}

// TestClaimsOfFrameworksReachNoOrigin is the same for fields that only some origins believe.
func TestClaimsOfFrameworksReachNoOrigin(t *testing.T) {
	r := newRig(t, mirroring)
	r.start(t, "ams-1")
	if passed := poisonous(t, r, "ams-1", frameworkNames()); len(passed) > 0 {
		t.Errorf("%s", strings.Join(passed, " "))
	}
}

// TestAllClaimsAtOnce: in any letter case, with the "_" that some servers take for "-", several times, and with the methods that the cache answers.
func TestAllClaimsAtOnce(t *testing.T) {
	r := newRig(t, mirroring)
	r.chain(t)
	var fields strings.Builder
	for _, name := range []string{"X-Forwarded-Host", "X-Original-URL", "X-HTTP-Method-Override", "Forwarded", "X-Forwarded-Scheme", "X-Real-IP", "Nearcast-Country"} {
		for _, form := range []string{name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_")} {
			fmt.Fprintf(&fields, "%s: evil.example\r\n", form)
		}
	}
	for _, method := range []string{"HEAD", "GET"} {
		got := raw(t, r.addr("fra-1"), method+" /a HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\n"+fields.String()+"\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 200 OK") || strings.Contains(got, "evil") {
			t.Errorf("%s:\n%s", method, got)
		}
	}
	// The answer says where the visitor really is.
	if a := r.get(t, r.addr("fra-1"), "/a"); a.word() != "HIT" || !strings.Contains(a.body, `X-Forwarded-For: ["127.0.0.1"]`) || !strings.Contains(a.body, `X-Forwarded-Proto: ["http"]`) {
		t.Errorf("%s %q", a.word(), a.body)
	}
}

// TestClaimInTheKey: a route that has such a field in its key wants it, and every value has an answer of its own.
func TestClaimInTheKey(t *testing.T) {
	r := newRig(t, mirroring, cdn.Route{CacheKey: cdn.KeyRule{Headers: []string{"X-Forwarded-Host", "X-Original-Url"}}})
	r.chain(t)
	for _, tt := range []struct{ host, url, word string }{
		{"a.example", "/1", "MISS"},
		{"b.example", "/1", "MISS"},
		{"a.example", "/1", "HIT"},
		{"a.example", "/2", "MISS"},
		{"b.example", "/1", "HIT"},
	} {
		a := r.get(t, r.addr("fra-1"), "/a", "X-Forwarded-Host", tt.host, "X-Original-Url", tt.url, "X-Forwarded-Server", "evil.example")
		if a.word() != tt.word || strings.Contains(a.body, "evil") ||
			!strings.Contains(a.body, fmt.Sprintf("X-Forwarded-Host: [%q]", tt.host)) || !strings.Contains(a.body, fmt.Sprintf("X-Original-Url: [%q]", tt.url)) {
			t.Errorf("%s %s: %s, want %s\n%s", tt.host, tt.url, a.word(), tt.word, a.body)
		}
	}
}

// TestClaimOfAMethod: where no answer is stored the other method may be meant.
func TestClaimOfAMethod(t *testing.T) {
	r := newRig(t, mirroring)
	r.chain(t)
	for _, name := range []string{"X-Http-Method-Override", "X-Method-Override"} {
		if a := r.ask(t, http.MethodPost, r.addr("fra-1"), domain, "/b", name, "DELETE"); !strings.Contains(a.body, name+`: ["DELETE"]`) {
			t.Errorf("a POST lost its %s:\n%s", name, a.body)
		}
	}
}

// TestClaimOfAMethodIsNotStored: to the origin a POST that claims another method is no POST, and what it says then is
// no answer to a GET, whatever Content-Location says.
func TestClaimOfAMethodIsNotStored(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Location", "/a")
		mirroring(w, req)
	})
	r.start(t, "ams-1")
	for _, name := range []string{"X-Http-Method-Override", "X-Method-Override"} {
		r.ask(t, http.MethodPost, r.addr("ams-1"), domain, "/a", name, "evil")
		if a := r.get(t, r.addr("ams-1"), "/a"); strings.Contains(a.body, "evil") {
			t.Errorf("%s: %s\n%s", name, a.status(), a.body)
		}
	}
}

// TestOrdinaryFieldsPass: what is no claim goes where it should.
func TestOrdinaryFieldsPass(t *testing.T) {
	r := newRig(t, mirroring)
	r.chain(t)
	for _, name := range []string{
		"Accept", "Accept-Language", "Cookie", "Origin", "Referer", "User-Agent", "Dnt", "Save-Data", "X-Requested-With", "X-Api-Key", "X-Csrf-Token",
		"X-Request-Id", "Sec-Fetch-Mode", "Traceparent", "If-Match", "X-Amz-Date", "X-Own",
	} {
		if a := r.get(t, r.addr("fra-1"), "/"+name, name, "wanted"); !strings.Contains(a.body, name+`: ["wanted"]`) {
			t.Errorf("%s is gone:\n%s", name, a.body)
		}
	}
}

// TestOptions: one about the server as a whole is answered here (RFC 9110 section 9.3.7), and so is one that must not
// go further (section 7.6.2); on the way the number of further nodes is counted down.
func TestOptions(t *testing.T) {
	r := newRig(t, mirroring)
	r.chain(t)
	for name, tt := range map[string]struct {
		node, request, fields string
		want                  string // in the answer
		reaches               bool   // the origin
	}{
		"star":            {"fra-1", "OPTIONS *", "", "HTTP/1.1 204 ", false},
		"star and 3":      {"fra-1", "OPTIONS *", "Max-Forwards: 3\r\n", "HTTP/1.1 204 ", false},
		"zero":            {"fra-1", "OPTIONS /a", "Max-Forwards: 0\r\n", "HTTP/1.1 204 ", false},
		"one of two":      {"fra-1", "OPTIONS /a", "Max-Forwards: 1\r\n", "HTTP/1.1 204 ", false},
		"one of one":      {"ams-1", "OPTIONS /a", "Max-Forwards: 1\r\n", `Max-Forwards: ["0"]`, true},
		"two of two":      {"fra-1", "OPTIONS /a", "Max-Forwards: 2\r\n", `Max-Forwards: ["0"]`, true},
		"many":            {"fra-1", "OPTIONS /a", "Max-Forwards: 10\r\n", `Max-Forwards: ["8"]`, true},
		"without":         {"fra-1", "OPTIONS /a", "", "OPTIONS /a of " + domain, true},
		"no number":       {"fra-1", "OPTIONS /a", "Max-Forwards: -1\r\n", "OPTIONS /a of " + domain, true},
		"of a GET":        {"fra-1", "GET /a", "Max-Forwards: 0\r\n", "GET /a of " + domain, true},
		"TRACE, zero":     {"fra-1", "TRACE /a", "Max-Forwards: 0\r\n", "HTTP/1.1 405 ", false},
		"of nobody's":     {"fra-1", "OPTIONS *", "Max-Forwards: 0\r\nX-Other: 1\r\n", "HTTP/1.1 204 ", false},
		"several numbers": {"fra-1", "OPTIONS /a", "Max-Forwards: 5, 6\r\n", "OPTIONS /a of " + domain, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.origin.all()
			got := raw(t, r.addr(tt.node), tt.request+" HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\n"+tt.fields+"\r\n")
			if !strings.Contains(got, tt.want) || (r.origin.all() > before) != tt.reaches {
				t.Errorf("the origin saw %d requests, answer:\n%s", r.origin.all()-before, got)
			}
			if strings.HasPrefix(got, "HTTP/1.1 204 ") && (!strings.Contains(got, "\r\nAllow: GET, HEAD") || !strings.HasSuffix(got, "\r\n\r\n")) {
				t.Errorf("no Allow, or a body:\n%s", got)
			}
		})
	}
}
