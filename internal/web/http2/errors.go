package http2

import (
	"errors"

	h2 "golang.org/x/net/http2"
)

var (
	errReturned = errors.New("http2: writing a response after the handler has returned")
	errReset    = errors.New("http2: the client has reset the stream")
	errOurReset = errors.New("http2: the stream has been reset")
	errClosed   = errors.New("http2: the connection is closed")
)

// connError ends the connection (RFC 9113 section 5.4.1).
type connError struct {
	code   h2.ErrCode
	reason string // a short stable word
	abuse  bool   // a budget has run out
}

func (e *connError) Error() string { return "http2: " + e.code.String() + ": " + e.reason }

// streamError ends a stream (RFC 9113 section 5.4.2).
type streamError struct {
	id     uint32
	code   h2.ErrCode
	reason string // a short stable word
}

func (e *streamError) Error() string { return "http2: stream: " + e.code.String() + ": " + e.reason }

// violation is what ends the connection of a client that breaks a rule.
func violation(reason string) error { return &connError{code: h2.ErrCodeProtocol, reason: reason} }

// wrongSize is the same for a frame whose length is not what its type needs.
func wrongSize(reason string) error { return &connError{code: h2.ErrCodeFrameSize, reason: reason} }

// abuse ends a connection whose budget has run out.
func abuse(reason string) error {
	return &connError{code: h2.ErrCodeEnhanceYourCalm, reason: reason, abuse: true}
}
