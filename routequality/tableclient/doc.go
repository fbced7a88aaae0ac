// Package tableclient follows a route-quality server's table by long polling. It
// follows for ever: a server that is down is tried again, and what was received
// last stays the last word meanwhile.
//
// It is not for judging how old a table may be: whoever uses it decides that.
package tableclient
