// Package tableclient follows the table of one of several route-quality servers by long polling. It follows for ever: a server that is
// down is tried again, and after a while another one, and what was received last stays the last word meanwhile. What cannot be a table of
// now is refused, counted and logged.
//
// It is not for judging how old a table may be: whoever uses it decides that.
package tableclient
