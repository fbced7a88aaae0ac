// Package compile turns what people write, YAML, into the domain's types, or
// into the list of every mistake in it with file, line and column.
//
// It is pure: no file, no socket, no clock, no goroutine. It is not for the
// decoding of what programs exchange, which is JSON and decoded strictly by its
// receiver.
package compile
