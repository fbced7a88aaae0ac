package http1

import "net/http"

// refusal is why a request is not handed to the handler. Nil means that it is.
type refusal struct {
	status int
	reason string // a short stable word, for counting
	text   string // a sentence for the client
}

// malformed is the refusal of a request that breaks the rules.
func malformed(reason, text string) *refusal {
	return &refusal{http.StatusBadRequest, reason, text}
}
