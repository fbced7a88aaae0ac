// Package coding is about content codings (RFC 9110 section 8.4.1) at a cache: which one a
// visitor gets, what the head of a coded response says, and coders that work on a stream.
//
// It is not for storing, fetching or sending anything, nor for transfer codings. It starts no
// goroutine and knows no clock; the only I/O is reading from the source that it is handed.
package coding
