package tableclient

import "net/http"

// SetTransport makes the client speak to servers through rt.
func (c *Client) SetTransport(rt http.RoundTripper) { c.http.Transport = rt }
