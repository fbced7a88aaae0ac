package edge

import (
	"net/http"
	"strconv"
)

// allowed are the methods that the node itself has something against none of.
const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// answersItself answers an OPTIONS that ends here: one about the server as a whole (RFC 9110 section 9.3.7), or one
// that may not be forwarded any more (section 7.6.2).
func (x *exchange) answersItself() bool {
	if x.r.Method != http.MethodOptions {
		return false
	}
	if x.r.RequestURI != "*" && !x.lastHop() {
		return false
	}
	x.rec.cache = wordPass
	x.w.Header().Set("Allow", allowed)
	x.head(http.StatusNoContent)
	return true
}

// lastHop counts Max-Forwards down and reports whether it was zero already. A field that is no number is ignored.
func (x *exchange) lastHop() bool {
	left, err := strconv.ParseUint(x.r.Header.Get("Max-Forwards"), 10, 31)
	if err != nil {
		return false
	}
	if left == 0 {
		return true
	}
	x.r.Header.Set("Max-Forwards", strconv.FormatUint(left-1, 10))
	return false
}
