// Package respond answers DNS queries, whatever they came over: octets in, octets out.
package respond
