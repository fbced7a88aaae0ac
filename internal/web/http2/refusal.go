package http2

import "net/http"

// refusal is why a request is not handed to the handler. Nil means that it is.
type refusal struct {
	status int    // not sent if the stream is reset: with PROTOCOL_ERROR for 400 (RFC 9113 section 8.1.1)
	reason string // a short stable word, for counting
}

// malformed is the refusal of a request that breaks the rules.
func malformed(reason string) *refusal { return &refusal{http.StatusBadRequest, reason} }

// tooLarge is the refusal of a request whose field section is more than the limits allow.
func tooLarge(reason string) *refusal {
	return &refusal{http.StatusRequestHeaderFieldsTooLarge, reason}
}
