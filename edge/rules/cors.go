package rules

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearcast/cdn"
)

// announcedMethod returns the method that a CORS preflight asks about (Fetch Standard section
// 3.2.2), or "" if the request is none.
func announcedMethod(method string, h http.Header) string {
	if method != http.MethodOptions || len(h["Origin"]) == 0 || len(h["Access-Control-Request-Method"]) == 0 {
		return ""
	}
	return h["Access-Control-Request-Method"][0]
}

// CORS returns the fields that a route adds for scripts of other origins to the response to a
// request with the fields req; [SetCORS] puts them in. If preflight is true the request is a question of
// the browser, and the fields with status 204 are all of the answer. Without a
// rule both are zero.
func CORS(rule *cdn.Route, req http.Header, method string) (preflight bool, fields http.Header) {
	c := rule.CORS
	if c == nil {
		return false, nil
	}
	announced := announcedMethod(method, req)
	fields = http.Header{}
	origin := ""
	if lines := req["Origin"]; len(lines) == 1 {
		origin = lines[0]
	}
	everybody := !c.Credentials && len(c.Origins) == 1 && c.Origins[0] == "*"
	if !everybody {
		fields["Vary"] = []string{"Origin"} // also without an Origin: the next request may have one
	}
	switch {
	case everybody:
		fields["Access-Control-Allow-Origin"] = []string{"*"}
	case allowsOrigin(c.Origins, origin):
		fields["Access-Control-Allow-Origin"] = []string{origin}
		if c.Credentials {
			fields["Access-Control-Allow-Credentials"] = []string{"true"}
		}
	default:
		return announced != "", fields // the browser keeps the response from the script
	}
	if announced != "" {
		preflightFields(c, fields)
		return true, fields
	}
	setList(fields, "Access-Control-Expose-Headers", c.Expose)
	return false, fields
}

func preflightFields(c *cdn.CORS, fields http.Header) {
	setList(fields, "Access-Control-Allow-Methods", c.Methods)
	setList(fields, "Access-Control-Allow-Headers", c.Headers)
	if c.MaxAge > 0 {
		fields["Access-Control-Max-Age"] = []string{strconv.FormatInt(int64(c.MaxAge.Std()/time.Second), 10)}
	}
}

func setList(h http.Header, name string, members []string) {
	if len(members) > 0 {
		h[name] = []string{strings.Join(members, ", ")}
	}
}

// SetCORS puts the fields of [CORS] into a response in place of the origin's.
func SetCORS(h, fields http.Header) {
	if fields == nil {
		return
	}
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			delete(h, name)
		}
	}
	for name, lines := range fields {
		if name == "Vary" {
			lines = append(slices.Clip(h[name]), lines...)
		}
		h[name] = lines
	}
}

func allowsOrigin(allowed []string, origin string) bool {
	if origin == "" {
		return false
	}
	for _, a := range allowed {
		if a == origin {
			return true
		}
		scheme, domain, wild := strings.Cut(a, "://*.")
		if wild && isSubdomain(origin, scheme, domain) {
			return true
		}
	}
	return false
}

// isSubdomain reports whether an origin is of the scheme and has one or more labels before
// the domain, which may end in a port.
func isSubdomain(origin, scheme, domain string) bool {
	host, ok := strings.CutPrefix(origin, scheme+"://")
	if !ok {
		return false
	}
	labels, ok := strings.CutSuffix(host, "."+domain)
	if !ok || labels == "" {
		return false
	}
	for i := range len(labels) {
		c := labels[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}
