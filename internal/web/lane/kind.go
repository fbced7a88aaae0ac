package lane

// Kind says of a field what it means to those who answer out of memory. Kinds are bits, so that a request can say at
// once which it has.
type Kind uint32

// The kinds. A field of none of them bears on an answer only if the response varies by it or a route looks at it.
const (
	Connection    Kind = 1 << iota // Connection
	Framing                        // Content-Length, Transfer-Encoding, Trailer, Expect, Upgrade: not a plain request
	Condition                      // If-None-Match, If-Modified-Since: a 304 may do
	Precondition                   // If-Match, If-Unmodified-Since
	Range                          // Range, If-Range
	CacheControl                   // Cache-Control, Pragma
	Authorization                  // Authorization
	Encoding                       // Accept-Encoding
	Node                           // Nearcast-Hop: another node asks
	Loop                           // CDN-Loop
	Origin                         // Origin
	UserAgent                      // User-Agent
	Referer                        // Referer
	Host                           // Host
)

// KindOf returns the kind of a field by its name, in any letter case; zero for most.
func KindOf(name string) Kind {
	switch len(name) {
	case 4:
		return is(name, "host", Host)
	case 5:
		return is(name, "range", Range)
	case 6:
		return is(name, "origin", Origin) | is(name, "expect", Framing) | is(name, "pragma", CacheControl)
	case 7:
		return is(name, "referer", Referer) | is(name, "upgrade", Framing) | is(name, "trailer", Framing)
	case 8:
		return is(name, "if-range", Range) | is(name, "if-match", Precondition) | is(name, "cdn-loop", Loop)
	case 10:
		return is(name, "user-agent", UserAgent) | is(name, "connection", Connection)
	case 12:
		return is(name, "nearcast-hop", Node)
	case 13:
		return is(name, "cache-control", CacheControl) | is(name, "if-none-match", Condition) | is(name, "authorization", Authorization)
	case 14:
		return is(name, "content-length", Framing)
	case 15:
		return is(name, "accept-encoding", Encoding)
	case 17:
		return is(name, "if-modified-since", Condition) | is(name, "transfer-encoding", Framing)
	case 19:
		return is(name, "if-unmodified-since", Precondition)
	}
	return 0
}

// is returns kind if name is lower but for letter case. Both have the same length.
func is(name, lower string, kind Kind) Kind {
	for i := range len(lower) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return 0
		}
	}
	return kind
}
