package grammar

import "net/http"

// BodyAllowed reports whether a response with this status has content (RFC 9110 section 6.4.1).
func BodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
