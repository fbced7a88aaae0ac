package redirect

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/internal/signedurl"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
	"nearcast/scheduler/zone"
)

const (
	// maxRounds is how often a visitor is sent to a node that sends them back. The first time may be due to a key or a configuration that has
	// just changed.
	maxRounds = 2
)

// Request is what is asked.
type Request struct {
	// Method is the request's.
	Method string
	// Host is the Host field, in any form.
	Host string
	// Target is path and query as they came. It may be anything else in a request that makes no sense, as "*".
	Target string
	// Client is the visitor's address; the zero value means that nothing is known.
	Client netip.Addr
	// Secure says that the request came over TLS.
	Secure bool
	// Origin is the value of the Origin field: of which page the script is that asks. Empty if there is none, or more than one.
	Origin string
	// Preflight says that a browser asks what such a script may do (Fetch Standard, CORS-preflight request). It takes no redirect for an answer.
	Preflight bool
	// Now is the time.
	Now time.Time
}

// Outcome is what to do. If Problem is not empty it is the answer's text, with Status. Else if Relay is not nil the request is relayed; and else
// it is answered with Status and Location.
type Outcome struct {
	// Status is the answer's.
	Status int
	// Location is where the visitor is sent; with a Relay, where they are sent if what the node has is long enough, and empty if it does not matter.
	Location string
	// MaxAge is for how long the visitor may use Location without asking again, in seconds: Cache-Control is private.
	MaxAge int
	// Origin is whose scripts may follow to Location, whatever they send along; empty if nobody has asked. The request decides it, so that the
	// answer varies by Origin.
	Origin string
	// Relay says to whom the request is relayed; nil if it is not.
	Relay *Relay
	// Problem is why the request cannot be served; empty if it can.
	Problem string
	// POP is where the visitor is sent, or the request relayed, and Reason why, as [decide.Decision] has it; empty with a Problem.
	POP    cdn.POPName
	Reason string
}

// Relay is how a request is relayed.
type Relay struct {
	// Nodes are where the nodes serve that may be asked, in the order in which to try them; not empty. They are addresses of the configuration.
	Nodes []netip.AddrPort
	// Target is what the node is asked for: under the site's own domain, with the scheme of the visitor's connection.
	Target cdn.Target
	// Secure says that they are asked over TLS, as the visitor has, with a certificate for the target's domain.
	Secure bool
	// MinSize is, if not zero, the length of a content from which on the visitor is sent to Location instead.
	MinSize cdn.Size
}

// problem is an outcome without a redirect.
func problem(status int, text string) Outcome { return Outcome{Status: status, Problem: text} }

// Decide decides on a request. key signs the URLs of sites that want it; without a key they are not, and nodes will not have them: such
// requests are relayed. A nil view is no configuration. It is safe for concurrent use.
func Decide(v *view.View, key []byte, r *Request) Outcome {
	if v == nil {
		return problem(http.StatusServiceUnavailable, "this scheduler has no configuration yet")
	}
	found, refusal := identify(v, r.Host)
	if refusal.Problem != "" {
		return refusal
	}
	target, err := cdn.NewTarget("http", found.Domain, r.Target)
	if err != nil {
		return problem(http.StatusBadRequest, err.Error())
	}
	d := decide.Answer(v, decide.Query{Domain: found.Domain, Class: found.Class, Classed: true, Client: r.Client, Now: r.Now})
	if len(d.Nodes) == 0 {
		return problem(http.StatusServiceUnavailable, unserved(d.Reason))
	}
	o := Outcome{Status: statusOf(r.Method), MaxAge: int(decide.TTL(&v.TTLs, d.Outlook)), POP: d.POP, Reason: d.Reason}
	at := placeOf(v, &found, d.Nodes[0], r.Secure)
	rule := found.Redirection
	if rule == nil {
		rule = new(cdn.Redirection)
	}
	hop := 0
	if rule.Signed {
		var last signedurl.Signature
		target.Query, target.HasQuery, last = signedurl.Cut(target.Query, target.HasQuery)
		if last.Ticket.Fresh(r.Now) { // a node has sent the visitor back although it is good here: an old link is not
			hop = last.Ticket.Hop
		}
		if hop >= maxRounds {
			return problem(http.StatusLoopDetected, "the nodes send visitors back whom this scheduler sends to them: their clocks or secrets differ")
		}
	}
	how := worth(rule, r.Method, target.Path)
	tooLong := rule.Signed && len(target.RequestURI()) > cdn.MaxTarget-signedurl.Room // no node would take it
	if how == relayed || r.Preflight || tooLong || rule.Signed && len(key) == 0 {
		o.relayTo(v, &d, target, r.Secure)
		return o
	}
	o.Location, o.Origin = o.locate(&at, &target, key, rule, hop+1, r.Now), originOf(r.Origin)
	if how == measured {
		o.relayTo(v, &d, target, r.Secure)
		o.Relay.MinSize = rule.MinSize
	}
	return o
}

// identify finds out what a Host field means, or what is the problem with it.
func identify(v *view.View, field string) (zone.HostMatch, Outcome) {
	found := v.Zones.Host(cdn.Domain(field)) // mostly it is in normal form and without a port, and need not be parsed
	if found.Domain == "" {
		host, err := cdn.ParseHost(field)
		if err != nil {
			return found, problem(http.StatusBadRequest, err.Error())
		}
		if found = v.Zones.Host(host); found.Domain == "" {
			return found, problem(http.StatusNotFound, "the domain "+strconv.Quote(string(host))+" is not configured on this CDN")
		}
	}
	if found.Node != nil { // the node's address leads here: redirecting again would never end
		return found, problem(http.StatusLoopDetected, strconv.Quote(field)+" is a node's own name, but it leads to a scheduler")
	}
	return found, Outcome{}
}

// maxOrigin is the longest origin, in octets: a scheme, a host and a port.
const maxOrigin = 300

// originOf returns the value of an Origin field as it may be said again; empty if no browser sends it. A redirect tells scripts nothing (they see neither
// its fields nor where it led), so that any may follow: what they may read is up to where they get.
func originOf(field string) string {
	if len(field) > maxOrigin {
		return ""
	}
	for i := range len(field) {
		if c := field[i]; c <= ' ' || c >= 0x7f || c == ',' {
			return ""
		}
	}
	return field
}

// locate returns the Location, and limits MaxAge to the life of its signature.
func (o *Outcome) locate(at *place, target *cdn.Target, key []byte, rule *cdn.Redirection, hop int, now time.Time) string {
	if !rule.Signed {
		return at.location(target)
	}
	life := rule.SignedFor()
	o.MaxAge = min(o.MaxAge, int(life/time.Second))
	path, query, has := strings.Cut(signedurl.Sign(key, at.host(), target.RequestURI(), signedurl.Ticket{Hop: hop, Expires: now.Add(life).Unix()}), "?")
	return at.location(&cdn.Target{Path: path, Query: query, HasQuery: has})
}

// relayTo makes the outcome one that is relayed.
func (o *Outcome) relayTo(v *view.View, d *decide.Decision, target cdn.Target, secure bool) {
	o.Relay = &Relay{Target: target}
	if secure {
		o.Relay.Target.Scheme, o.Relay.Secure = "https", v.TLSPort != 0
	}
	for _, n := range d.Nodes {
		if at := addressOf(v, n, o.Relay.Secure); at.IsValid() {
			o.Relay.Nodes = append(o.Relay.Nodes, at)
		}
	}
	if len(o.Relay.Nodes) == 0 {
		*o = problem(http.StatusServiceUnavailable, "the nodes of POP "+string(d.POP)+" have no address")
	}
}

// worthiness says whether a redirect is worth it.
type worthiness uint8

const (
	redirected worthiness = iota
	measured              // if the content is long enough
	relayed
)

// worth says whether a request is worth a redirect: what has a content of its own, or asks for none, says nothing of how long the answer is.
func worth(rule *cdn.Redirection, method, path string) worthiness {
	switch {
	case rule.Off || !rule.Names(path):
		return relayed
	case rule.MinSize == 0:
		return redirected
	case method == http.MethodGet:
		return measured
	}
	return relayed
}

// unserved says why there is no node for a visitor.
func unserved(reason string) string {
	if reason == decide.Forbidden {
		return "policy leaves no POP that can be used"
	}
	return "this CDN has no edge node"
}
