package cdn

// QueryMode says which parameters of a query a cache key has.
type QueryMode string

// The query modes. The empty mode is QueryAll.
const (
	QueryAll     QueryMode = "all"     // the query as it is
	QueryNone    QueryMode = "none"    // no query
	QueryInclude QueryMode = "include" // the named parameters
	QueryExclude QueryMode = "exclude" // all but the named parameters
)

// KeyRule says what of a request selects the stored response. What the key leaves out
// of the URL is not sent to the origin with a request whose response may be stored:
// otherwise one visitor's unseen part would decide what the others get.
type KeyRule struct {
	// Query says which parameters count.
	Query QueryRule `json:"query,omitzero"`
	// Headers are request fields that count, by name in canonical case.
	Headers []string `json:"headers,omitempty"`
	// Cookies are the cookies that count, by name. If there are any, the origin gets
	// these and no others.
	Cookies []string `json:"cookies,omitempty"`
	// Device adds the visitor's class of device: desktop, mobile or tablet.
	Device bool `json:"device,omitzero"`
	// Country adds the visitor's country.
	Country bool `json:"country,omitzero"`
	// ShareDomains makes the site's domains share what is stored: that of its first one.
	ShareDomains bool `json:"share_domains,omitzero"`
	// IgnoreCase makes paths that differ in the case of ASCII letters one: the one in lower
	// case.
	IgnoreCase bool `json:"ignore_case,omitzero"`
}

// QueryRule selects parameters of a query. Parameters are what "&" separates, their
// name is what is before the first "="; ";" has no meaning.
type QueryRule struct {
	// Mode says what Names are for; empty means [QueryAll].
	Mode QueryMode `json:"mode,omitempty"`
	// Names are compared in the normal form of a [Target].
	Names []string `json:"names,omitempty"`
	// Sorted puts the parameters in the order of their names; those of one name stay
	// in theirs.
	Sorted bool `json:"sorted,omitzero"`
}
