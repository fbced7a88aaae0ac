package cdn

import (
	"errors"
	"fmt"
)

// Kind classifies an error by what its receiver can do about it. It is carried
// between processes by name, see [Kind.String], so the order is free to change.
type Kind uint8

// The kinds of error. Other is the zero value: a fault with no advice attached.
const (
	Other           Kind = iota
	Invalid              // the input is malformed; sending it again will not help
	NotFound             // the thing named does not exist
	Conflict             // somebody else changed it first; read again, then retry
	Unauthenticated      // no credentials, or wrong ones
	Unavailable          // the other side is down or overloaded; retry later
	Timeout              // the other side did not answer in time
)

var kindNames = [...]string{"other", "invalid", "not-found", "conflict", "unauthenticated", "unavailable", "timeout"} //nolint:gochecknoglobals // a table that nobody changes

// String returns the kind's name on the wire and in logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Other]
}

// ParseKind is the inverse of [Kind.String]. An unknown name is [Other], so that
// a newer peer's kinds degrade instead of failing.
func ParseKind(name string) Kind {
	for k, n := range kindNames {
		if n == name {
			return Kind(k)
		}
	}
	return Other
}

// Error is a failed operation: what was attempted, of which kind the failure is,
// and its cause.
type Error struct {
	Op   string // what was attempted, for example "control/store.Append"; may be empty
	Kind Kind
	Err  error // the cause; never nil
}

// Errorf returns an [*Error] with a formatted cause; %w wraps.
func Errorf(kind Kind, op, format string, args ...any) *Error {
	return &Error{Op: op, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Error implements the error interface: "op: cause".
func (e *Error) Error() string {
	if e.Op == "" {
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost [*Error] in err's chain, or [Other].
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Other
}
