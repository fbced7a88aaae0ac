package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"

	"nearcast/cdn"
)

// proxyStatus is this node's member of Proxy-Status (RFC 9209), for a response that the node made because
// it could not have the origin's.
func proxyStatus(name, kind, details string) string {
	s := sfName(name) + "; error=" + kind
	if details != "" {
		s += "; details=" + sfString(details)
	}
	return s
}

// proxyError names an upstream's failure in the words of RFC 9209 section 2.3.
func proxyError(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return "dns_timeout"
		}
		return "dns_error"
	}
	op, _ := errors.AsType[*net.OpError](err)
	dialling := op != nil && op.Op == "dial"
	timeout := cdn.KindOf(err) == cdn.Timeout || errors.Is(err, context.DeadlineExceeded)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case timeout && dialling:
		return "connection_timeout"
	case timeout:
		return "http_response_timeout"
	case dialling:
		return "destination_unavailable"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection_terminated"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "tls_certificate_error"
	}
	if _, ok := errors.AsType[*remoteError](err); ok {
		return "destination_unavailable"
	}
	return "http_protocol_error"
}

// receivedStatus is this node's member when the failure is that of a node behind it, which has a member of
// its own.
func receivedStatus(name string, status int) string {
	return sfName(name) + "; received-status=" + strconv.Itoa(status)
}
