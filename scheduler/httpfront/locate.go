package httpfront

import (
	"fmt"
	"net/http"
	"strconv"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
)

// reuse is for how long a visitor may go to the same node without asking again,
// in seconds; as long as a DNS answer of this scheduler.
const reuse = 20

// siteName finds what a host is, as the site's own domain or as a name of the zone.
func siteName(v *view.View, host cdn.Domain) view.Name {
	if v.Serves(host) {
		return v.Name(host)
	}
	if part, ok := host.Within(v.Zone); ok {
		return v.Name(part)
	}
	return view.Name{}
}

// serves is Config.Serves by the view's names.
func serves(v *view.View, host cdn.Domain) bool {
	kind := siteName(v, host).Kind
	return kind == view.Steered || kind == view.Direct
}

// locate is Config.Redirect for nodes that are all redirected to.
func locate(v *view.View, r *Request) Outcome {
	name := siteName(v, r.Host)
	switch {
	case name.Kind == view.Direct: // the node's address leads here: redirecting again would never end
		return Outcome{Status: http.StatusLoopDetected, Problem: fmt.Sprintf("%q is a node's own name, but it leads to a scheduler", r.Host)}
	case name.Kind != view.Steered:
		return Outcome{Status: http.StatusNotFound, Problem: fmt.Sprintf("the domain %q is not configured on this CDN", r.Host)}
	}
	target, err := cdn.NewTarget("http", name.Domain, r.Target)
	if err != nil {
		return Outcome{Status: http.StatusBadRequest, Problem: err.Error()}
	}
	d := decide.Answer(v, decide.Query{Domain: name.Domain, Client: r.Client, Now: r.Now})
	if len(d.Nodes) == 0 {
		return Outcome{Status: http.StatusServiceUnavailable, Problem: "this CDN has no edge node"}
	}
	target.Domain = cdn.Domain(d.Nodes[0].Name).Under(name.Domain.Under(v.Zone))
	location := target.Scheme + "://" + string(target.Domain) + portSuffix(v.Port) + target.RequestURI()
	return Outcome{Status: redirectStatus(r.Method), Location: location, MaxAge: reuse}
}

// redirectStatus keeps the method: clients may turn a POST into a GET on 302 (RFC 9110 section 15.4.3).
func redirectStatus(method string) int {
	if method == http.MethodGet || method == http.MethodHead {
		return http.StatusFound
	}
	return http.StatusTemporaryRedirect
}

func portSuffix(port uint16) string {
	if port == 80 {
		return ""
	}
	return ":" + strconv.Itoa(int(port))
}
