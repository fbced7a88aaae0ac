// Package front accepts the connections of visitors: it bounds how many there are, shakes hands where there is TLS, and
// hands each connection to the server of the protocol that it speaks.
//
// It is not for requests: those are http1's and http2's. Which certificate a visitor gets is tlscert's.
package front
