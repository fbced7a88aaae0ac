// Package httpjson is the way that Nearcast's own HTTP interfaces speak JSON:
// strict decoding, one error shape, one table from error kind to status.
//
// It is not for the public edge, which speaks whatever the origin speaks.
package httpjson

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"nearcast/cdn"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 16 << 20

// Problem is the body of every error answer (RFC 9457).
type Problem struct {
	Title  string `json:"title"`            // what is wrong
	Status int    `json:"status"`           // the HTTP status again
	Kind   string `json:"kind"`             // a cdn.Kind by name
	Detail any    `json:"detail,omitempty"` // for a machine: for example the list of mistakes
}

// Detailed is an error that has more to tell than its text. The detail must
// marshal to JSON and is shown to the caller.
type Detailed interface {
	error
	Detail() any
}

// Status returns the HTTP status for an error kind.
func Status(k cdn.Kind) int {
	switch k {
	case cdn.Invalid:
		return http.StatusUnprocessableEntity
	case cdn.NotFound:
		return http.StatusNotFound
	case cdn.Conflict:
		return http.StatusConflict
	case cdn.Unauthenticated:
		return http.StatusUnauthorized
	case cdn.Unavailable:
		return http.StatusServiceUnavailable
	case cdn.Timeout:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}

// Write answers with v as JSON. A write error means that the client has gone,
// which is its own business.
func Write(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "encoding the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) //nolint:errcheck // see above
}

// WriteError answers with err as a [Problem].
func WriteError(w http.ResponseWriter, err error) {
	kind := cdn.KindOf(err)
	p := Problem{Title: err.Error(), Status: Status(kind), Kind: kind.String()}
	if d, ok := errors.AsType[Detailed](err); ok {
		p.Detail = d.Detail()
	}
	body, marshalErr := json.MarshalIndent(p, "", "  ")
	if marshalErr != nil {
		http.Error(w, err.Error(), p.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n')) //nolint:errcheck // the client has gone
}

// ReadError turns an answer that [WriteError] wrote back into an error of the
// same kind and text. The detail is kept: [errors.AsType] finds a [*RemoteError].
func ReadError(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return cdn.Errorf(cdn.Unavailable, "", "reading an error answer (%s): %w", resp.Status, err)
	}
	var p struct {
		Problem
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Title == "" {
		return cdn.Errorf(cdn.Other, "", "the server answered %s", resp.Status)
	}
	return &cdn.Error{Kind: cdn.ParseKind(p.Kind), Err: &RemoteError{Title: p.Title, Detail: p.Detail}}
}

// RemoteError is an error that another process reported.
type RemoteError struct {
	Title  string          // the error's text
	Detail json.RawMessage // what [Detailed.Detail] returned there; may be empty
}

// Error returns the title.
func (e *RemoteError) Error() string { return e.Title }

// Read decodes a request's body into v. Unknown fields, a second value and more
// than 16 MiB are errors of kind Invalid.
func Read(r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return cdn.Errorf(cdn.Invalid, "", "reading the request's JSON: %w", err)
	}
	switch _, err := d.Token(); {
	case err == nil:
		return cdn.Errorf(cdn.Invalid, "", "reading the request's JSON: something follows the value")
	case !errors.Is(err, io.EOF):
		return cdn.Errorf(cdn.Invalid, "", "reading the request's JSON: after the value: %w", err)
	}
	return nil
}

// RequireBearer lets only requests with the token through (RFC 6750 section 2.1). All others get
// the same bare 401, so that nothing else is revealed. An empty token lets nobody through.
func RequireBearer(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		sum := sha256.Sum256([]byte(got)) // equal lengths for the constant-time comparison
		if token == "" || !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			WriteError(w, cdn.Errorf(cdn.Unauthenticated, "", "a valid bearer token is required"))
			return
		}
		next.ServeHTTP(w, r)
	})
}
