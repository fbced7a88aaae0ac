package origin

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"

	"nearcast/cdn"
)

// errStalled is an origin that stopped sending in mid-body.
var errStalled = cdn.Errorf(cdn.Timeout, "", "nothing came for too long")

// maxFault bounds the text of one failure, in octets: net/http quotes what a
// broken origin sent, which may be a header of any length.
const maxFault = 300

// fault describes a failed operation on an origin's address. The end of the
// caller's context passes as it is.
func fault(address, doing string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	kind := cdn.Unavailable
	if isTimeout(err) {
		kind = cdn.Timeout
	}
	if text := err.Error(); len(text) > maxFault {
		err = errors.New(strings.ToValidUTF8(text[:maxFault], "") + "...")
	}
	return cdn.Errorf(kind, "origin "+address, "%s: %w", doing, err)
}

func isTimeout(err error) bool {
	if cdn.KindOf(err) == cdn.Timeout || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	netErr, ok := errors.AsType[net.Error](err)
	return ok && netErr.Timeout()
}
