package cdn

// Rewrite gives a request another path at the origin. The cache key keeps the visitor's.
type Rewrite struct {
	// Regexp is matched with the path in normal form; if it does not match, nothing is
	// rewritten. Empty means the route's path_regexp.
	Regexp string `json:"regexp,omitempty"`
	// To is a [Template] of the new path, which starts with "/". If it has a query, that
	// takes the place of the request's.
	To string `json:"to"`
}

// Redirect sends visitors elsewhere.
type Redirect struct {
	// Regexp is matched with the path in normal form; if it does not match, nothing is
	// redirected. Empty means the route's path_regexp.
	Regexp string `json:"regexp,omitempty"`
	// To is a [Template] of a path of the same domain, which starts with "/", or of a
	// URL, whose scheme and host are literal. If it has no "?", the request's query is
	// added.
	To string `json:"to"`
	// Status is 301, 302, 303, 307 or 308 (RFC 9110 section 15.4); zero means 302.
	Status int `json:"status,omitzero"`
}

// Code returns Status with its default.
func (r *Redirect) Code() int {
	if r.Status == 0 {
		return 302
	}
	return r.Status
}

// HeaderRule changes header fields: first Delete, then Set, then Add. Names are in
// canonical case; each is in one of the three only.
type HeaderRule struct {
	// Add appends a line to what there is.
	Add map[string]string `json:"add,omitempty"`
	// Set puts a line in place of what there is.
	Set map[string]string `json:"set,omitempty"`
	// Delete removes every line.
	Delete []string `json:"delete,omitempty"`
}

// CORS says which scripts of other origins may read responses (Fetch Standard section
// 3.2). It takes the place of the origin's Access-Control-* fields.
type CORS struct {
	// Origins are "scheme://host" with an optional port; a first label "*" stands for
	// every subdomain; "*" alone is everybody.
	Origins []string `json:"origins"`
	// Methods are allowed beside GET, HEAD and POST, which always are.
	Methods []string `json:"methods,omitempty"`
	// Headers are request fields allowed beside those that always are.
	Headers []string `json:"headers,omitempty"`
	// Expose are response fields that scripts may read beside those that always are.
	Expose []string `json:"expose,omitempty"`
	// Credentials allows requests with cookies. Never together with "*".
	Credentials bool `json:"credentials,omitzero"`
	// MaxAge is how long a browser may remember the answer to a preflight, in whole
	// seconds; zero leaves it to the browser.
	MaxAge Duration `json:"max_age,omitzero"`
}

// Content codings (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
const (
	CodingBrotli = "br"
	CodingZstd   = "zstd"
	CodingGzip   = "gzip"
)

// Compress says which responses get a content coding at the edge. Its zero value
// stands for the defaults.
type Compress struct {
	// Codings are br, zstd and gzip in order of preference; empty means these three.
	Codings []string `json:"codings,omitempty"`
	// MinSize is the smallest body that is coded; zero means 1 KiB.
	MinSize Size `json:"min_size,omitzero"`
	// Types are media types in lower case; a subtype may be "*". Empty means text, JSON,
	// XML, scripts, WebAssembly, and the images and fonts that are not packed already.
	Types []string `json:"types,omitempty"`
}

// CodingList returns Codings with their default. It is not to be changed.
func (c *Compress) CodingList() []string {
	if len(c.Codings) == 0 {
		return []string{CodingBrotli, CodingZstd, CodingGzip}
	}
	return c.Codings
}

// Threshold returns MinSize with its default.
func (c *Compress) Threshold() Size {
	if c.MinSize == 0 {
		return 1 << 10
	}
	return c.MinSize
}
