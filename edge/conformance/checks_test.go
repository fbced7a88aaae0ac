package conformance_test

import (
	"time"
)

// The commonest proofs, as functions that make them.

// stored: a second request is answered with the response to the first.
func stored(r reply, request ...string) func(*env) {
	return freshAt(0, r, request...)
}

// notStored: a second request goes to the origin, and as if nothing were known there:
// the reply has a validator, which a cache that had stored it would send.
func notStored(r reply, request ...string) func(*env) {
	r.fields = append(r.fields, `ETag: "stored"`)
	return func(e *env) {
		e.t.Helper()
		e.replies(r)
		e.get(request...)
		e.get(request...)
		e.asked(2)
		if len(e.origin.requests()) == 2 && e.last().field("If-None-Match") != "" {
			e.t.Errorf("the origin was asked whether it still holds: it had been stored\n%s", e.history(answer{}))
		}
	}
}

// freshAt: the response is still used after d.
func freshAt(d time.Duration, r reply, request ...string) func(*env) {
	return func(e *env) {
		e.replies(r)
		first := e.get(request...)
		e.advance(d)
		second := e.get(request...)
		e.asked(1)
		e.status(second, first.StatusCode)
		if second.body != first.body {
			e.t.Errorf("then %q, want %q again", second.body, first.body)
		}
	}
}

// staleAt: the response is no longer used as it is after d.
func staleAt(d time.Duration, r reply, request ...string) func(*env) {
	return func(e *env) {
		e.t.Helper()
		e.replies(r)
		e.get(request...)
		e.advance(d)
		if a := e.get(request...); a.body == "v1" {
			e.t.Errorf("served after %v\n%s", d, e.history(a))
		}
		e.asked(2)
	}
}

// both: one proof and, in a new environment, another.
func both(tests ...func(*env)) func(*env) {
	return func(e *env) {
		e.t.Helper()
		for _, test := range tests {
			test(e)
			e = e.fresh()
		}
	}
}

// each: the same proof for each of some values.
func each[T any](values []T, test func(T) func(*env)) func(*env) {
	var all []func(*env)
	for _, v := range values {
		all = append(all, test(v))
	}
	return both(all...)
}

// lifetime: the response is used just before d and not at it (RFC 9111 section 4.2: fresh
// while its lifetime is greater than its age).
func lifetime(d time.Duration, r reply, request ...string) func(*env) {
	return both(freshAt(d-time.Second, r, request...), staleAt(d, r, request...))
}

// failing is an origin that answers once and then in some other way.
func failing(first reply, after time.Duration, then reply, check func(e *env, a answer)) func(*env) {
	return func(e *env) {
		e.replies(first, then)
		e.get()
		e.advance(after)
		check(e, e.get())
	}
}

// unreachable is an origin that answers once and then is not there.
func unreachable(first reply, after time.Duration, check func(e *env, a answer)) func(*env) {
	return func(e *env) {
		e.replies(first)
		e.get()
		e.disconnect()
		e.advance(after)
		check(e, e.get())
	}
}

func isError(e *env, a answer) {
	e.t.Helper()
	if a.StatusCode < 500 {
		e.t.Errorf("got %s %q, want an error of the server's kind\n%s", a.Status, a.body, e.history(a))
	}
}

func isFirst(e *env, a answer) {
	e.t.Helper()
	e.served(a, "v1")
}
