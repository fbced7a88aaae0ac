package origin

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"nearcast/cdn"
)

const (
	// passOver is how long an address that could not be connected to is asked last.
	passOver = 5 * time.Second
	// maxAddresses bounds the addresses of one origin.
	maxAddresses = 64
)

// upstream is an origin as far as connections are concerned: its addresses and
// the connections to them.
type upstream struct {
	addresses       []*address
	transport       *http.Transport
	responseTimeout time.Duration
	used            time.Time // guarded by pool.mu
}

// address is one address of an origin.
type address struct {
	url    *url.URL     // scheme and host only
	name   string       // url for error messages
	failed atomic.Int64 // until when it is passed over, in Unix nanoseconds; zero: it works
}

// order returns the addresses in the order to try them: as configured, but those
// that failed a moment ago last. They are never left out, for they may be all
// there is.
func (u *upstream) order(now time.Time) []*address {
	order := make([]*address, 0, len(u.addresses))
	var failing []*address
	for _, a := range u.addresses {
		if a.failed.Load() > now.UnixNano() {
			failing = append(failing, a)
		} else {
			order = append(order, a)
		}
	}
	return append(order, failing...)
}

// settingsOf returns what the exchange's connection pool depends on, and the
// parsed addresses.
func settingsOf(x *exchange) (settings, []*address, error) {
	o := x.origin
	if len(o.URLs) == 0 || len(o.URLs) > maxAddresses {
		return settings{}, nil, cdn.Errorf(cdn.Invalid, "", "an origin has 1 to %d URLs, this one has %d", maxAddresses, len(o.URLs))
	}
	s := settings{connect: o.ConnectTimeout.Std(), response: o.ResponseTimeout.Std()}
	if s.connect <= 0 {
		s.connect = defaultConnectTimeout
	}
	if s.response <= 0 {
		s.response = defaultResponseTimeout
	}
	addresses := make([]*address, len(o.URLs))
	names := make([]string, len(o.URLs))
	for i, raw := range o.URLs {
		a, err := parseAddress(raw, o)
		if err != nil {
			return settings{}, nil, err
		}
		addresses[i], names[i] = a, a.name
		if a.url.Scheme == "https" {
			s.serverName = x.serverName
		}
	}
	s.addresses = strings.Join(names, " ")
	return s, addresses, nil
}

// parseAddress parses one URL of an origin. Its text is not part of the error: it
// may have a password in it.
func parseAddress(raw string, o *cdn.Origin) (*address, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, cdn.Errorf(cdn.Invalid, "", `an origin's URL is not of the form "http://host:port" or "https://host:port"`)
	}
	u = &url.URL{Scheme: u.Scheme, Host: u.Host}
	if o.Type == cdn.OriginS3 && o.Bucket != nil && o.Bucket.VirtualHost {
		u.Host = o.Bucket.Name + "." + u.Host
	}
	return &address{url: u, name: u.String()}, nil
}
