// Package cookie is DNS cookies as name servers make them (RFC 7873, and RFC 9018, so that servers of other makers in an anycast set could agree): a
// client that sends back what it was sent has shown that it receives what is sent to its address, and needs no limit.
//
// The secret changes each day (UTC), and each day's is derived from the fleet's secret: all schedulers agree without a word, and a new one need not wait for
// anybody. A cookie says when it was made and is checked with the secret of that day, so that nobody loses one at midnight, whatever the clocks of two
// schedulers say.
//
// It is not for reading options out of messages.
package cookie
